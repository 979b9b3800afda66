// What an inventory lists, by modality, year, SOP class and transfer syntax.

import {barChart} from './bar_chart.js';
import {element, field, select} from './elements.js';
import {number, size} from './words.js';
import names from './uid_names.js';

const GROUPS = [
  ['Modalities', 'By modality', (name) => name || 'Without'],
  ['SOPClasses', 'By SOP class', (uid) => names[uid] ?? (uid || 'Unknown')],
  ['TransferSyntaxes', 'By transfer syntax', (uid) => names[uid] ?? (uid || 'Unknown')],
  ['Years', 'By year of study', (name) => name || '– without a date'],
];

// "statistics" as GET /inventories/{uid}/statistics answers them. What the level does not tell has no chart.
export function charts(statistics, level) {
  const measures = {STUDY: ['Studies'], SERIES: ['Studies', 'Series'], INSTANCE: ['Instances', 'Studies', 'Series', 'Size']}[
    level
  ];
  const chosen = select(
    measures.map((one) => [one, one === 'Size' ? 'Size of objects' : one]),
    measures[0],
  );
  const place = element('div', {class: 'pair'});
  const draw = () =>
    place.replaceChildren(
      ...GROUPS.filter(([group]) => shown(statistics, group, level)).map(([group, title, named]) => {
        const measure = has(statistics[group], chosen.value) ? chosen.value : 'Instances';
        const entries = Object.entries(statistics[group]).map(([name, counts]) => [named(name), counts[measure]]);
        if (group !== 'Years') {
          entries.sort((one, other) => other[1] - one[1]);
        } else {
          entries.sort(([one], [other]) => other.localeCompare(one));
        }
        return barChart(title, measure, entries, measure === 'Size' ? size : number);
      }),
    );
  chosen.addEventListener('change', draw);
  draw();
  const {Studies, Series, Instances} = statistics.Removed;
  return [
    element(
      'div',
      {class: 'heading'},
      element('h2', {}, level === 'INSTANCE' ? `What is in it: ${size(statistics.Size)} of objects` : 'What is in it'),
      measures.length > 1 && element('div', {class: 'actions'}, field('Count', chosen)),
    ),
    Studies + Series + Instances > 0 &&
      element(
        'p',
        {class: 'facts'},
        `Removed from use, and not counted here: ${number(Studies)} studies, ${number(Series)} series, ${number(Instances)} instances.`,
      ),
    place,
  ];
}

function shown(statistics, group, level) {
  return level === 'INSTANCE' || ['Modalities', 'Years'].includes(group);
}

function has(groups, measure) {
  const [first] = Object.values(groups);
  return first !== undefined && measure in first;
}
