// Bars beside their names and numbers: a table to the ear, a chart to the eye.

import {button, drawing, element} from './elements.js';

const FIRST = 10;
const MOST = 200;

// Entries are [name, number], the largest first is up to the caller; "told" puts a number into words.
export function barChart(title, measure, entries, told) {
  const largest = Math.max(1, ...entries.map(([, value]) => value));
  const body = element('tbody');
  const rows = entries
    .slice(0, MOST)
    .map(([name, value]) =>
      element(
        'tr',
        {},
        element('th', {scope: 'row'}, name),
        element(
          'td',
          {class: 'bar'},
          drawing(
            'svg',
            {'aria-hidden': 'true', preserveAspectRatio: 'none', viewBox: '0 0 100 10'},
            drawing('rect', {class: 'mark', width: Math.max(0.5, (100 * value) / largest), height: 10, rx: 1}),
          ),
        ),
        element('td', {class: 'number'}, told(value)),
      ),
    );
  body.append(...rows.slice(0, FIRST));
  const more =
    rows.length > FIRST &&
    button(
      `Show all ${entries.length > MOST ? `of the first ${MOST}` : rows.length}`,
      () => {
        body.append(...rows.slice(FIRST));
        more.remove();
      },
      'plain',
    );
  return element(
    'section',
    {class: 'card'},
    element('h3', {}, title),
    entries.length
      ? element(
          'table',
          {class: 'bars'},
          element('caption', {class: 'hidden'}, `${title}: ${measure}`),
          element(
            'thead',
            {class: 'hidden'},
            element(
              'tr',
              {},
              ['Name', 'Bar', measure].map((name) => element('th', {scope: 'col'}, name)),
            ),
          ),
          body,
        )
      : element('p', {class: 'waiting'}, 'Nothing to show.'),
    more || null,
  );
}
