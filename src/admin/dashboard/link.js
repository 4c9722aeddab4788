// Whether what the page shows is now, and if not, since when.
import { hasToken } from './admin.js';
import { button, h } from './element.js';
import { state } from './state.js';
import { clock, span } from './words.js';

// Traffic comes every second; this long without anything is told before the connection is given up.
const LATE = 3000;

export function link() {
  const silent = state.heard === null ? Infinity : Date.now() - state.heard;
  const kind = state.link === 'live' && silent > LATE ? 'late' : state.link;
  const words = {
    live: ['Live', `as of ${clock(Date.now())}`],
    late: [`Last seen ${span(silent)} ago`, 'the connection is silent'],
    lost: [`Last seen ${span(silent)} ago`, state.retry > Date.now() ? `trying again in ${span(state.retry - Date.now() + 999)}` : 'trying again'],
    connecting: ['Connecting', 'firedoor hasn’t answered yet'],
    locked: ['Locked', 'a token is needed'],
  }[kind];
  return [
    h('p', { class: 'link-said', 'data-link': kind }, h('strong', {}, words[0]), h('span', {}, (kind === 'lost' || kind === 'connecting') && state.trouble ? state.trouble : words[1])),
    hasToken() && kind !== 'locked' && button('signout', 'Sign out', {}),
  ];
}

export const identity = ({ status }) => (status === null ? null : [
  h('span', { class: 'host' }, location.host),
  h('span', { class: 'faint' }, `firedoor ${status.version}, ${status.phase}, up ${span(status.uptime_seconds * 1000)}`),
]);
