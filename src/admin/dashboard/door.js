// The doors of the plan. Each zone that isn't active has one, on the side of the active zone: could the traffic get there?
import { h, svg } from './element.js';
import { activeZone } from './state.js';
import { count } from './words.js';

// `{kind, word, text}`: how the door to `zone` stands.
export function doorTo(zone, status) {
  const active = activeZone(status);
  const said = (kind, word, text) => ({ kind, word, text });
  if (status.flip_pending === zone.name) {
    return said('flipping', 'Flipping', `${held(status)} until ${active.name} has finished; then all go to ${zone.name}`);
  }
  if (status.admission === 'hold') return said('held', 'Holding', `${held(status)}: no zone can take requests`);
  if (status.pinned) return said('pinned', 'Pinned', `an operator keeps the traffic in ${status.pinned}`);
  if (status.flips_left === 0 && zone.verdict === 'serving') return said('held', 'Waiting', 'no automatic flip is left within the hour');
  if (zone.verdict === 'failed') return said('shut', 'Shut', `${zone.name} has failed; it gets nothing`);
  if (zone.verdict === 'unknown') return said('unknown', 'Not known', `${zone.name} isn’t checked yet`);
  if (status.drill) return said('drill', 'Drill', `${zone.name === status.drill.zone ? 'the traffic comes back here' : 'open'}`);
  const withheld = /^stay \((\w+)\): (.*)$/s.exec(status.decision);
  if (withheld && active.verdict === 'failed') return said('held', 'Withheld', withheld[2]);
  return said('open', 'Open', `if ${active.name} fails, all go to ${zone.name}`);
}

const held = (status) => (status.holds > 0 ? `${count(status.holds, 'request')} ${status.holds === 1 ? 'waits' : 'wait'}` : 'new requests wait');

// The door as an architect draws it: a wall with a gap, the leaf and the arc of its swing. `towards` is the side of the standby.
export function door(zone, status, towards, index) {
  const { kind, word, text } = doorTo(zone, status);
  return h('div', { class: 'door', 'data-door': kind, 'data-towards': towards, 'data-key': `door:${index}` },
    h('div', { class: 'wall' }),
    svg('svg', { class: 'leaf-drawing', viewBox: '0 0 120 96', 'aria-hidden': 'true' },
      svg('path', { class: 'jamb', d: 'M53 0h14v11H53zM53 85h14v11H53z' }),
      svg('path', { class: 'swing', d: 'M60 12A74 74 0 0 1 112.3 33.7' }),
      svg('path', { class: 'leaf', d: 'M60 86V13' }),
      svg('path', { class: 'arrow', d: 'M12 36h76m-12-11 12 11-12 11' }),
      svg('path', { class: 'bolt', d: 'M48 46h24v20H48zM53 46v-6a7 7 0 0 1 14 0v6' }),
      svg('path', { class: 'queue', d: 'M44 30v36M33 34v28M22 38v20' })),
    h('div', { class: 'wall' }),
    h('p', { class: 'door-said' }, h('strong', {}, word), h('span', {}, text)));
}
