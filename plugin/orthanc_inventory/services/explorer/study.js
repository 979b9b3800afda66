// View: one study of an inventory, down to its instances.

import {button, element, link, table, terms} from './elements.js';
import {head} from './inventory.js';
import {get} from './server.js';
import {counted, date, dateTime, number, size, value} from './words.js';
import names from './uid_names.js';

const PAGE = 100;
const SERIES = '00080424';
const INSTANCES = '00080425';
const FILE_ACCESS = '0008041A';

export async function show(place, lifetime, uid, studyUid) {
  const [inventory, studies] = await Promise.all([
    get(`/inventories/${uid}`, lifetime),
    get(`/inventories/${uid}/studies/${studyUid}`, lifetime),
  ]);
  place.append(
    head(inventory, '/studies'),
    link('All studies of this inventory', `#/inventories/${uid}/studies`),
    ...studies.map(described),
  );
}

function described(study) {
  const series = study[SERIES]?.Value ?? [];
  return element(
    'section',
    {class: 'card'},
    element('h2', {}, value(study, '00100010') || 'Without a name'),
    removed(study),
    terms([
      ['Patient ID', value(study, '00100020')],
      ['Born', date(value(study, '00100030'))],
      ['Sex', value(study, '00100040')],
      ['Study date', date(value(study, '00080020'))],
      ['Description', value(study, '00081030')],
      ['Accession number', value(study, '00080050')],
      ['Modalities', value(study, '00080061')],
      ['Referring physician', value(study, '00080090')],
      ['Study Instance UID', element('span', {class: 'uid'}, value(study, '0020000D'))],
      ['Inventoried', inventoried(value(study, '00080404'))],
    ]),
    series.length > 0 && element('h3', {}, counted(series.length, 'series', 'series')),
    series.length > 0 && paged(series, (shown) => element('div', {class: 'cards'}, shown.map(seriesOf))),
  );
}

function seriesOf(series) {
  const instances = series[INSTANCES]?.Value ?? [];
  const title =
    [value(series, '00200011'), value(series, '00080060'), value(series, '0008103E')].filter(Boolean).join(' · ') || 'Series';
  const inside = element('div', {});
  return element(
    'details',
    {
      ontoggle: () => {
        if (!inside.hasChildNodes()) {
          inside.append(
            element('p', {class: 'uid'}, value(series, '0020000E')),
            instances.length
              ? paged(instances, (shown) =>
                  table(
                    'Instances',
                    [
                      {title: 'Number', number: true},
                      {title: 'SOP class'},
                      {title: 'Transfer syntax', wide: true},
                      {title: 'Size', number: true},
                      {title: 'SOP Instance UID', wide: true},
                    ],
                    shown.map(instanceRow),
                  ),
                )
              : element('p', {class: 'waiting'}, 'This inventory does not tell of its instances.'),
          );
        }
      },
    },
    element(
      'summary',
      {},
      `${title} (${instances.length ? counted(instances.length, 'instance') : `${value(series, '00201209') || '?'} instances`})`,
    ),
    removed(series),
    inside,
  );
}

function instanceRow(instance) {
  const [file] = instance[FILE_ACCESS]?.Value ?? [];
  const sopClass = value(instance, '00080016');
  const syntax = value(file ?? {}, '0008040E');
  const bytes = Number(value(file ?? {}, '0008040D'));
  return [
    value(instance, '00200013') || '–',
    [names[sopClass] ?? sopClass, ' ', removed(instance)],
    names[syntax] ?? syntax,
    bytes ? size(bytes) : '–',
    element('span', {class: 'uid'}, value(instance, '00080018')),
  ];
}

// Removed from Operational Use (0008,0405)
function removed(record) {
  return value(record, '00080405') === 'Y' && element('span', {class: 'badge warn'}, 'Removed from use');
}

// Item Inventory DateTime (0008,0404), with its offset from UTC.
function inventoried(text) {
  return `${dateTime(text.slice(0, 8), text.slice(8, 14))} ${text.slice(14).replace(/^\.\d+/, '')}`.trim();
}

// A part of a list at a time.
function paged(entries, shownAs) {
  const place = element('div', {class: 'cards'});
  const turn = (since) =>
    place.replaceChildren(
      shownAs(entries.slice(since, since + PAGE)),
      entries.length > PAGE
        ? element(
            'div',
            {class: 'pages'},
            element(
              'span',
              {},
              `${number(since + 1)}–${number(Math.min(since + PAGE, entries.length))} of ${number(entries.length)}`,
            ),
            element(
              'span',
              {class: 'actions'},
              since > 0 && button('Back', () => turn(since - PAGE)),
              since + PAGE < entries.length && button('Next', () => turn(since + PAGE)),
            ),
          )
        : '',
    );
  turn(0);
  return place;
}
