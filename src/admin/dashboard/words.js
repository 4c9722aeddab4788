// Numbers and times as people say them.
const two = (number) => String(number).padStart(2, '0');

// `3 h 12 min`, of milliseconds.
export function span(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return s < 600 ? `${Math.floor(s / 60)} min ${s % 60} s` : `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

// The time of day, with the date unless it is today's.
export function clock(at) {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return '';
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return date.toDateString() === new Date().toDateString() ? time : `${day(at)} ${time}`;
}

// `2026-11-28`
export function day(at) {
  const date = new Date(at);
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

// Latencies to three digits at most: `0.7 ms`, `312 ms`, `1.25 s`.
export function latency(ms) {
  if (ms === null || ms === undefined) return '–';
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`;
}

// Requests a second.
export function rate(value) {
  if (value === null || value === undefined) return '–';
  if (value === 0) return '0';
  return value < 10 ? value.toFixed(1) : String(Math.round(value));
}

// `1 request`, `2 requests`
export const count = (number, noun, plural = `${noun}s`) => `${number} ${number === 1 ? noun : plural}`;

// `a`, `a and b`, `a, b and c`
export const list = (items) => (items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`);

// As the beginning of a sentence; the name of a zone stays as it is.
export const opening = (text) => text.replace(/^(an?|the|no|stay|nothing)\b/, (word) => word.charAt(0).toUpperCase() + word.slice(1));

// Which clock the page's times are of.
export const zoneOfTime = () => Intl.DateTimeFormat().resolvedOptions().timeZone;
