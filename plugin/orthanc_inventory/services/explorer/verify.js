// View: is the archive still what an inventory says.

import {element, field, fill, problem, select} from './elements.js';
import {changes, pagedTable} from './differences.js';
import {lists} from './downloads.js';
import {head} from './inventory.js';
import {repeat} from './live.js';
import {get, post} from './server.js';
import {TransactionCard, UNFINISHED} from './transaction.js';
import {number} from './words.js';

const CHECKS = [
  ['EXISTS', 'It is there'],
  ['SIZE', 'It is there and has its size'],
  ['MD5', 'Its bytes have their checksum (Orthanc reads them all)'],
];
const KINDS = ['Missing', 'Damaged', 'Different', 'Extra'];
const COLUMNS = [{title: 'Kind'}, {title: 'Level', wide: true}, {title: 'UID'}, {title: 'Items', number: true}, {title: 'Why'}];
// Runs that are looked through for earlier verifications of this inventory.
const LOOKED_THROUGH = 200;

export async function show(place, lifetime, uid) {
  const inventory = await get(`/inventories/${uid}`, lifetime);
  const check = select(CHECKS, 'EXISTS');
  const answer = element('div', {});
  const runs = element('section', {class: 'cards', 'aria-label': 'Verifications'});
  place.append(
    head(inventory, '/verify'),
    element(
      'form',
      {
        class: 'card',
        onsubmit: async (event) => {
          event.preventDefault();
          answer.replaceChildren();
          try {
            const {ID} = await post(`/inventories/${uid}/verify`, {Check: check.value});
            runs.prepend(await verification(ID, lifetime));
          } catch (error) {
            answer.replaceChildren(problem(error));
          }
        },
      },
      element('h2', {}, 'Verify the archive against this inventory'),
      element('p', {}, 'Looks in Orthanc for everything that the inventory lists, and for what it does not list.'),
      element('div', {class: 'fields'}, field('Check of each object', check)),
      element('div', {class: 'actions'}, element('button', {type: 'submit', class: 'primary'}, 'Verify')),
      answer,
    ),
    runs,
  );
  await fill(runs, 'Loading …', earlier(uid, lifetime));
}

async function earlier(uid, lifetime) {
  const ids = await get('/inventories/transactions', lifetime);
  const since = Math.max(0, ids.length - LOOKED_THROUGH);
  const found = await get(`/inventories/transactions?expand&since=${since}`, lifetime);
  const own = found.filter(({Verification}) => Verification?.SOPInstanceUID === uid).reverse();
  return Promise.all(own.map(({ID}) => verification(ID, lifetime)));
}

// A verification with its findings, once it is over.
async function verification(id, lifetime) {
  const path = `/inventories/transactions/${id}`;
  const card = new TransactionCard(await get(path, lifetime), () => {});
  const findings = element('div', {class: 'card', hidden: true});
  const over = () => {
    const {Verification, State} = card.transaction;
    if (UNFINISHED.includes(State)) {
      return false;
    }
    const found = KINDS.reduce((sum, kind) => sum + (Verification[kind] ?? 0), 0);
    findings.hidden = State !== 'Success' && !found;
    if (!found) {
      findings.append(element('p', {class: 'success'}, 'Everything is as the inventory says.'));
    } else {
      findings.append(
        pagedTable(
          'Findings',
          COLUMNS,
          findingRow,
          (since, limit, kind) => get(`${path}/findings?since=${since}&limit=${limit}${kind && `&kind=${kind}`}`, lifetime),
          KINDS,
        ),
        lists([
          ['Findings as CSV', `${path}/findings?format=csv`, 'findings.csv'],
          ['UIDs of the studies', `${path}/findings?format=uids`, 'studies.txt'],
        ]),
      );
    }
    return true;
  };
  repeat(async () => {
    if (over()) {
      return 0;
    }
    card.update(await get(path, lifetime));
    return 700;
  }, lifetime);
  return element('div', {class: 'cards'}, card.node, findings);
}

function findingRow({Kind, Level, StudyInstanceUID, SeriesInstanceUID, SOPInstanceUID, Items, Reason, Attributes}) {
  return [
    Kind,
    Level,
    element('span', {class: 'uid'}, SOPInstanceUID ?? SeriesInstanceUID ?? StudyInstanceUID),
    number(Items),
    [Reason, changes(Attributes)],
  ];
}
