// View: what one inventory has and another has not.

import {inventoryChoices} from './choices.js';
import {element, field, fill, link, problem, select, table} from './elements.js';
import {changes, pagedTable} from './differences.js';
import {lists} from './downloads.js';
import {get, post} from './server.js';
import {number, percent} from './words.js';

const KINDS = ['Missing', 'Extra', 'Different'];
const COLUMNS = [
  {title: 'Kind'},
  {title: 'Level', wide: true},
  {title: 'Patient ID', wide: true},
  {title: 'UID'},
  {title: 'First → second'},
];

export async function show(place, lifetime, first, second) {
  const inventories = await inventoryChoices(lifetime);
  place.append(
    element(
      'div',
      {class: 'heading'},
      element('h1', {}, 'Compare'),
      element('p', {}, 'Missing is what only the first has, extra what only the second has.'),
    ),
  );
  if (!inventories.length) {
    place.append(
      element(
        'section',
        {class: 'card empty'},
        element('h2', {}, 'There is no inventory yet'),
        link('Make the first one', '#/new', {class: 'button primary'}),
      ),
    );
    return;
  }
  const one = select(inventories, first);
  const other = select([['', 'Choose …'], ...inventories], second ?? '');
  const depth = select(
    [
      ['', 'As deep as both go'],
      ['STUDY', 'Studies'],
      ['SERIES', 'Series'],
      ['INSTANCE', 'Instances'],
    ],
    '',
  );
  const file = element('input', {type: 'file'});
  const answer = element('div', {class: 'cards', 'aria-live': 'polite'});

  async function compare() {
    if (file.files.length) {
      await fill(answer, 'Comparing …', post(`/inventories/${one.value}/compare`, file.files[0], lifetime).then(resultOfFile));
    } else if (other.value) {
      await fill(answer, 'Comparing …', result(one.value, other.value, depth.value, lifetime));
    } else {
      answer.replaceChildren(problem({message: 'Choose a second inventory, or a file.'}));
    }
  }

  other.addEventListener('change', () => {
    file.value = '';
  });
  file.addEventListener('change', () => {
    other.value = '';
  });
  place.append(
    element(
      'form',
      {
        class: 'card',
        onsubmit: (event) => {
          event.preventDefault();
          compare();
        },
      },
      element(
        'div',
        {class: 'fields long'},
        field('First inventory', one),
        field('Second inventory', other),
        field('Compare', depth),
      ),
      droppable(field('Or a file as the second: an inventory, a ZIP of one, or a list as CSV', file), file),
      element('div', {class: 'actions'}, element('button', {type: 'submit', class: 'primary'}, 'Compare')),
    ),
    answer,
  );
  if (second) {
    await compare();
  }
}

// A file that is dropped on the node goes into the input.
function droppable(node, input) {
  const drop = element('div', {class: 'drop'}, node);
  for (const [name, over] of [
    ['dragover', true],
    ['dragleave', false],
    ['drop', false],
  ]) {
    drop.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.toggle('over', over);
      if (name === 'drop' && event.dataTransfer.files.length) {
        input.files = event.dataTransfer.files;
        input.dispatchEvent(new Event('change'));
      }
    });
  }
  return drop;
}

async function result(first, second, depth, lifetime) {
  const path = `/inventories/${first}/compare/${second}?level=${depth}`.replace(/\?level=$/, '?');
  const compared = await get(`${path}&limit=1`.replace('?&', '?'), lifetime);
  const ask = (more) => `${path}&${more}`.replace('?&', '?');
  return [
    ...totals(compared),
    !compared.Same &&
      element(
        'section',
        {class: 'card'},
        element('h2', {}, 'Differences'),
        lists([
          ['All as CSV', ask('format=csv'), 'differences.csv'],
          ...KINDS.map((kind) => [
            `UIDs of ${kind.toLowerCase()} studies`,
            ask(`format=uids&kind=${kind}`),
            `${kind.toLowerCase()}.txt`,
          ]),
        ]),
        pagedTable(
          'Differences',
          COLUMNS,
          differenceRow,
          async (since, limit, kind) => {
            const page = await get(ask(`since=${since}&limit=${limit}${kind && `&kind=${kind}`}`), lifetime);
            return page.Differences;
          },
          KINDS,
        ),
      ),
  ];
}

function resultOfFile(compared) {
  const shown = compared.Differences.slice(0, 200);
  return [
    ...totals(compared),
    shown.length > 0 &&
      element(
        'section',
        {class: 'card'},
        element('h2', {}, shown.length < differences(compared) ? `The first ${shown.length} differences` : 'Differences'),
        table('Differences', COLUMNS, shown.map(differenceRow)),
      ),
  ];
}

function differenceRow({Kind, Level, PatientID, StudyInstanceUID, SeriesInstanceUID, SOPInstanceUID, Attributes}) {
  return [
    Kind,
    Level,
    PatientID ?? '–',
    element('span', {class: 'uid'}, SOPInstanceUID ?? SeriesInstanceUID ?? StudyInstanceUID),
    changes(Attributes),
  ];
}

function differences(compared) {
  return ['Studies', 'Series', 'Instances']
    .flatMap((one) => KINDS.map((kind) => compared[one]?.[kind] ?? 0))
    .reduce((sum, one) => sum + one, 0);
}

function totals(compared) {
  const levels = ['Studies', 'Series', 'Instances'].slice(0, {STUDY: 1, SERIES: 2, INSTANCE: 3}[compared.Level]);
  const columns = ['First', 'Second', ...KINDS];
  return [
    element(
      'p',
      {class: compared.Same ? 'success' : 'warning'},
      [
        compared.Same ? 'They are the same' : 'They differ',
        typeof compared.Coverage === 'number' ? `; ${percent(compared.Coverage)} of the first is in the second.` : '.',
      ].join(''),
    ),
    element(
      'section',
      {class: 'card'},
      element('h2', {}, 'Totals'),
      table(
        'Totals',
        [{title: 'Level'}, ...columns.map((title) => ({title, number: true}))],
        levels.map((one) => [one, ...columns.map((column) => number(compared[one][column]))]),
      ),
      element('p', {class: 'facts'}, `Compared: ${(compared.Attributes ?? []).join(', ') || 'identifiers only'}`),
    ),
  ];
}
