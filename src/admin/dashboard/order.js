// The dialog of an order: what would happen, why it is given, and what came of it.
import { Problem, ask, json } from './admin.js';
import { begun, button, h, show } from './element.js';
import { ORDERS } from './orders.js';
import { problems } from './setup.js';
import { changed, takeStatus } from './state.js';

export async function openOrder(dialog, name, subject) {
  const order = ORDERS[name];
  let seen = null;
  // As functions: what is drawn belongs to the page, and can't be drawn twice.
  let preview = () => h('p', {}, 'Looking …');
  let result = null;
  let busy = false;

  const turn = begun(dialog);
  const draw = () => dialog.turn === turn && show(dialog,
    h('header', { class: 'dialog-head' }, h('h2', { id: 'dialog-title' }, seen ? order.title(subject, seen.status) : 'One moment'), button('close', 'Close', {})),
    h('section', { class: 'preview', 'data-key': 'preview' }, h('h3', {}, 'What will happen'), preview()),
    result?.done ? null : h('form', { class: 'fields', 'data-key': 'fields' },
      order.length && h('label', { 'data-key': 'for' }, h('span', {}, 'For how long (1s to 24h)'), h('input', { name: 'for', value: '10m', required: true, pattern: '\\d+(ms|s|m|h)', autocomplete: 'off' })),
      order.reason !== false && h('label', { 'data-key': 'reason' }, h('span', {}, 'Reason, for the journal'), h('input', { name: 'reason', maxlength: 300, autocomplete: 'off' })),
      h('label', { 'data-key': 'name' }, h('span', {}, 'Your name, for the journal'), h('input', { name: 'name', maxlength: 60, autocomplete: 'name', value: known() })),
      order.hold && h('label', { class: 'tick', 'data-key': 'hold' }, h('input', { type: 'checkbox', name: 'hold', checked: true }), h('span', {}, 'New requests wait until those in flight are finished')),
      h('div', { class: 'acts', 'data-key': 'acts' },
        h('button', { type: 'submit', class: 'main', disabled: busy || seen === null }, busy ? 'Under way …' : (seen ? order.title(subject, seen.status) : '…')),
        button('close', 'Cancel', {}))),
    h('div', { class: 'result', role: 'status', 'aria-live': 'polite', 'data-key': 'result', 'data-done': result && String(result.done) }, result?.told(),
      result?.done && h('div', { class: 'acts' }, button('close', 'Close', {}, { class: 'main' }))));

  // Looked at anew, with the tag of what is looked at: the order is refused if somebody else has changed it in between.
  const look = async () => {
    try {
      const response = await ask('/v1/status');
      const status = await response.json();
      takeStatus(status);
      changed();
      seen = { status, tag: response.headers.get('etag') };
      const foreseen = h('ul', { class: 'foreseen' }, await order.preview(subject, status));
      preview = () => foreseen.cloneNode(true);
    } catch (problem) {
      preview = () => h('p', { class: 'bad' }, trouble(problem));
    }
    draw();
  };

  dialog.onchange = null;
  dialog.onsubmit = async (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    const reason = form.get('reason')?.trim();
    const body = {
      ...(order.members?.(subject, form) ?? {}),
      ...(reason ? { reason } : {}),
      ...(order.hold ? { hold: form.has('hold') } : {}),
    };
    const name = form.get('name').trim();
    remember(name);
    busy = true;
    result = null;
    draw();
    try {
      const answer = await json(order.path(subject), { method: 'POST', body, match: seen.tag, headers: name ? { 'Firedoor-Operator': encodeURIComponent(name) } : {} });
      result = { done: true, told: () => h('p', { class: 'good' }, h('strong', {}, 'Done. '), told(answer)) };
    } catch (problem) {
      if (problem.status === 412) {
        result = { done: false, told: () => h('p', { class: 'bad' }, 'Not done: something has been changed since you looked. Look at it again, then decide.') };
        await look();
      } else {
        result = { done: false, told: () => [h('p', { class: 'bad' }, h('strong', {}, 'Not done. '), trouble(problem)), problem.problems?.length > 0 && problems(problem.problems)] };
      }
    }
    busy = false;
    draw();
    if (dialog.turn === turn) dialog.querySelector('.result button')?.focus();
  };
  draw();
  dialog.showModal();
  await look();
  if (dialog.turn === turn) dialog.querySelector('input[name=for], input[name=reason], button[type=submit]')?.focus();
}

// Whoever gives orders here is asked for a name once.
const KEY = 'firedoor-operator';
function known() {
  try { return localStorage.getItem(KEY) ?? ''; } catch { return ''; }
}
function remember(name) {
  try { localStorage.setItem(KEY, name); } catch { /* asked again */ }
}

function told(answer) {
  if (answer.message) return answer.message;
  const changes = answer.changes?.length > 0 ? answer.changes.join('; ') : 'no component changed';
  return `Configuration ${answer.generation} is in force: ${changes}.`;
}

const trouble = (problem) => (problem instanceof Problem ? problem.message
  : 'firedoor could not be reached, so it isn’t known whether it was done: see what the page shows when it is back.');
