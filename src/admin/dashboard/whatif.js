// "What if this fails?" of any components together. Changes nothing.
import { plan } from './admin.js';
import { begun, button, h, show } from './element.js';
import { forecast } from './forecast.js';
import { component, state } from './state.js';
import { list } from './words.js';

export async function openWhatIf(dialog, subject) {
  const chosen = new Set(subject ? [subject] : []);
  let told = null;
  let asked = 0;

  const title = () => {
    if (chosen.size === 0) return 'What if …';
    const [only] = chosen;
    return chosen.size === 1 ? `What if ${only} ${component(only)?.status === 'down' ? 'comes up again' : 'fails'}?` : `What if ${list([...chosen])} fail together?`;
  };
  const turn = begun(dialog);
  const draw = () => dialog.turn === turn && show(dialog,
    h('header', { class: 'dialog-head' }, h('h2', { id: 'dialog-title' }, title()), button('close', 'Close', {})),
    h('p', {}, 'Choose what would fail; what is down now would come up again. Nothing is changed by asking.'),
    h('form', { class: 'suppositions' }, state.status.zones.map((zone) => h('fieldset', { 'data-key': zone.name }, h('legend', {}, zone.name, zone.active && ' (active)'),
      zone.components.map((part) => {
        const key = `${zone.name}:${part.name}`;
        return h('label', { 'data-key': key }, h('input', { type: 'checkbox', name: 'component', value: key, checked: chosen.has(key) }),
          h('span', {}, part.name, ' ', h('em', {}, part.status === 'down' ? 'comes up' : 'fails')));
      })))),
    h('div', { class: 'told', role: 'status', 'aria-live': 'polite' }, told ?? 'Nothing chosen.'));

  const suppose = async () => {
    const turn = ++asked;
    const isDown = (key) => component(key)?.status === 'down';
    if (chosen.size === 0) told = null;
    else {
      try {
        const answer = await plan([...chosen].filter((key) => !isDown(key)), [...chosen].filter(isDown));
        if (turn !== asked) return;
        told = forecast(answer);
      } catch (problem) {
        told = h('p', { class: 'bad' }, problem.message);
      }
    }
    draw();
  };

  dialog.onchange = (event) => {
    if (event.target.checked) chosen.add(event.target.value);
    else chosen.delete(event.target.value);
    suppose();
  };
  dialog.onsubmit = (event) => event.preventDefault();
  draw();
  dialog.showModal();
  dialog.querySelector('input:checked, input')?.focus();
  await suppose();
}
