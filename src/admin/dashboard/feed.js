// The events, read by fetch: an EventSource can't bring a token.
import { Problem, ask, json } from './admin.js';
import { changed, state, takeEntries, takeStatus, takeTraffic } from './state.js';

// Something comes every second, a comment every ten at least: silence for longer is a connection that has died without a word.
const SILENCE = 15_000;
const PAUSES = [250, 500, 1000, 2000, 4000];
const HISTORY = 300;

let failures = 0;
let wake = () => {};
let started = null;
let heardNews = () => {};

// Follows firedoor for as long as the page is open. `news` gets each journal entry that is new; `locked` is called when a token is
// needed, with why, and resolves when there may be one.
export async function follow(news, locked) {
  heardNews = news;
  const again = () => wake();
  addEventListener('online', again);
  document.addEventListener('visibilitychange', () => { if (!document.hidden) again(); });
  for (;;) {
    try {
      await listen();
      state.trouble = null;
    } catch (problem) {
      state.trouble = problem instanceof Problem ? problem.message : null;
      if (problem instanceof Problem && problem.status === 401) {
        state.link = 'locked';
        changed();
        await locked(problem);
        failures = 0;
        continue;
      }
    }
    const pause = PAUSES[Math.min(failures, PAUSES.length - 1)] * (0.75 + Math.random() / 2);
    failures += 1;
    state.link = state.heard === null ? 'connecting' : 'lost';
    state.retry = Date.now() + pause;
    changed();
    await new Promise((resolve) => {
      wake = resolve;
      setTimeout(resolve, pause);
    });
  }
}

async function listen() {
  const ending = new AbortController();
  let silence = setTimeout(() => ending.abort(), SILENCE);
  try {
    if (state.entries.length === 0) await recall(false);
    const response = await ask('/v1/events?with=status,traffic', {
      signal: ending.signal,
      headers: { Accept: 'text/event-stream', 'Last-Event-ID': String(state.entries.at(-1)?.number ?? 0) },
    });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    const events = new Events();
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      clearTimeout(silence);
      silence = setTimeout(() => ending.abort(), SILENCE);
      state.heard = Date.now();
      state.link = 'live';
      failures = 0;
      let urgent = false;
      for (const event of events.of(value)) urgent = (await take(event)) || urgent;
      changed(urgent);
    }
  } finally {
    clearTimeout(silence);
    ending.abort();
  }
}

// Whether that was urgent.
async function take({ type, data }) {
  const body = JSON.parse(data);
  if (type === 'status') {
    const urgent = takeStatus(body);
    // Another process may have another journal, and numbers that say nothing about what we have.
    const start = Date.parse(body.at) - body.uptime_seconds * 1000;
    const restarted = started !== null && Math.abs(start - started) > 3000;
    started = start;
    if (restarted) await recall(true);
    return urgent;
  } else if (type === 'traffic') {
    takeTraffic(body);
  } else if (type === 'gap') {
    await recall(true);
  } else if (type === 'journal') {
    heardNews(takeEntries([body]));
  }
  return false;
}

// The journal so far; flips are rarer than the rest, and must not be crowded out by it.
async function recall(anew) {
  const [newest, flips] = await Promise.all([
    json(`/v1/journal?limit=${HISTORY}`),
    json('/v1/journal?kind=flip&limit=100'),
  ]);
  const first = newest.entries[0]?.number ?? 0;
  takeEntries(flips.entries.filter((flip) => flip.number < first).concat(newest.entries), anew);
}

// Server-sent events out of chunks of text, as firedoor writes them (HTML standard, 9.2.6, with LF alone).
export class Events {
  #rest = '';
  #type = '';
  #data = [];

  *of(chunk) {
    const lines = (this.#rest + chunk).split('\n');
    this.#rest = lines.pop();
    for (const line of lines) {
      if (line === '') {
        if (this.#data.length > 0) yield { type: this.#type || 'message', data: this.#data.join('\n') };
        this.#type = '';
        this.#data = [];
        continue;
      }
      const [, field, value] = /^([^:]*)(?:: ?(.*))?$/s.exec(line);
      if (field === 'event') this.#type = value ?? '';
      else if (field === 'data') this.#data.push(value ?? '');
    }
  }
}
