// Elements: made anew from the state each time, then brought into the page with as few changes as possible, so that focus, selection,
// opened details and scroll positions stay where they are while the state moves underneath.
import { now } from './state.js';
import { clock, span } from './words.js';

const SVG = 'http://www.w3.org/2000/svg';

// An HTML element. A child that is null or false is left out.
export const h = (tag, attributes, ...children) => build(document.createElement(tag), attributes, children);

// An SVG element.
export const svg = (tag, attributes, ...children) => build(document.createElementNS(SVG, tag), attributes, children);

function build(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...present(children));
  return node;
}

const present = (children) => children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);

// Makes `children`, which are then no longer the caller's, the children of `parent`. An element with data-key stays the same one wherever it is, any other the next one that is
// like it; data-own marks one whose open attribute is the reader's.
export function show(parent, ...children) {
  const wanted = present(children).map((child) => (child instanceof Node ? child : document.createTextNode(child)));
  const keys = new Set(wanted.map(key));
  const keyed = new Map();
  for (const child of [...parent.children]) {
    const name = key(child);
    if (name !== undefined && !keys.has(name)) child.remove();
    else if (name !== undefined) keyed.set(name, child);
  }
  let place = parent.firstChild;
  for (const next of wanted) {
    let there = place;
    if (key(next) !== undefined) there = keyed.get(key(next));
    else while (there && !alike(there, next)) there = there.nextSibling;
    if (there && alike(there, next)) {
      if (key(next) === undefined) while (place !== there) place = dropped(place);
      if (place === there) place = place.nextSibling;
      else parent.insertBefore(there, place);
      adopt(there, next);
    } else {
      parent.insertBefore(next, place);
    }
  }
  while (place) place = dropped(place);
}

const key = (node) => node.dataset?.key;
const alike = (one, other) => one.nodeName === other.nodeName && key(one) === key(other) && one.classList?.[0] === other.classList?.[0];

function dropped(node) {
  const next = node.nextSibling;
  node.remove();
  return next;
}

// Stands for one that is in the page already, with that key, and stays as it is.
export const same = (tag, kind, key) => h(tag, { class: kind, 'data-key': key, 'data-same': true });

// For how long, as of now: it grows although nothing else changes.
export const age = (since) => h('time', { datetime: since, title: `since ${clock(since)}`, 'data-since': Date.parse(since) }, span(now() - Date.parse(since)));

// Lets the ages in `place` grow.
export function grow(place) {
  for (const time of place.querySelectorAll('time[data-since]')) {
    const text = span(now() - Number(time.dataset.since));
    if (time.firstChild.data !== text) time.firstChild.data = text;
  }
}

function adopt(there, wanted) {
  if (wanted.dataset?.same !== undefined) return;
  if (there.nodeType !== Node.ELEMENT_NODE) {
    if (there.data !== wanted.data) there.data = wanted.data;
    return;
  }
  const own = there.hasAttribute('data-own');
  for (const { name, value } of wanted.attributes) {
    if (there.getAttribute(name) !== value && !(own && name === 'open')) there.setAttribute(name, value);
  }
  for (const { name } of [...there.attributes]) {
    if (!wanted.hasAttribute(name) && !(own && name === 'open')) there.removeAttribute(name);
  }
  show(there, [...wanted.childNodes]);
}

// Empties a dialog for another use. What still comes for an earlier one must not be shown in it: its turn is another.
export function begun(dialog) {
  dialog.replaceChildren();
  dialog.turn = Symbol('turn');
  return dialog.turn;
}

// A button that `main` carries out by its data-act.
export const button = (act, label, data, attributes) => {
  const made = h('button', { type: 'button', 'data-act': act, ...attributes }, label);
  Object.assign(made.dataset, data);
  return made;
};
