// Elements of the page. Text becomes text nodes and nothing else, wherever it came from.

const SVG = 'http://www.w3.org/2000/svg';

// Attributes by name; a function under "onclick" and the like listens, false and null leave the attribute out.
// Children: texts, numbers, nodes, lists of them; null and false are left out.
export function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

export function drawing(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') {
      node.addEventListener(name.slice(2), value);
    } else if (value !== false && value !== null && value !== undefined) {
      node.setAttribute(name, value === true ? '' : value);
    }
  }
  node.append(...children.flat(Infinity).filter(isShown));
  return node;
}

function isShown(child) {
  return child !== null && child !== undefined && child !== false;
}

export function button(label, act, kind = '') {
  return element('button', {type: 'button', class: kind, onclick: act}, label);
}

export function link(label, href, attributes = {}) {
  return element('a', {href, ...attributes}, label);
}

// A table of at most 200 rows, which scrolls by itself where the screen is narrower. A column: {title; number: right-aligned;
// wide: left out on narrow screens}. A row: one child for each column.
export function table(caption, columns, rows) {
  const kinds = columns.map(({number, wide}) => [number && 'number', wide && 'wide'].filter(Boolean).join(' '));
  const body = rows.slice(0, 200).map((cells) =>
    element(
      'tr',
      {},
      cells.map((cell, index) => element('td', {class: kinds[index]}, cell)),
    ),
  );
  return element(
    'div',
    {class: 'scroll', tabindex: 0, role: 'region', 'aria-label': caption},
    element(
      'table',
      {},
      element('caption', {class: 'hidden'}, caption),
      element(
        'thead',
        {},
        element(
          'tr',
          {},
          columns.map(({title}, index) => element('th', {scope: 'col', class: kinds[index]}, title)),
        ),
      ),
      element('tbody', {}, body),
    ),
  );
}

// Pairs of a term and what is told of it; pairs without a value are left out.
export function terms(pairs) {
  const told = pairs.filter(([, value]) => isShown(value) && value !== '');
  return element(
    'dl',
    {class: 'terms'},
    told.map(([term, value]) => element('div', {}, element('dt', {}, term), element('dd', {}, value))),
  );
}

let fields = 0;

// A form control with its label, and a hint if there is one.
export function field(label, control, hint = '') {
  control.id = `field${++fields}`;
  const described = hint && element('small', {id: `${control.id}hint`}, hint);
  if (described) {
    control.setAttribute('aria-describedby', described.id);
  }
  return element('div', {class: 'field'}, element('label', {for: control.id}, label), control, described || null);
}

export function select(options, chosen, attributes = {}) {
  const choices = options.map(([value, label]) => element('option', {value, selected: value === chosen}, label));
  return element('select', attributes, choices);
}

// What went wrong, in one line, in the place where it matters.
export function problem(error) {
  return element('p', {class: 'problem', role: 'alert'}, error.message);
}

export function waiting(text) {
  return element('p', {class: 'waiting', 'aria-busy': 'true'}, text);
}

// Puts into a place what the promise gives, or why it gives nothing.
export async function fill(place, text, promise) {
  place.replaceChildren(waiting(text));
  try {
    place.replaceChildren(...[await promise].flat().filter(isShown));
  } catch (error) {
    if (error.name !== 'AbortError') {
      place.replaceChildren(problem(error));
    }
  }
  return place;
}

// Tells people who hear the page what has changed on it.
export function say(text) {
  document.getElementById('said').textContent = text;
}
