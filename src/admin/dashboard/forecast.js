// What /v1/plan answers, for people.
import { h } from './element.js';
import { mark } from './mark.js';
import { latency, opening } from './words.js';

export function forecast(answer) {
  return [
    h('p', { class: 'outcome', 'data-kind': answer.kind }, outcome(answer)),
    answer.rule && h('p', {}, `${opening(answer.rule)}.`),
    answer.withheld && h('p', {}, `${answer.withheld.explanation}.`),
    answer.reasons.length > 0 && h('ul', { class: 'reasons' }, answer.reasons.map((reason) => h('li', {}, reason))),
    answer.shedding.map((what) => h('p', { class: 'bad' }, `Too small: ${what}`)),
    h('ul', { class: 'after' }, answer.zones.map((zone) => h('li', {}, mark(zone.verdict), h('strong', {}, zone.name), ` ${zone.active ? 'active, ' : ''}${zone.verdict}`))),
    answer.kind === 'flip' && h('p', {}, h('strong', {}, 'Then: '), answer.afterwards.replace(/^stay(?: \(\w+\))?: /, '')),
    answer.events.length > 0 && h('details', {}, h('summary', {}, 'Step by step'),
      h('ol', { class: 'moves' }, answer.events.map((event) => h('li', {}, `after ${latency(event.in_ms)}: ${event.message}`)))),
  ];
}

function outcome(answer) {
  const stays = `${answer.active_zone} would stay active`;
  switch (answer.kind) {
    case 'flip': {
      const hung = answer.in_ms_if_hung !== null && answer.in_ms_if_hung !== answer.in_ms ? `; ${latency(answer.in_ms_if_hung)} if it hangs instead` : '';
      return `All requests would go from ${answer.active_zone} to ${answer.to}, within ${latency(answer.in_ms)}${hung}.${answer.degraded ? ' Degraded: not everything works there either.' : ''}`;
    }
    case 'nowhere_to_go': return `Nowhere to go: ${stays} though it failed, and serve with what is up.`;
    case 'withheld': return `${stays}: going to ${answer.to} would be right, but a rule forbids it (${answer.withheld?.rule ?? 'see below'}).`;
    case 'failback_possible': return `${stays}; going back would be possible.`;
    default: {
      const lost = answer.zones.every((zone) => zone.active || zone.verdict !== 'serving');
      return `${stays}: ${answer.decision.replace(/^stay(?: \(\w+\))?: /, '')}.${lost ? ' No standby would be left: the next failure would be an outage.' : ''}`;
    }
  }
}
