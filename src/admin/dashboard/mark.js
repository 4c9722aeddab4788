// What a check or a verdict says, by shape first and colour second.
import { svg } from './element.js';

export const mark = (kind) => svg('svg', { class: `mark ${kind}`, viewBox: '0 0 12 12', 'aria-hidden': 'true' }, {
  serving: svg('circle', { cx: 6, cy: 6, r: 5 }),
  up: svg('circle', { cx: 6, cy: 6, r: 5 }),
  failed: svg('path', { d: 'm2 2 8 8M10 2l-8 8' }),
  down: svg('path', { d: 'm2 2 8 8M10 2l-8 8' }),
  gray: svg('path', { d: 'M6 1.500 11 10.500H1Z' }),
}[kind] ?? svg('circle', { class: 'hollow', cx: 6, cy: 6, r: 4 }));
