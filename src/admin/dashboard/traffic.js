// Traffic as it flows, over all zones; each zone's own numbers stand in its room.
import { h } from './element.js';
import { course } from './sparkline.js';
import { rate } from './words.js';

export function traffic({ status, entries, traffic: seen, course: points }) {
  const flips = entries.filter((entry) => entry.kind === 'flip').map((flip) => Date.parse(flip.at));
  const cell = (term, value, kind) => h('div', { 'data-kind': kind }, h('dt', {}, term), h('dd', {}, value));
  const own = Object.entries(seen?.by_proxy_per_second ?? {}).filter(([, value]) => value > 0);
  return [
    h('header', { class: 'card-head' }, h('h2', { id: 'traffic-title' }, 'Traffic'), h('p', { class: 'faint' }, 'the last two minutes')),
    h('dl', { class: 'numbers large' },
      cell('requests/s', rate(seen?.requests_per_second)),
      cell('errors/s', rate(seen?.errors_per_second), seen?.errors_per_second > 0 ? 'bad' : null),
      cell('waiting', String(status.holds), status.holds > 0 ? 'warn' : null),
      cell('clients', seen ? String(seen.connections.downstream) : '–'),
      cell('to backends', seen ? String(seen.connections.upstream) : '–')),
    course(points, flips),
    h('p', { class: 'key' }, h('span', { class: 'key-requests' }, 'requests/s'), h('span', { class: 'key-errors' }, 'errors/s'), h('span', { class: 'key-flips' }, 'flip'),
      points.length > 0 && `highest ${rate(Math.max(...points.map((point) => point.requests)))} requests/s`),
    own.length > 0 && h('p', {}, `Answered by firedoor itself: ${own.map(([reason, value]) => `${reason} ${rate(value)}/s`).join(', ')}`),
    h('p', { class: 'faint' }, 'Since the start: ',
      `${status.holds_total.released} waited and went on, ${status.holds_total.expired} waited too long, ${status.holds_total.refused} found no room to wait; `,
      `${status.shed} shed, ${status.limited} over their rate`),
  ];
}
