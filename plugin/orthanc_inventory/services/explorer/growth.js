// How successive inventories of one level and scope have grown.

import {element, field, select} from './elements.js';
import {lineChart} from './line_chart.js';
import {dateTime, level, number, scopeInWords, size, sourceInWords} from './words.js';

function kindOf({InventoryLevel, Scope, Source}) {
  return [`${level(InventoryLevel)}: ${scopeInWords(Scope)}`, sourceInWords(Source)].filter(Boolean).join('; ');
}

// "groups" as GET /inventories/statistics answers them; of "wanted", or of all. Null if nothing grew.
export function growth(groups, wanted = null) {
  const grown = groups.filter(
    ({Inventories}) => Inventories.length > 1 && (!wanted || Inventories.some(({SOPInstanceUID}) => SOPInstanceUID === wanted)),
  );
  if (!grown.length) {
    return null;
  }
  const chart = element('div', {});
  const which = select(
    grown.map((group, index) => [String(index), kindOf(group)]),
    '0',
  );
  const measure = select(
    [
      ['Studies', 'Studies'],
      ['Series', 'Series'],
      ['Instances', 'Instances'],
      ['ObjectSize', 'Size of objects'],
    ],
    'Studies',
  );
  const draw = () => {
    const told = measure.value === 'ObjectSize' ? size : (value) => number(Math.round(value));
    const points = grown[Number(which.value)].Inventories.map((one) => ({
      time: Date.UTC(
        one.ContentDate.slice(0, 4),
        one.ContentDate.slice(4, 6) - 1,
        one.ContentDate.slice(6, 8),
        one.ContentTime.slice(0, 2),
        one.ContentTime.slice(2, 4),
        one.ContentTime.slice(4, 6),
      ),
      label: dateTime(one.ContentDate, one.ContentTime),
      value: one[measure.value],
    })).filter(({time, value}) => !Number.isNaN(time) && typeof value === 'number');
    chart.replaceChildren(
      points.length
        ? lineChart('Growth', measure.selectedOptions[0].textContent, points, told)
        : element('p', {class: 'waiting'}, 'The sizes are known once the charts of these inventories were looked at.'),
    );
  };
  which.addEventListener('change', draw);
  measure.addEventListener('change', draw);
  draw();
  return element(
    'section',
    {class: 'card'},
    element(
      'div',
      {class: 'heading'},
      element('h2', {}, 'Growth'),
      element('div', {class: 'actions'}, grown.length > 1 && field('Of', which), field('Number of', measure)),
    ),
    chart,
  );
}
