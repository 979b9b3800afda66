// View: one inventory, what it is, what is in it, and what can be done with it.

import {element, fill, link, terms} from './elements.js';
import {charts} from './charts.js';
import {download} from './downloads.js';
import {growth} from './growth.js';
import {completion, deletion, explain} from './inventories.js';
import {get} from './server.js';
import {dateTime, inventoryName, level, moment, number, scopeInWords, size, sourceInWords} from './words.js';

export async function show(place, lifetime, uid) {
  const inventory = await find(uid, lifetime);
  if (inventory.SOPInstanceUID !== uid) {
    location.replace(`#/inventories/${inventory.SOPInstanceUID}`);
    return;
  }
  const notes = element('div', {class: 'cards'});
  const statistics = element('section', {'aria-label': 'Charts', class: 'cards'});
  const grown = element('div', {});
  place.append(
    head(inventory),
    notes,
    tiles(inventory),
    statistics,
    grown,
    files(inventory),
    details(inventory),
    element(
      'div',
      {class: 'actions'},
      deletion(inventory, notes, () => {
        location.hash = '#/';
      }),
    ),
  );
  explain(inventory).then((why) => notes.append(...why));
  await fill(
    statistics,
    'Counting what is in it …',
    get(`/inventories/${uid}/statistics`, lifetime).then((counted) => charts(counted, inventory.InventoryLevel)),
  );
  const line = growth(await get('/inventories/statistics', lifetime), uid);
  if (line) {
    grown.append(line);
  }
}

// The inventory with that root, or the oldest one that has this file.
async function find(uid, lifetime) {
  try {
    return await get(`/inventories/${uid}`, lifetime);
  } catch (error) {
    if (error.status !== 404) {
      throw error;
    }
    const all = await get('/inventories?expand', lifetime);
    const owner = all.find(({InstanceUIDs}) => InstanceUIDs.includes(uid));
    if (!owner) {
      throw error;
    }
    return owner;
  }
}

// The heading of all views of an inventory, with the ways between them.
export function head(inventory, current = '') {
  const path = `#/inventories/${inventory.SOPInstanceUID}`;
  const views = [
    ['', 'Overview'],
    ['/studies', 'Studies'],
    ['/verify', 'Verify'],
  ];
  return element(
    'div',
    {class: 'heading'},
    element('div', {class: 'title'}, element('h1', {}, inventoryName(inventory)), completion(inventory)),
    element('p', {}, `${level(inventory.InventoryLevel)} · ${scopeInWords(inventory.Scope)}`),
    element(
      'nav',
      {class: 'actions', 'aria-label': 'Inventory'},
      views.map(([end, label]) => link(label, path + end, {class: 'button', 'aria-current': end === current && 'page'})),
      link('Compare', `#/compare/${inventory.SOPInstanceUID}`, {class: 'button'}),
    ),
  );
}

function tiles(inventory) {
  const shown = {STUDY: 1, SERIES: 2, INSTANCE: 3}[inventory.InventoryLevel];
  const counts = [
    ['Studies', inventory.Studies],
    ['Series', inventory.Series],
    ['Instances', inventory.Instances],
  ].slice(0, shown);
  return element(
    'dl',
    {class: 'tiles'},
    [...counts.map(([name, value]) => [name, number(value)]), ['Size of its files', size(inventory.Size)]].map(
      ([name, value]) => element('div', {}, element('dt', {}, name), element('dd', {}, value)),
    ),
  );
}

function files({SOPInstanceUID: uid, InventoryLevel}) {
  const levels = ['STUDY', 'SERIES', 'INSTANCE'].slice(0, {STUDY: 1, SERIES: 2, INSTANCE: 3}[InventoryLevel]);
  const place = element('div', {});
  const exported = (one) =>
    [
      ['csv', 'CSV'],
      ['ndjson', 'NDJSON'],
      ['parquet', 'Parquet'],
    ].map(([format, name]) =>
      download(
        name,
        `/inventories/${uid}/export?format=${format}&level=${one.toLowerCase()}`,
        place,
        `${level(one)} as ${name}`,
      ),
    );
  const rows = [
    [
      'As DICOM',
      download('Root', `/inventories/${uid}/file`, place, 'DICOM file of the root'),
      download('ZIP of all files', `/inventories/${uid}/archive`, place),
    ],
    ...levels.map((one) => [level(one), ...exported(one)]),
  ];
  return element(
    'section',
    {class: 'card'},
    element('h2', {}, 'Downloads'),
    element(
      'table',
      {class: 'files'},
      element(
        'tbody',
        {},
        rows.map(([name, ...links]) =>
          element('tr', {}, element('th', {scope: 'row'}, name), element('td', {}, element('div', {class: 'actions'}, links))),
        ),
      ),
    ),
    place,
  );
}

function details(inventory) {
  const others = inventory.Incorporates ?? [];
  return element(
    'section',
    {class: 'card'},
    element('h2', {}, 'Details'),
    terms([
      ['Date', dateTime(inventory.ContentDate, inventory.ContentTime)],
      ['Purpose', inventory.InventoryPurpose],
      ['Description', inventory.InventoryInstanceDescription],
      ['Archive', sourceInWords(inventory.Source)],
      ['Increment on', inventory.Base && link(inventory.Base, `#/inventories/${inventory.Base}`, {class: 'uid'})],
      ['Study records', number(inventory.TotalNumberOfStudyRecords)],
      ['Files', `${number(inventory.InstanceUIDs.length)}, ${number(others.length)} of them referred to by the root`],
      ['Kept until', inventory.Expiration && moment(inventory.Expiration)],
      ['Origin', inventory.Origin],
      ['SOP Instance UID', element('span', {class: 'uid'}, inventory.SOPInstanceUID)],
      [
        'SHA-256 of the root',
        inventory.SHA256[inventory.SOPInstanceUID] &&
          element('span', {class: 'uid'}, inventory.SHA256[inventory.SOPInstanceUID]),
      ],
      [
        'Run',
        inventory.TransactionUID &&
          link(inventory.TransactionUID, `#/transactions/${inventory.TransactionUID}`, {class: 'uid'}),
      ],
    ]),
  );
}
