// View: what goes on, and all inventories, the newest first.

import {ask} from './dialog.js';
import {button, element, fill, link, problem, say} from './elements.js';
import {growth} from './growth.js';
import {get, remove} from './server.js';
import {skippedList} from './transaction.js';
import {unfinished} from './transactions.js';
import {counted, inventoryName, level, number, scopeInWords, size, sourceInWords} from './words.js';

const PAGE = 20;

export async function show(place, lifetime) {
  const list = element('div', {});
  const pages = element('div', {class: 'pages'});
  const grown = element('div', {});
  let page = 0;

  async function turn(next) {
    page = next;
    await fill(
      list,
      'Loading …',
      load(lifetime, page, pages, turn, () => turn(page)),
    );
    try {
      grown.replaceChildren(...[growth(await get('/inventories/statistics', lifetime))].filter(Boolean));
    } catch (error) {
      grown.replaceChildren(problem(error));
    }
  }

  place.append(
    element(
      'div',
      {class: 'heading'},
      element('h1', {}, 'Inventories'),
      element('p', {}, 'Each one writes down what the archive held at one moment, and says of itself whether it is whole.'),
    ),
    unfinished(lifetime, () => turn(0)),
    list,
    pages,
    grown,
  );
  await turn(0);
}

async function load(lifetime, page, pages, turn, reload) {
  const uids = await get('/inventories', lifetime);
  const end = uids.length - page * PAGE;
  const since = Math.max(0, end - PAGE);
  const found = end > since ? await get(`/inventories?expand&since=${since}&limit=${end - since}`, lifetime) : [];
  pages.replaceChildren(
    element('span', {}, uids.length > PAGE ? `${number(since + 1)}–${number(end)} of ${number(uids.length)}` : ''),
    element(
      'span',
      {class: 'actions'},
      page > 0 && button('Newer', () => turn(page - 1)),
      since > 0 && button('Older', () => turn(page + 1)),
    ),
  );
  if (!found.length) {
    return element(
      'section',
      {class: 'card empty'},
      element('h2', {}, 'There is no inventory yet'),
      element(
        'p',
        {},
        'An inventory lists every study, series and instance of the archive, with counts and checksums, as a DICOM object.',
      ),
      link('Make the first one', '#/new', {class: 'button primary'}),
    );
  }
  const names = new Map(found.map((one) => [one.SOPInstanceUID, inventoryName(one)]));
  return element(
    'ul',
    {class: 'cards', 'aria-label': 'Inventories'},
    found.reverse().map((one) => card(one, names, reload)),
  );
}

function card(inventory, names, reload) {
  const {SOPInstanceUID: uid, Base, InventoryLevel} = inventory;
  const notes = element('div', {class: 'cards'});
  const node = element(
    'li',
    {class: 'card', 'data-inventory': uid},
    element(
      'div',
      {class: 'title'},
      element('h2', {}, link(inventoryName(inventory), `#/inventories/${uid}`)),
      completion(inventory),
      element('span', {class: 'badge'}, level(InventoryLevel)),
      inventory.Origin ? element('span', {class: 'badge'}, inventory.Origin) : null,
    ),
    element(
      'p',
      {class: 'facts'},
      element('span', {}, scopeInWords(inventory.Scope)),
      inventory.Source && element('span', {}, sourceInWords(inventory.Source)),
      Base && element('span', {}, 'Increment on ', link(names.get(Base) ?? 'an earlier one', `#/inventories/${Base}`)),
    ),
    element(
      'p',
      {class: 'facts'},
      counts(inventory).map((text) => element('span', {}, text)),
    ),
    notes,
    element(
      'div',
      {class: 'actions'},
      link('Studies', `#/inventories/${uid}/studies`, {
        class: 'button',
        'aria-label': `Studies of ${inventoryName(inventory)}`,
      }),
      link('Compare', `#/compare/${uid}`, {class: 'button', 'aria-label': `Compare ${inventoryName(inventory)}`}),
      deletion(inventory, notes, reload),
    ),
  );
  explain(inventory).then((why) => notes.append(...why));
  return node;
}

export function completion({InventoryCompletionStatus: status}) {
  return element('span', {class: `badge ${status === 'COMPLETE' ? 'good' : 'warn'}`}, status);
}

export function counts({InventoryLevel, Studies, Series, Instances, Size}) {
  return [
    counted(Studies, 'study', 'studies'),
    InventoryLevel !== 'STUDY' && `${number(Series)} series`,
    InventoryLevel === 'INSTANCE' && counted(Instances, 'instance'),
    `${size(Size)} of files`,
  ].filter(Boolean);
}

// Why an inventory is not all that it should be.
export async function explain({InventoryCompletionStatus, TransactionUID, Missing}) {
  const why = [];
  if (Missing.length) {
    why.push(
      element(
        'p',
        {class: 'warning'},
        `Not here are ${counted(Missing.length, 'file')} of this inventory: removed by hand, or not come in yet.`,
      ),
    );
  }
  if (InventoryCompletionStatus === 'COMPLETE') {
    return why;
  }
  try {
    const {
      Skipped,
      TransactionStatusComment: comment,
      TransactionStatus,
    } = await get(`/inventories/transactions/${TransactionUID}`);
    const reason =
      TransactionStatus === 'CANCELED'
        ? 'the run was cancelled'
        : Skipped.length
          ? `${counted(Skipped.length, 'resource')} could not be recorded`
          : comment;
    why.push(element('p', {class: 'warning'}, `It is partial: ${reason}.`));
    if (Skipped.length) {
      why.push(skippedList(Skipped));
    }
  } catch {
    why.push(
      element('p', {class: 'warning'}, 'It is partial, as it says of itself; the run that made it is not known here any more.'),
    );
  }
  return why;
}

export function deletion(inventory, notes, deleted) {
  return button(
    'Delete …',
    async () => {
      const sure = await ask(
        'Delete this inventory?',
        `${inventoryName(inventory)}, with all its files. The studies that it lists stay as they are.`,
        [
          {label: 'Delete', value: true, kind: 'danger'},
          {label: 'Keep it', value: false},
        ],
      );
      if (!sure) {
        return;
      }
      try {
        await remove(`/inventories/${inventory.SOPInstanceUID}`);
        say('The inventory is deleted.');
        deleted();
      } catch (error) {
        notes.prepend(problem(error));
      }
    },
    'danger',
  );
}
