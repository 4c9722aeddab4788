// What the page knows. Observed state comes from firedoor and is only ever replaced as a whole; the rest is the reader's own.
export const state = {
  // /v1/status, /v1/traffic and the journal, as they came last.
  status: null,
  traffic: null,
  entries: [],
  // The last two minutes of traffic, a point a second.
  course: [],
  // `connecting`, `live`, `lost` or `locked`; when firedoor was heard last, by our clock; when it is tried again.
  link: 'connecting',
  heard: null,
  retry: null,
  // Why not, where firedoor has said so itself.
  trouble: null,
  // How far firedoor's clock is ahead of ours, in ms.
  ahead: 0,
  // Whose details are open, and whether the journal shows everything.
  open: new Set(),
  everything: false,
};

const COURSE = 120;
const ENTRIES = 500;
const watchers = [];
let due = false;
let rested = 0;
let timer = null;

export const watch = (watcher) => watchers.push(watcher);

// Shows the state, once however many changes there were, and in at most a quarter of the time: hundreds of components take a while.
// A tab in the background has no frames, but its title must tell. What is urgent doesn't rest.
export function changed(urgent = false) {
  if (due && !(urgent && timer)) return;
  due = true;
  clearTimeout(timer);
  timer = null;
  const run = () => {
    due = false;
    timer = null;
    const begun = performance.now();
    for (const watcher of watchers) watcher(state);
    const ended = performance.now();
    rested = ended + 3 * (ended - begun);
  };
  const rest = urgent ? 0 : rested - performance.now();
  if (document.hidden || rest > 16) timer = setTimeout(run, Math.max(0, rest));
  else requestAnimationFrame(run);
}

// Now, by firedoor's clock; it stands still while nothing is heard, since nobody knows what has happened since.
export const now = () => (state.link === 'live' ? Date.now() : state.heard) + state.ahead;

// Whether it tells what nobody should wait for.
export function takeStatus(status) {
  const urgent = gist(status) !== gist(state.status);
  state.status = status;
  state.ahead = Date.parse(status.at) - Date.now();
  return urgent;
}

const gist = (status) => status && [status.epoch, status.status, status.pinned, status.flip_pending, status.admission, status.drill?.until].join();

export function takeTraffic(traffic) {
  state.traffic = traffic;
  state.course.push({ at: Date.parse(traffic.at), requests: traffic.requests_per_second, errors: traffic.errors_per_second });
  if (state.course.length > COURSE) state.course.shift();
}

// Entries come once each and in order, but a reconnection may overlap.
export function takeEntries(entries, anew = false) {
  const last = anew ? 0 : (state.entries.at(-1)?.number ?? 0);
  const news = entries.filter((entry) => entry.number > last);
  state.entries = (anew ? news : state.entries.concat(news)).slice(-ENTRIES);
  return news;
}

export const zone = (name) => state.status?.zones.find((one) => one.name === name);
export const activeZone = (status) => status.zones.find((one) => one.active);
export const standbys = (status) => status.zones.filter((one) => !one.active);

export function component(key) {
  for (const one of state.status?.zones ?? []) {
    for (const part of one.components) if (`${one.name}:${part.name}` === key) return part;
  }
  return undefined;
}
