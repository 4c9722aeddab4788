// The state of everything in one sentence, and what else an operator asks at 3 a.m.
import { activeZone, standbys } from './state.js';
import { clock, list, opening } from './words.js';

const GRADES = { pass: 'All well', warn: 'Look at this', fail: 'Nothing can serve' };

// `{grade, label, headline, hint}` of a /v1/status.
export function sentence(status) {
  const active = activeZone(status);
  const preferred = status.zones[0];
  const ready = standbys(status).filter((zone) => zone.verdict === 'serving').map((zone) => zone.name);
  const none = status.zones.length < 2 ? 'There is no other zone.' : 'No standby is ready: the next failure is an outage.';
  const standby = ready.length === 0 ? none : `${list(ready)} ${ready.length === 1 ? 'stands' : 'stand'} by, ready to take over.`;
  const label = status.flip_pending ? 'A flip is under way' : active.verdict === 'unknown' ? 'Not everything is known yet' : status.drill && status.status !== 'fail' ? 'A drill is under way' : GRADES[status.status];
  const told = headline();
  const harmless = status.status === 'pass' && broken(status).length > 0;
  if (status.phase === 'draining') told.hint += ' firedoor is ending: it takes nothing new, and finishes what is in flight.';
  return { grade: status.status, label: harmless ? 'Well, with a fault that fails no zone' : label, ...told };

  function headline() {
    if (status.flip_pending) {
      return {
        headline: `Going from ${active.name} to ${status.flip_pending}.`,
        hint: `New requests wait until those in flight in ${active.name} are finished; then all go to ${status.flip_pending} at once.`,
      };
    }
    if (status.drill) {
      return {
        headline: `Drill: ${status.drill.away} has the traffic, as if ${status.drill.zone} had failed.`,
        hint: `It goes back by itself at ${clock(status.drill.until)}, and earlier if requests fare worse. ${standby}`,
      };
    }
    if (active.verdict === 'failed') {
      const stays = status.pinned
        ? `It stays active because an operator pinned it.`
        : ready.length > 0 ? `${opening(status.decision)}.` : 'There is nowhere to go: no other zone could serve more.';
      return { headline: `${active.name} is active and has failed.`, hint: stays };
    }
    if (active.verdict === 'unknown') {
      return { headline: `${active.name} is active; not everything has been checked yet.`, hint: standby };
    }
    const pinned = status.pinned ? ` ${status.pinned} is pinned: it stays active whatever happens.` : '';
    if (active !== preferred) {
      const back = preferred.verdict === 'serving'
        ? `${preferred.name} is well again: go back when you like.`
        : preferred.verdict === 'failed' ? `${preferred.name} has failed; once it is well again, you can go back.` : `${preferred.name} isn’t known yet.`;
      const others = ready.filter((name) => name !== preferred.name);
      const beside = preferred.verdict === 'serving' ? '' : others.length > 0 ? ` ${list(others)} stands by.` : ` ${none}`;
      return { headline: `${active.name} is active instead of ${preferred.name}.`, hint: back + beside + pinned };
    }
    if (ready.length === 0 && status.zones.length > 1) {
      const others = standbys(status).map((zone) => `${zone.name} ${zone.verdict === 'failed' ? 'has failed' : 'isn’t known yet'}`);
      return { headline: `${active.name} is active, without a standby.`, hint: `${list(others)}: the next failure is an outage.${pinned}` };
    }
    return { headline: `${active.name} is active and serving.`, hint: standby + pinned };
  }
}

// What doesn't work, by observation: `{who, what}`.
export function broken(status) {
  const found = [];
  for (const zone of status.zones) {
    for (const part of zone.components) {
      if (part.operator !== 'ready') continue;
      const who = `${zone.name}:${part.name}`;
      if (part.status === 'down') {
        const how = part.last ? `${part.last.code}, ${part.last.detail}` : 'no check has passed';
        found.push({ who, what: `is down since ${clock(part.since)}: ${how}${part.required === false ? ' (not required)' : ''}` });
      } else if (part.gray) {
        found.push({ who, what: 'passes its checks, but fails live requests' });
      }
    }
  }
  for (const certificate of status.certificates ?? []) {
    if (certificate.flaw) found.push({ who: certificate.names.join(', '), what: `certificate: ${certificate.flaw}` });
  }
  return found.concat(troubles(status).map((what) => ({ who: 'firedoor', what })));
}

// What operators have taken out: `{who, what}`.
export function takenOut(status) {
  return status.zones.flatMap((zone) =>
    zone.components
      .filter((part) => part.operator !== 'ready')
      .map((part) => ({ who: `${zone.name}:${part.name}`, what: part.operator === 'drain' ? 'is draining' : 'is in maintenance' })));
}

// What firedoor says of itself in its notes (a disk that takes no journal): all that isn't about zones, which the page tells better.
function troubles(status) {
  const zones = new Set(status.zones.flatMap((zone) => zone.reasons.flatMap((reason) => [reason, `${zone.name}: ${reason}`])));
  const active = `${status.active_zone} is active `;
  return status.notes.filter((note) => !zones.has(note) && !note.startsWith(active) && note !== 'no standby is ready');
}
