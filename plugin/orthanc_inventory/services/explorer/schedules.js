// View: what runs by itself, when it did and when it will again.

import {button, element, link, problem, terms} from './elements.js';
import {get, post} from './server.js';
import {level, moment, scopeInWords} from './words.js';

export async function show(place, lifetime) {
  place.append(
    element(
      'div',
      {class: 'heading'},
      element('h1', {}, 'Schedules'),
      element('p', {}, 'They are set in the configuration of Orthanc, under Inventory.Schedules.'),
    ),
  );
  const schedules = await get('/inventories/schedules', lifetime);
  place.append(
    schedules.length
      ? element('ul', {class: 'cards', 'aria-label': 'Schedules'}, schedules.map(card))
      : element(
          'section',
          {class: 'card empty'},
          element('h2', {}, 'There is no schedule'),
          element('p', {}, 'With one, Orthanc makes an inventory each night, or each week, in the hours that you allow.'),
        ),
  );
}

function card(schedule) {
  const notes = element('div', {});
  const {Name, Mode, LastRun: last} = schedule;
  return element(
    'li',
    {class: 'card'},
    element(
      'div',
      {class: 'title'},
      element('h2', {}, Name),
      element('span', {class: 'badge'}, Mode),
      schedule.Open && element('span', {class: 'badge good'}, 'Window open'),
    ),
    terms([
      ['Of', `${level(schedule.Level)}: ${scopeInWords(schedule.Scope)}`],
      ['Every', schedule.Every],
      ['Days', listed(schedule.Days)],
      ['Hours', listed(schedule.Hours)],
      ['Keeps', schedule.Keep ? String(schedule.Keep) : 'all'],
      ['Next run', schedule.NextRun ? moment(schedule.NextRun) : 'none'],
      [
        'Last run',
        last
          ? [
              link(moment(last.CompletionTime ?? last.CreationTime), `#/transactions/${last.ID}`),
              ` ${last.TransactionStatus.toLowerCase()} `,
              last.SOPInstanceUID && link('inventory', `#/inventories/${last.SOPInstanceUID}`),
            ]
          : 'never',
      ],
    ]),
    element(
      'div',
      {class: 'actions'},
      button('Run now', async () => {
        try {
          const {ID} = await post(`/inventories/schedules/${encodeURIComponent(Name)}/run`);
          location.hash = `#/transactions/${ID}`;
        } catch (error) {
          notes.replaceChildren(problem(error));
        }
      }),
    ),
    notes,
  );
}

function listed(one) {
  return Array.isArray(one) ? one.join(', ') : one;
}
