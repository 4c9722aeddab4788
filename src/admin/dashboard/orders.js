// Every order an operator can give here: what it is called, where it goes, and what it would do, told before it is given.
import { plan } from './admin.js';
import { forecast } from './forecast.js';
import { h } from './element.js';
import { inFlight } from './room.js';
import { activeZone, component, zone } from './state.js';

const path = (...parts) => `/v1/${parts.map(encodeURIComponent).join('/')}`;
const split = (key) => { const at = key.indexOf(':'); return [key.slice(0, at), key.slice(at + 1)]; };
const operator = (state) => (key) => { const [of, name] = split(key); return path('zones', of, 'backends', name, state); };
const all = (name) => zone(name).components.map((part) => `${name}:${part.name}`);
const line = (text, kind) => h('li', { class: kind }, text);

export const ORDERS = {
  activate: { title: (to) => `Activate ${to}`, path: (to) => path('zones', to, 'activate'), hold: true, preview: (to, status) => planned(to, status) },
  failback: { title: (_, status) => `Go back to ${status.zones[0].name}`, path: () => path('failback'), hold: true, preview: (_, status) => planned(status.zones[0].name, status) },
  pin: {
    title: (to) => `Pin ${to}`,
    path: (to) => path('zones', to, 'pin'),
    preview: async (to, status) => {
      const given = [line(`${to} stays active whatever happens, until it is unpinned.`)];
      if (to !== status.active_zone) given.push(line(`It isn’t active: all requests go there at once, from ${status.active_zone}.`), ...fitness(to));
      else {
        const answer = await plan(all(to).filter((key) => component(key)?.status !== 'down'), []);
        given.push(line(answer.kind === 'flip' ? `This is what you give up: if ${to} failed, all requests would go to ${answer.to} within ${Math.round(answer.in_ms)} ms.` : 'Nothing is given up now: no other zone could take over.'));
      }
      return given;
    },
  },
  unpin: {
    title: (of) => `Unpin ${of}`,
    path: (of) => path('zones', of, 'unpin'),
    preview: async () => {
      const answer = await plan([], []);
      return [line('Failures move the traffic again.'), answer.kind === 'withheld' && answer.withheld?.rule === 'pinned'
        ? line(`This would happen at once: all requests go to ${answer.to}. ${answer.withheld.explanation}.`, 'bad')
        : line('Nothing moves now.')];
    },
  },
  drill: {
    title: (of) => `Drill: as if ${of} had failed`,
    path: () => path('drill'),
    length: true,
    members: (of, form) => ({ zone: of, for: form.get('for') }),
    preview: async (of) => {
      const answer = await plan(all(of).filter((key) => component(key)?.status !== 'down'), []);
      return [
        answer.kind === 'flip' ? line(`${answer.to} gets all requests for the time you say, then ${of} gets them back.`) : line('No other zone could take over: the drill will be refused.', 'bad'),
        line('Both ways are planned: new requests wait until those in flight are finished, and none is lost.'),
        line('It ends early if requests fare worse than before.'),
      ];
    },
  },
  abort: { title: () => 'End the drill', path: () => path('drill', 'abort'), preview: (_, status) => [line(`All requests go back to ${status.drill?.zone ?? 'the zone that was left'} now, as planned.`)] },
  drain: { title: (key) => `Drain ${key}`, path: operator('drain'), preview: (key, status) => outOf(key, status, 'It gets nothing new and finishes what it has.') },
  maintenance: { title: (key) => `Maintenance of ${key}`, path: operator('maintenance'), preview: (key, status) => outOf(key, status, 'It gets nothing, and isn’t judged.') },
  ready: {
    title: (key) => `${key} takes part again`,
    path: operator('ready'),
    preview: async (key) => {
      if (component(key)?.status !== 'down') return [line('It counts for its zone again, and its checks pass.')];
      return [line('It counts for its zone again, and it is down:', 'bad'), h('li', {}, forecast(await plan([], [])))];
    },
  },
  reload: {
    title: () => 'Reload the configuration',
    path: () => path('reload'),
    reason: false,
    preview: (_, { configuration = {}, config_generation: generation }) => [
      line([h('span', { class: 'configured' }, configuration.path ?? 'the configuration file'), ' is read again.']),
      line(`All or nothing: with a single mistake, generation ${generation} stays in force and the mistakes are listed here.`),
      line('Components that stay the same keep their state.'),
    ],
  },
};

function planned(to, status) {
  const from = activeZone(status).name;
  return [
    status.pinned && line(`${status.pinned} is pinned: this will be refused until it is unpinned.`, 'bad'),
    to === from ? line(`${to} is active already: this will be refused.`, 'bad') : line(`All requests go from ${from} to ${to}.`),
    line(`Now in flight in ${from}: ${inFlight(from, status)}.`),
    ...fitness(to),
    status.drill && line('A drill is under way.', 'bad'),
  ];
}

function fitness(to) {
  const { verdict, reasons } = zone(to);
  if (verdict === 'serving') return [line(`${to} is serving: everything it needs is up.`)];
  return [line(`${to} is ${verdict}. ${reasons.join('; ')}`, 'bad')];
}

function outOf(key, status, what) {
  const [of] = split(key);
  const part = component(key);
  const given = [line(what), line(`While it is out it counts neither way for ${of}: its failure doesn’t flip, and its zone is judged without it.`)];
  const pool = part.kind === 'backend' && status.pools.find((one) => one.name === part.pool)?.zones.find((one) => one.name === of);
  if (pool) {
    const left = pool.up - (part.status === 'up' && part.operator === 'ready' ? 1 : 0);
    given.push(line(`${left} of ${pool.total} backends of pool ${part.pool} are left in ${of}; ${part.in_flight} requests are in flight here.`, left === 0 ? 'bad' : null));
  }
  return given;
}
