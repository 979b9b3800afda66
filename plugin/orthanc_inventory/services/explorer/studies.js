// View: the studies of an inventory, found and paged on the server.

import {button, element, field, link, problem, say, table, waiting} from './elements.js';
import {head} from './inventory.js';
import {get, getPage} from './server.js';
import {counted, date, number, value} from './words.js';

const PAGE = 100;
const COLUMNS = [
  {title: 'Patient'},
  {title: 'Patient ID', wide: true},
  {title: 'Date'},
  {title: 'Study'},
  {title: 'Modalities', wide: true},
  {title: 'Accession number', wide: true},
  {title: 'Series', number: true, wide: true},
  {title: 'Instances', number: true},
];

export async function show(place, lifetime, uid) {
  const inventory = await get(`/inventories/${uid}`, lifetime);
  const query = element('input', {type: 'search', autocomplete: 'off', spellcheck: 'false'});
  const list = element('div', {});
  const pages = element('nav', {class: 'pages', 'aria-label': 'Pages of studies'});
  let timer = 0;
  let asked = new AbortController();
  lifetime.addEventListener('abort', () => asked.abort());

  async function turn(since) {
    asked.abort();
    asked = new AbortController();
    const text = query.value.trim();
    const slow = setTimeout(() => list.replaceChildren(waiting('Looking …')), 400);
    try {
      const path = `/inventories/${uid}/studies?query=${encodeURIComponent(text)}&since=${since}&limit=${PAGE}`;
      const {entries, total} = await getPage(path, asked.signal);
      list.replaceChildren(
        entries.length
          ? table(
              'Studies',
              COLUMNS,
              entries.map((study) => row(uid, study)),
            )
          : element('p', {class: 'waiting'}, text ? 'No study has this.' : 'There are no studies in it.'),
      );
      const shown = entries.length
        ? `${number(since + 1)}–${number(since + entries.length)} of ${counted(total, 'study', 'studies')}`
        : '';
      pages.replaceChildren(
        element('span', {}, shown),
        element(
          'span',
          {class: 'actions'},
          since > 0 && button('First', () => turn(0)),
          since > 0 && button('Back', () => turn(Math.max(0, since - PAGE))),
          since + entries.length < total && button('Next', () => turn(since + PAGE)),
          since + 2 * PAGE < total && button('Last', () => turn(PAGE * Math.floor((total - 1) / PAGE))),
        ),
      );
      say(shown || 'No study');
    } catch (error) {
      if (error.name !== 'AbortError') {
        list.replaceChildren(problem(error));
        pages.replaceChildren();
      }
    } finally {
      clearTimeout(slow);
    }
  }

  query.addEventListener('input', () => {
    clearTimeout(timer);
    timer = setTimeout(turn, 300, 0);
  });
  place.append(
    head(inventory, '/studies'),
    element(
      'section',
      {class: 'card'},
      field(
        'Search',
        query,
        'In patient name, patient ID, description, accession number and study UID; or a whole date such as 20250131',
      ),
      list,
      pages,
    ),
  );
  await turn(0);
}

function row(uid, study) {
  const studyUid = value(study, '0020000D');
  return [
    link(value(study, '00100010') || 'Without a name', `#/inventories/${uid}/studies/${studyUid}`),
    value(study, '00100020'),
    element('span', {class: 'number'}, date(value(study, '00080020')) || '–'),
    value(study, '00081030') || '–',
    value(study, '00080061'),
    value(study, '00080050'),
    value(study, '00201206'),
    value(study, '00201208'),
  ];
}
