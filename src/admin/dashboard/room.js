// A zone as a fire compartment: its verdict, what flows through it, its components, and what an operator can do with it.
import { row, turnPage } from './component.js';
import { door } from './door.js';
import { age, button, h, svg } from './element.js';
import { mark } from './mark.js';
import { activeZone } from './state.js';
import { count, latency, rate } from './words.js';

// All zones in the order of the configuration, and a door between each two.
export function plan(state) {
  const { status } = state;
  turnPage();
  const active = status.zones.findIndex((zone) => zone.active);
  return status.zones.flatMap((zone, index) => {
    const here = room(zone, index, state);
    if (index === 0) return [here];
    // The door belongs to whichever of the two isn't the active one, or is farther from it.
    const right = index > active;
    return [door(status.zones[right ? index : index - 1], status, right ? 'right' : 'left', index), here];
  });
}

function room(zone, index, state) {
  const { status } = state;
  const title = `zone-${index}`;
  return h('article', { class: 'room', 'data-verdict': zone.verdict, 'data-active': String(zone.active), 'data-key': `room:${zone.name}`, 'aria-labelledby': title },
    h('div', { class: 'lintel' }, zone.active
      ? [inflow(), h('span', {}, status.admission === 'hold' ? 'requests wait' : 'all requests go here')]
      : h('span', {}, 'no requests')),
    h('header', { class: 'room-head' },
      h('h3', { id: title }, zone.name),
      h('p', { class: 'role' }, zone.active ? 'active' : 'standby', index === 0 && h('span', { class: 'configured', title: 'the first zone of the configuration' }, 'preferred')),
      status.pinned === zone.name && h('span', { class: 'operator' }, 'pinned'),
      status.drill?.zone === zone.name && h('span', { class: 'operator' }, 'drilled'),
      h('p', { class: 'verdict' }, mark(zone.verdict), `${zone.verdict} for `, age(zone.since))),
    zone.reasons.length > 0 && h('ul', { class: 'reasons' }, zone.reasons.map((reason) => h('li', {}, reason))),
    flow(zone, state),
    h('ul', { class: 'parts', 'data-many': zone.components.length > 30 }, zone.components.map((part) => row(zone, part, state))),
    h('div', { class: 'acts' }, acts(zone, index, status)));
}

// Dashes that run into the active zone; they stand still for readers who want no motion.
const inflow = () => h('span', { class: 'inflow', 'aria-hidden': 'true' },
  h('span', { class: 'run' }, h('span', { class: 'stream' })), svg('svg', { viewBox: '0 0 12 14' }, svg('path', { d: 'm1 2 8 5-8 5' })));

// What the zone does, and each of its pools where it has several.
function flow(zone, { status, traffic }) {
  const measured = traffic?.zones.find((one) => one.name === zone.name);
  const pools = status.pools.map((pool) => ({ ...pool, here: pool.zones.find((one) => one.name === zone.name) })).filter((pool) => pool.here?.total > 0);
  const cell = (term, value, kind) => h('div', { 'data-kind': kind }, h('dt', {}, term), h('dd', {}, value));
  const numbers = (one, inFlight) => [
    cell('req/s', rate(one?.requests_per_second)),
    cell('errors/s', rate(one?.errors_per_second), one?.errors_per_second > 0 ? 'bad' : null),
    cell('p50', latency(one?.p50_ms)),
    cell('p99', latency(one?.p99_ms)),
    cell('in flight', String(inFlight ?? 0)),
  ];
  const total = pools.reduce((sum, pool) => sum + pool.here.in_flight, 0);
  return h('div', { class: 'flow' },
    h('dl', { class: 'numbers' }, numbers(measured, measured?.in_flight ?? total)),
    pools.map((pool) => {
      const one = measured?.pools.find((candidate) => candidate.name === pool.name);
      return h('div', { class: 'pool', 'data-key': `pool:${pool.name}` },
        h('p', {}, `pool ${pool.name}: `, h('strong', { class: pool.here.up < pool.here.total ? 'bad' : null }, `${pool.here.up} of ${pool.here.total} up`),
          h('span', { class: 'configured', title: 'below this, the zone has failed' }, `min_healthy ${pool.min_healthy}`)),
        pools.length > 1 && h('dl', { class: 'numbers small' }, numbers(one, one?.in_flight ?? pool.here.in_flight)));
    }));
}

function acts(zone, index, status) {
  const active = activeZone(status);
  const offers = [];
  const offer = (label, order) => offers.push(button('order', label, { order, subject: zone.name, key: order }, { 'aria-label': `${label.replace('…', '')} ${zone.name}` }));
  if (!zone.active) offer('Activate…', 'activate');
  if (status.pinned === zone.name) offer('Unpin…', 'unpin');
  else if (!status.pinned) offer('Pin…', 'pin');
  if (zone.active && status.zones.length > 1 && !status.drill) offer('Drill…', 'drill');
  if (status.drill && zone === active) offer('End the drill…', 'abort');
  if (status.demo) {
    offers.push(h('span', { class: 'demo', role: 'group', 'aria-label': `Demo: all of ${zone.name}` }, 'demo: all',
      [['break', 'Break'], ['hang', 'Hang'], ['heal', 'Heal']].map(([verb, label]) => button('demo', label, { verb, subject: zone.name }, { 'aria-label': `${label} all of ${zone.name}` }))));
  }
  return offers;
}

export const inFlight = (zone, status) => count(
  status.pools.flatMap((pool) => pool.zones.filter((one) => one.name === zone)).reduce((sum, one) => sum + one.in_flight, 0), 'request');
