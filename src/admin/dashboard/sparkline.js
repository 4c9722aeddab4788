// The latencies of a component's last checks; one that failed is a bar over the whole height, whatever it took.
import { svg } from './element.js';
import { count, latency } from './words.js';

const WIDTH = 120;
const HEIGHT = 24;

export function sparkline(outcomes) {
  const room = Math.max(30, outcomes.length);
  const step = WIDTH / room;
  const top = Math.max(1, ...outcomes.filter((one) => one.passed).map((one) => one.ms));
  const x = (index) => WIDTH - (outcomes.length - index - 0.5) * step;
  const y = (ms) => HEIGHT - 2 - (Math.min(ms, top) / top) * (HEIGHT - 6);
  const lines = [];
  let line = [];
  outcomes.forEach((one, index) => {
    if (one.passed) line.push(`${x(index).toFixed(1)} ${y(one.ms).toFixed(1)}`);
    if ((!one.passed || index === outcomes.length - 1) && line.length > 0) {
      lines.push(`M${line.length === 1 ? `${line[0]}h.1` : line.join('L')}`);
      line = [];
    }
  });
  const failed = outcomes.filter((one) => !one.passed);
  return svg('svg', { class: 'spark', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': told(outcomes, failed.length), preserveAspectRatio: 'none' },
    svg('path', { class: 'floor', d: `M0 ${HEIGHT - 1}H${WIDTH}` }),
    svg('path', { class: 'pace', d: lines.join('') }),
    outcomes.map((one, index) => !one.passed && svg('rect', {
      class: 'miss', x: (x(index) - Math.min(step, 4) / 2).toFixed(1), y: 2, width: Math.min(step, 4).toFixed(1), height: HEIGHT - 3,
    })));
}

function told(outcomes, failed) {
  if (outcomes.length === 0) return 'not checked yet';
  const took = outcomes.map((one) => one.ms).sort((a, b) => a - b);
  return `last ${count(outcomes.length, 'check')}: ${failed} failed, ${latency(took[took.length >> 1])} in the middle`;
}

// Requests (area) and errors (line) a second over the last two minutes, and when there were `flips`.
export function course(points, flips) {
  const [width, height, room] = [480, 96, 120];
  const top = Math.max(1, ...points.map((point) => point.requests)) * 1.1;
  const x = (index) => width - (points.length - 1 - index) * (width / (room - 1));
  const y = (value) => height - 1 - (value / top) * (height - 8);
  const path = (name) => points.map((point, index) => `${x(index).toFixed(1)} ${y(point[name]).toFixed(1)}`).join('L');
  const last = points.at(-1);
  return svg('svg', {
    class: 'course', viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: 'none', role: 'img',
    'aria-label': last ? `${Math.round(last.requests)} requests and ${Math.round(last.errors)} errors a second now; the most within two minutes were ${Math.round(top / 1.1)} requests a second` : 'no traffic seen yet',
  },
  [0.25, 0.5, 0.75].map((part) => svg('path', { class: 'grid', d: `M0 ${height * part}H${width}` })),
  points.length > 1 && [
    svg('path', { class: 'area', d: `M${x(0).toFixed(1)} ${height}L${path('requests')}L${width} ${height}Z` }),
    svg('path', { class: 'edge', d: `M${path('requests')}` }),
    svg('path', { class: 'errors', d: `M${path('errors')}` }),
  ],
  flips.map((flip) => points.findIndex((point) => point.at >= flip)).filter((index) => index > 0)
    .map((index) => svg('path', { class: 'flipped', d: `M${x(index).toFixed(1)} 0V${height}` })),
  svg('path', { class: 'floor', d: `M0 ${height - 0.5}H${width}` }));
}
