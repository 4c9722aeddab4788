// The page: puts the state into its places, and carries out what buttons say.
import { json, keep } from './admin.js';
import { grow, h, show } from './element.js';
import { follow } from './feed.js';
import { journal } from './journal.js';
import { identity, link } from './link.js';
import { openOrder } from './order.js';
import { plan } from './room.js';
import { setup } from './setup.js';
import { signIn } from './signin.js';
import { changed, state, watch } from './state.js';
import { announcement, summary, title } from './summary.js';
import { traffic } from './traffic.js';
import { openWhatIf } from './whatif.js';
import { zoneOfTime } from './words.js';

const place = (id) => document.getElementById(id);
const dialog = place('dialog');
let told = null;
let linked = null;

watch(() => {
  const focused = document.activeElement;
  draw();
  // What had the focus may be gone with the state it was for.
  if (!focused.isConnected && !dialog.open) place('summary').focus();
});

function draw() {
  show(place('link'), link());
  document.title = title(state);
  document.body.dataset.link = state.link;
  if (state.link !== linked && state.status !== null) {
    if (linked === 'live') announce({ polite: 'The connection to firedoor is lost. What is shown is the last that was seen.' });
    else if (state.link === 'live' && linked !== null) announce({ polite: 'The connection to firedoor is back.' });
  }
  linked = state.link;
  const { status } = state;
  if (status === null) return;
  show(place('identity'), identity(state));
  show(place('summary'), summary(state));
  show(place('plan'), plan(state));
  grow(place('plan'));
  show(place('journal'), journal(state));
  show(place('traffic'), traffic(state));
  show(place('setup'), setup(state));
  show(place('legend'), legend(status));
  if (told === null) told = status;
  const news = announcement(told, status);
  if (news) announce(news);
  told = status;
}

function announce({ polite, alarm }) {
  if (polite) place('announcer').textContent = polite;
  if (alarm) place('alarm').textContent = alarm;
}

// What comes from where is told by shape, never by colour alone.
const legend = (status) => [
  h('p', {}, h('span', {}, 'observed by checks'), ' is plain, '),
  h('p', {}, h('span', { class: 'operator' }, 'said by an operator'), ' is framed, '),
  h('p', {}, h('span', { class: 'configured' }, 'configured'), ' is typewritten.'),
  h('p', {}, `Times are of ${zoneOfTime()}.`),
  status.demo && h('p', {}, 'This is a demo: its components can be broken from here.'),
];

const acts = {
  close: () => dialog.close(),
  open: ({ subject }) => {
    if (!state.open.delete(subject)) state.open.add(subject);
    changed();
  },
  whatif: ({ subject }) => openWhatIf(dialog, subject),
  order: ({ order, subject }) => openOrder(dialog, order, subject),
  signout: () => {
    keep(null);
    location.reload();
  },
  demo: async ({ verb, subject }) => {
    try {
      announce({ polite: (await json(`/v1/demo/${encodeURIComponent(subject)}/${verb}`, { method: 'POST' })).message });
    } catch (problem) {
      announce({ alarm: problem.message });
    }
  },
};

document.addEventListener('click', (event) => {
  const button = event.target.closest('[data-act]');
  if (button) acts[button.dataset.act](button.dataset);
});
place('journal').addEventListener('change', (event) => {
  state.everything = event.target.value === 'all';
  changed();
});

// The same for the button that opened a dialog. Until the next frame what had the focus in the dialog has it still.
dialog.addEventListener('close', () => {
  dialog.turn = null;
  const focused = document.activeElement;
  if (focused === document.body || dialog.contains(focused)) place('summary').focus();
});

// Ages grow although nothing comes.
setInterval(changed, 1000);
changed();
follow(() => changed(), (problem) => signIn(place('signin'), problem));
