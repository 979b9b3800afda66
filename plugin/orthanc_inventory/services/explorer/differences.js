// A table of differences or findings, paged and filtered by their kind on the server.

import {button, element, field, fill, select, table} from './elements.js';
import {number} from './words.js';

const PAGE = 100;

// "load(since, limit, kind)" answers the entries of a page; there may be a next one if it is full.
export function pagedTable(caption, columns, row, load, kinds) {
  const list = element('div', {});
  const pages = element('div', {class: 'pages'});
  const kind = select([['', 'All'], ...kinds.map((one) => [one, one])], '');
  const turn = (since) =>
    fill(
      list,
      'Loading …',
      (async () => {
        const entries = await load(since, PAGE, kind.value);
        pages.replaceChildren(
          element('span', {}, entries.length ? `${number(since + 1)}–${number(since + entries.length)}` : ''),
          element(
            'span',
            {class: 'actions'},
            since > 0 && button('Back', () => turn(Math.max(0, since - PAGE))),
            entries.length === PAGE && button('Next', () => turn(since + PAGE)),
          ),
        );
        return entries.length ? table(caption, columns, entries.map(row)) : element('p', {class: 'waiting'}, 'Nothing here.');
      })(),
    );
  kind.addEventListener('change', () => turn(0));
  turn(0);
  return element(
    'div',
    {class: 'cards'},
    kinds.length > 0 && element('div', {class: 'fields'}, field('Show', kind)),
    list,
    pages,
  );
}

// What a pair of values by keyword says.
export function changes(attributes) {
  return Object.entries(attributes ?? {}).map(([keyword, [first, second]]) =>
    element('div', {}, `${keyword}: ${told(first)} → ${told(second)}`),
  );
}

function told(one) {
  return one === null || one === '' ? 'nothing' : String(one);
}
