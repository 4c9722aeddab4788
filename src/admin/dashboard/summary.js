// The top of the page: one sentence, and the answers to what, why, since when, what is broken, what can I do.
import { button, h } from './element.js';
import { broken, sentence, takenOut } from './sentence.js';
import { activeZone, now, standbys } from './state.js';
import { clock, count, opening, span } from './words.js';

export function summary({ status, entries, link, heard }) {
  const { grade, label, headline, hint } = sentence(status);
  const lost = link === 'live' ? null : `Not connected. This is how it was ${span(Date.now() - heard)} ago`;
  const active = activeZone(status);
  const out = takenOut(status);
  return [
    h('div', { class: 'tell', 'data-grade': lost ? 'lost' : grade, 'data-key': 'tell' },
      h('p', { class: 'grade' }, lost ?? label),
      h('h2', { class: 'headline' }, headline),
      h('p', { class: 'hint' }, hint),
      h('div', { class: 'ways' }, ways(status, active))),
    h('dl', { class: 'answers', 'data-key': 'answers' },
      answer('Active', [
        h('strong', {}, active.name), ' for ', h('time', { datetime: status.active_since, title: status.active_since }, span(now() - Date.parse(status.active_since))),
        `, since ${clock(status.active_since)}`, h('span', { class: 'faint' }, `epoch ${status.epoch}`),
      ]),
      answer('Why', why(status, entries)),
      answer('Standby', standby(status)),
      answer('Broken', faults(broken(status)), 'broken'),
      out.length > 0 && answer('Taken out', out.map(({ who, what }) => h('span', { class: 'fault' }, h('span', { class: 'operator' }, who), ` ${what}`))),
      answer('Decision', decision(status))),
  ];
}

const answer = (term, told, kind) => h('div', { class: 'answer', 'data-key': term, 'data-kind': kind }, h('dt', {}, term), h('dd', {}, told));

// The last flip tells it field by field, as it was then: what had failed may be well again. What happened before the journal's memory, or
// before any flip, is told by firedoor.
function why(status, entries) {
  const flip = entries.findLast((entry) => entry.kind === 'flip' && entry.epoch === status.epoch);
  if (!flip) return `${opening(status.active_because)}.`;
  return [
    `At ${clock(flip.at)}: ${flip.rule}. `,
    flip.reasons.map((reason) => h('span', { class: 'evidence' }, reason)),
  ];
}

function standby(status) {
  const others = standbys(status);
  if (others.length === 0) return 'none: only one zone is configured';
  return others.map((zone) => h('span', { class: 'fault' },
    h('strong', {}, zone.name), ' ',
    zone.verdict === 'serving' ? `is ready, for ${span(now() - Date.parse(zone.since))}`
      : zone.verdict === 'failed' ? 'has failed, so it can’t take over' : 'isn’t known yet'));
}

const faults = (found) => (found.length === 0 ? 'nothing'
  : found.map(({ who, what }) => h('span', { class: 'fault' }, h('strong', { class: 'bad' }, who), ` ${what}`)));

// The reasons for which there is nowhere to go are the faults told above; what firedoor guesses from them isn't.
const decision = (status) => [
  opening(status.decision.replace(/^(stay: nowhere to go): .*?(; all zones have failed at once.*)?$/s, '$1$2')),
  h('span', { class: status.flips_left === 0 ? 'bad' : 'faint' }, `${count(status.flips_left, 'automatic flip')} left within the hour`),
];

// What an operator most likely wants now.
function ways(status, active) {
  const preferred = status.zones[0];
  const offers = [];
  if (status.drill) offers.push(button('order', 'End the drill…', { order: 'abort', key: 'abort' }, { class: 'main' }));
  else if (active !== preferred && !status.flip_pending && preferred.verdict !== 'failed') {
    offers.push(button('order', `Go back to ${preferred.name}…`, { order: 'failback', key: 'failback' },
      { class: preferred.verdict === 'serving' && !status.pinned ? 'main' : null }));
  }
  if (status.pinned) offers.push(button('order', `Unpin ${status.pinned}…`, { order: 'unpin', subject: status.pinned, key: 'unpin' }));
  offers.push(button('whatif', 'What if something fails?', { key: 'whatif' }));
  return offers;
}

// What a screen reader should be told when the state has changed from `before`: `{polite, alarm}`.
export function announcement(before, status) {
  const is = sentence(status);
  if (before === null || sentence(before).headline + before.status === is.headline + status.status) return null;
  const text = `${is.label}. ${is.headline} ${is.hint}`;
  return status.status === 'fail' ? { alarm: text } : { polite: text };
}

// The title of the tab.
export function title(state) {
  if (state.status === null) return 'firedoor';
  const marks = { pass: '', warn: '! ', fail: '!! ' };
  const lost = state.link === 'live' ? '' : '? ';
  return `${lost}${marks[state.status.status]}${state.status.active_zone} active – firedoor`;
}
