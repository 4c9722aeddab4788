// One component: what its checks say, what an operator says, where it is configured to be, and its recent past.
import { age, button, h, same } from './element.js';
import { mark } from './mark.js';
import { sparkline } from './sparkline.js';
import { clock, latency } from './words.js';

// What each row has said in this drawing and in the one before, by its key: what says the same isn't made again. Three hundred rows took a
// tenth of a second, every second.
let said = new Map();
let saidBefore = new Map();

// Another drawing begins.
export function turnPage() {
  saidBefore = said;
  said = new Map();
}

export function row(zone, part, state) {
  const key = `${zone.name}:${part.name}`;
  const open = state.open.has(key);
  const kind = part.status === 'up' && part.gray ? 'gray' : part.status;
  const panel = `part-${key}`;
  const before = saidBefore.get(key);
  const under = [part.status, part.kind, part.pool, part.required, part.address, part.in_flight, state.status.demo?.[key]].join();
  const all = open ? null : [
    under, part.since, part.operator, part.gray, part.outcomes.length, part.last?.time, part.last?.code, part.last?.status, part.last?.ms,
  ].join();
  said.set(key, { all, under });
  if (all !== null && all === before?.all) return same('li', 'part', key);
  return h('li', { class: 'part', 'data-key': key, 'data-status': kind, 'data-operator': part.operator },
    h('div', { class: 'line' },
      h('p', { class: 'who' },
        button('open', [mark(kind), h('span', {}, part.name)], { subject: key }, { class: 'name', 'aria-expanded': String(open), 'aria-controls': panel }),
        part.operator !== 'ready' && h('span', { class: 'operator' }, part.operator === 'drain' ? 'draining' : 'maintenance')),
      h('p', { class: 'observed' },
        h('span', { class: 'state' }, part.gray ? 'gray' : part.status), ' ',
        age(part.since)),
      sparkline(part.outcomes),
      h('p', { class: 'code' }, part.last ? [h('span', {}, code(part.last)), h('span', { class: 'ms' }, latency(part.last.ms))] : 'not checked')),
    under === before?.under ? same('div', 'under', 'under') : h('div', { class: 'under', 'data-key': 'under' },
      h('p', { class: 'where' },
        part.kind === 'backend' ? `backend of ${part.pool}` : part.required ? 'required' : 'not required', ' ',
        h('span', { class: 'configured' }, part.address),
        part.in_flight > 0 && ` ${part.in_flight} in flight`),
      h('p', { class: 'try' },
        state.status.demo && demo(key, state.status.demo[key]),
        button('whatif', 'What if it fails?', { subject: key }, { 'aria-label': `What if ${key} ${part.status === 'down' ? 'comes up again' : 'fails'}?` }))),
    h('div', { class: 'panel', id: panel, hidden: !open }, open && details(key, part, state)));
}

export const code = (outcome) => (outcome.status ? `${outcome.code}/${outcome.status}` : outcome.code);

const demo = (key, condition) => h('span', { class: 'demo', role: 'group', 'aria-label': `Demo: ${key}` },
  condition !== 'well' && h('span', {}, `demo: ${condition}`),
  [['break', 'Break', 'broken'], ['hang', 'Hang', 'hung'], ['heal', 'Heal', 'well']]
    .filter(([, , is]) => is !== condition)
    .map(([verb, label]) => button('demo', label, { verb, subject: key, key: verb }, { 'aria-label': `${label} ${key}` })));

function details(key, part, state) {
  const checks = part.outcomes.slice(-8).reverse();
  const moves = transitions(key, part, state.entries);
  return [
    part.hastened_by && h('p', {}, `A live request had noticed first: ${part.hastened_by}.`),
    part.gray && h('p', {}, 'It passes its checks, but fails or stalls live requests, so others are picked.'),
    h('div', { class: 'columns' },
      h('section', {},
        h('h4', {}, 'Last transitions'),
        moves.length === 0 ? h('p', { class: 'faint' }, 'none that the journal remembers')
          : h('ol', { class: 'moves' }, moves.map((move) => h('li', { 'data-key': `${move.at}${move.to}` },
            h('time', { datetime: move.at }, clock(move.at)), ` ${move.from} → `, h('strong', { class: move.to === 'down' ? 'bad' : null }, move.to),
            move.because && h('span', { class: 'evidence' }, move.because))))),
      h('section', {},
        h('h4', {}, 'Last checks'),
        h('table', {},
          h('thead', {}, h('tr', {}, ['at', 'code', 'took', 'said'].map((head) => h('th', { scope: 'col' }, head)))),
          h('tbody', {}, checks.map((one) => h('tr', { class: one.passed ? null : 'bad' },
            h('td', {}, clock(one.time)), h('td', {}, code(one)), h('td', {}, latency(one.ms)), h('td', {}, one.detail))))))),
    h('div', { class: 'acts' },
      [['ready', 'Ready…'], ['drain', 'Drain…'], ['maintenance', 'Maintenance…']]
        .filter(([order]) => order !== part.operator)
        .map(([order, label]) => button('order', label, { order, subject: key, key: order }, { 'aria-label': `${label.replace('…', '')} ${key}` }))),
  ];
}

// Newest first. firedoor keeps the last ones by component.
function transitions(key, part, entries) {
  const told = part.transitions ?? entries
    .filter((entry) => entry.kind === 'transition' && entry.component === key)
    .map((entry) => ({ ...entry, because: entry.evidence.at(-1)?.detail }));
  return told.slice(-8).reverse();
}
