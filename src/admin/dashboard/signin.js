// Asks for the token, where firedoor wants one.
import { hasToken, keep } from './admin.js';
import { h, show } from './element.js';
import { opening } from './words.js';

// Resolves when there is a token to try.
export function signIn(dialog, problem) {
  const wrong = hasToken();
  show(dialog,
    h('h2', { id: 'signin-title' }, 'This firedoor wants a token'),
    h('p', {}, 'The one of ', h('span', { class: 'configured' }, '[admin] token_file'), '. This tab keeps it until it is closed.'),
    h('form', { class: 'fields' },
      h('label', {}, h('span', {}, 'Token'), h('input', { type: 'password', name: 'token', required: true, autocomplete: 'current-password', 'aria-describedby': 'signin-said' })),
      h('p', { id: 'signin-said', class: 'bad', role: 'alert' }, wrong ? `${opening(problem.message)}.` : ''),
      h('div', { class: 'acts' }, h('button', { type: 'submit', class: 'main' }, 'Sign in'))));
  if (!dialog.open) dialog.showModal();
  const field = dialog.querySelector('input');
  field.value = '';
  field.focus();
  // Without a token there is nothing to see behind it.
  dialog.oncancel = (event) => event.preventDefault();
  return new Promise((resolve) => {
    dialog.onsubmit = (event) => {
      event.preventDefault();
      const token = field.value.trim();
      if (token === '') return;
      keep(token);
      dialog.close();
      resolve();
    };
  });
}
