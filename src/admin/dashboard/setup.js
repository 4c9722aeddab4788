// The configuration in force and how its last reload went, and the certificates.
import { button, h } from './element.js';
import { now } from './state.js';
import { clock, day, span } from './words.js';

export function setup({ status }) {
  const configuration = status.configuration ?? {};
  const reload = configuration.last_reload;
  return [
    h('header', { class: 'card-head' }, h('h2', { id: 'setup-title' }, 'Configuration'), button('order', 'Reload…', { order: 'reload' })),
    h('dl', { class: 'pairs' },
      h('dt', {}, 'file'), h('dd', {}, configuration.path ? h('span', { class: 'configured' }, configuration.path) : 'none: it can’t be reloaded'),
      h('dt', {}, 'generation'), h('dd', {}, String(status.config_generation), configuration.loaded_at && `, in force since ${clock(configuration.loaded_at)}`),
      h('dt', {}, 'last reload'), h('dd', {}, !reload ? 'none since the start' : reload.successful ? `${clock(reload.at)}, taken`
        : [h('strong', { class: 'bad' }, `${clock(reload.at)}, refused; the old one stays in force`), problems(reload.problems)])),
    h('h3', {}, 'Certificates'),
    status.certificates.length + status.acme.length === 0 ? h('p', { class: 'faint' }, 'No listener speaks TLS.') : h('table', { class: 'certificates' },
      h('thead', {}, h('tr', {}, ['names', 'listener', 'expires'].map((head) => h('th', { scope: 'col' }, head)))),
      h('tbody', {}, status.certificates.map((one) => h('tr', {},
        h('td', {}, one.names.join(', ') || '–', one.flaw && h('strong', { class: 'bad' }, ` ${one.flaw}`)),
        h('td', {}, h('span', { class: 'configured' }, one.listener), one.source === 'acme' && ' ACME'),
        h('td', {}, expiry(one.not_after)))))),
    status.acme.map((order) => h('p', { 'data-key': `acme:${order.name}` }, h('span', { class: 'configured' }, order.name), ` by ACME: ${order.state}`,
      order.next_order && `, next order ${clock(order.next_order)}`,
      order.error && h('strong', { class: 'bad' }, ` ${order.failures} failures, last: ${order.error.text}`))),
  ];
}

export const problems = (found) => h('ul', { class: 'problems' }, found.map((problem) => h('li', {}, problemText(problem))));

// As text, or as `firedoor check --format json` says it.
const problemText = (problem) => (typeof problem === 'string' ? problem
  : [h('span', { class: 'configured' }, [problem.file, problem.line].filter(Boolean).join(':')), ` ${problem.message ?? ''}`, problem.hint && h('span', { class: 'evidence' }, problem.hint)]);

function expiry(at) {
  if (!at) return '–';
  const left = Date.parse(at) - now();
  const text = left < 0 ? `expired ${span(-left)} ago` : `${day(at)}, in ${span(left)}`;
  return left < 14 * 86_400_000 ? h('strong', { class: 'bad' }, text) : text;
}
