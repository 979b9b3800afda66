// View: all runs, those that go on first, with what is happening to them; or one of them.

import {button, element, fill, link, say} from './elements.js';
import {repeat} from './live.js';
import {get} from './server.js';
import {TransactionCard, UNFINISHED} from './transaction.js';
import {number} from './words.js';

const PAGE = 20;

export async function show(place, lifetime, id) {
  await (id ? showOne(place, lifetime, id) : showAll(place, lifetime));
}

async function showOne(place, lifetime, id) {
  place.append(element('div', {class: 'heading'}, element('h1', {}, 'Run'), link('All runs', '#/transactions')));
  const path = `/inventories/transactions/${id}`;
  const card = new TransactionCard(await get(path, lifetime), () => {});
  place.append(card.node);
  repeat(async () => {
    if (!UNFINISHED.includes(card.transaction.State)) {
      return 0;
    }
    card.update(await get(path, lifetime));
    return card.transaction.State === 'Paused' ? 3000 : 700;
  }, lifetime);
}

async function showAll(place, lifetime) {
  place.append(
    element(
      'div',
      {class: 'heading'},
      element('h1', {}, 'Runs'),
      element('p', {}, 'One inventory is made at a time; the others wait.'),
    ),
  );
  const list = element('div', {class: 'cards'});
  const pages = element('div', {class: 'pages'});
  place.append(
    unfinished(lifetime, () => turn(0)),
    element('section', {'aria-label': 'Finished runs'}, list),
    pages,
  );

  async function turn(page) {
    const ids = await get('/inventories/transactions', lifetime);
    const end = ids.length - page * PAGE;
    const since = Math.max(0, end - PAGE);
    await fill(
      list,
      'Loading …',
      (async () => {
        const found =
          end > since ? await get(`/inventories/transactions?expand&since=${since}&limit=${end - since}`, lifetime) : [];
        const over = found.filter(({State}) => !UNFINISHED.includes(State)).reverse();
        return over.length
          ? over.map((one) => new TransactionCard(one, () => {}).node)
          : element('p', {class: 'waiting'}, 'No run has ended yet.');
      })(),
    );
    pages.replaceChildren(
      element('span', {}, ids.length > PAGE ? `${number(ids.length)} runs` : ''),
      element(
        'span',
        {class: 'actions'},
        page > 0 && button('Newer', () => turn(page - 1)),
        since > 0 && button('Older', () => turn(page + 1)),
      ),
    );
  }
  await turn(0);
}

// The runs that go on, wait or are paused, live; nothing while there are none. "ended" is called when one of them has ended.
export function unfinished(lifetime, ended) {
  const cards = new Map();
  const place = element('section', {class: 'cards', 'aria-label': 'Runs that are not finished', hidden: true});
  repeat(async () => {
    const {Running, Paused, Pending} = await get('/inventories/status', lifetime);
    const ids = [...Running, ...Paused, ...Pending];
    const gone = [...cards.keys()].filter((id) => !ids.includes(id));
    for (const id of [...ids, ...gone]) {
      const transaction = await get(`/inventories/transactions/${id}`, lifetime);
      const card = cards.get(id);
      if (card) {
        card.update(transaction);
      } else if (UNFINISHED.includes(transaction.State)) {
        cards.set(id, new TransactionCard(transaction, () => {}));
        place.append(cards.get(id).node);
      }
    }
    for (const id of gone) {
      say(`A run has ended: ${cards.get(id).badge.textContent}`);
      cards.get(id).node.remove();
      cards.delete(id);
    }
    place.hidden = cards.size === 0;
    if (gone.length) {
      ended();
    }
    return Running.length ? 700 : 3000;
  }, lifetime);
  return place;
}
