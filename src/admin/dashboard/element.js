// Elements: made anew from the state each time, then brought into the page with as few changes as possible, so that focus, selection,
// opened details and scroll positions stay where they are while the state moves underneath.
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

// Makes `children` the children of `parent`. An element with data-key stays the same one wherever it moves; data-own marks one whose
// open attribute is the reader's.
export function show(parent, ...children) {
  const keyed = new Map();
  for (const child of parent.children) if (child.dataset.key) keyed.set(child.dataset.key, child);
  let place = parent.firstChild;
  for (let wanted of present(children)) {
    if (!(wanted instanceof Node)) wanted = document.createTextNode(wanted);
    const key = wanted.dataset?.key;
    const there = key ? keyed.get(key) : place;
    if (there && there.nodeName === wanted.nodeName && (there.dataset?.key ?? undefined) === key) {
      keyed.delete(key);
      if (there === place) place = place.nextSibling;
      else parent.insertBefore(there, place);
      adopt(there, wanted);
    } else {
      parent.insertBefore(wanted, place);
    }
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

function adopt(there, wanted) {
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

// A button that `main` carries out by its data-act.
export const button = (act, label, data, attributes) => {
  const made = h('button', { type: 'button', 'data-act': act, ...attributes }, label);
  Object.assign(made.dataset, data);
  return made;
};
