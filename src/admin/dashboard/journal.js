// What happened, newest first: flips with their explanations, the rest as single lines.
import { h } from './element.js';
import { clock, latency, opening } from './words.js';

const SHOWN = 60;
// What isn't a flip, and is worth a look all the same when only the important is shown.
const WEIGHTY = new Set(['flip', 'flip_begun', 'flip_aborted', 'promotion', 'nowhere_to_go', 'withheld', 'failback_possible', 'drill_begun', 'drill_ended', 'pin', 'standby', 'operator_state', 'reloaded', 'order']);
const CAUSES = { failover: 'failover', failback: 'failback', operator: 'by an operator', drill: 'drill', reload: 'by a reload' };

export function journal({ entries, everything }) {
  const told = entries.filter((entry) => everything || WEIGHTY.has(entry.kind)).slice(-SHOWN).reverse();
  return [
    h('header', { class: 'card-head' },
      h('h2', { id: 'journal-title' }, 'What happened'),
      h('fieldset', { class: 'choice' }, h('legend', { class: 'hidden' }, 'How much is shown'),
        [['flips', 'Flips and orders', false], ['all', 'Everything', true]].map(([value, label, all]) =>
          h('label', {}, h('input', { type: 'radio', name: 'detail', value, checked: all === everything }), h('span', {}, label))))),
    told.length === 0 ? h('p', { class: 'faint' }, 'Nothing yet: no flip, no order.')
      : h('ol', { class: 'entries' }, told.map((entry) => (entry.kind === 'flip' ? flip(entry) : line(entry)))),
  ];
}

const line = (entry) => h('li', { class: 'entry', 'data-kind': kind(entry), 'data-key': `entry:${entry.number}` }, at(entry),
  entry.kind === 'nowhere_to_go' ? h('div', {}, h('p', {}, `Nowhere to go: ${entry.zone} stays active though it failed.`), more('Why', entry.reasons.map((reason) => h('li', {}, reason))))
    : h('p', {}, entry.message));

const more = (label, items) => h('details', { 'data-own': true }, h('summary', {}, label), h('ul', {}, items));

function flip(entry) {
  const because = entry.reasons.length > 0 ? entry.reasons : [];
  const more = entry.evidence.length + entry.alternatives.length > 0;
  return h('li', { class: 'entry flip', 'data-cause': entry.cause, 'data-key': `entry:${entry.number}` },
    at(entry),
    h('div', {},
      h('p', { class: 'course-of' }, h('strong', {}, `${entry.from} → ${entry.to}`),
        h('span', { class: entry.cause === 'operator' || entry.cause === 'drill' ? 'operator' : 'tag' }, CAUSES[entry.cause] ?? entry.cause),
        entry.degraded && h('span', { class: 'tag bad' }, 'degraded'),
        h('span', { class: 'faint' }, `epoch ${entry.epoch}${entry.detected_in_ms > 0 ? `, certain ${latency(entry.detected_in_ms)} after the first contrary check` : ''}`)),
      h('p', {}, `${opening(entry.rule)}.`),
      because.map((reason) => h('p', { class: 'evidence' }, reason)),
      entry.shedding.map((what) => h('p', { class: 'bad' }, `Too small: ${what}`)),
      more && h('details', { 'data-own': true }, h('summary', {}, 'Evidence, and what else was considered'),
        entry.evidence.map((one) => h('div', {}, h('p', {}, h('strong', {}, one.component), ' ', h('span', { class: 'configured' }, one.address), ` ${one.status}`,
          one.operator !== 'ready' && h('span', { class: 'operator' }, one.operator)),
        one.hastened_by && h('p', {}, `A live request had noticed first: ${one.hastened_by}.`),
        h('ul', {}, one.outcomes.map((outcome) => h('li', {}, `${clock(outcome.time)} ${outcome.code} in ${latency(outcome.ms)}: ${outcome.detail}`))))),
        h('ul', {}, entry.alternatives.map((other) => h('li', {}, `also considered: ${other}`))))));
}

const at = (entry) => h('time', { datetime: entry.at, title: entry.at }, clock(entry.at));

const kind = (entry) => ({
  transition: entry.to === 'down' ? 'bad' : 'good',
  verdict: entry.to === 'failed' ? 'bad' : 'good',
  nowhere_to_go: 'bad', withheld: 'warn', standby: entry.ready ? 'good' : 'warn', gray: entry.gray ? 'warn' : 'good',
  pin: 'order', operator_state: 'order', drill_begun: 'order', flip_begun: 'order', reloaded: 'order', order: entry.result === 'refused' ? 'warn' : 'order',
  drill_ended: entry.outcome === 'passed' ? 'good' : 'warn', flip_aborted: 'warn', started: entry.last_end === 'not_in_order' ? 'warn' : 'plain', promotion: entry.succeeded ? 'good' : 'bad',
}[entry.kind] ?? 'plain');
