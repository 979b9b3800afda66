// View: what the plugin is, what it can do here, and what it is doing.

import {element, link, terms} from './elements.js';
import {get} from './server.js';
import {level, moment, number} from './words.js';

export async function show(place, lifetime) {
  place.append(element('div', {class: 'heading'}, element('h1', {}, 'Status')));
  const status = await get('/inventories/status', lifetime);
  const {LastRun: last, Capabilities, Dimse} = status;
  place.append(
    element(
      'dl',
      {class: 'tiles'},
      ['Running', 'Pending', 'Paused'].map((state) =>
        element(
          'div',
          {},
          element('dt', {}, {Running: 'Running now', Pending: 'Waiting', Paused: 'Paused'}[state]),
          element('dd', {}, number(status[state].length)),
        ),
      ),
    ),
    element(
      'section',
      {class: 'card'},
      element('h2', {}, 'Services'),
      terms([
        ['Plugin', `orthanc-inventory ${status.Version}`],
        ['Orthanc', status.OrthancVersion],
        ['Index is read by', status.Source],
        ['Inventories are kept in', status.StoreIn],
        ['Default level', level(status.Level)],
        ['Default detail', status.Detail],
        ['Answers are streamed', Capabilities.StreamedAnswers ? 'yes' : 'no: up to 256 MB at a time'],
        [
          'DICOM service',
          Dimse.Running ? [Dimse.AeTitle, Dimse.Port].filter(Boolean).join(', port ') || 'running' : 'not running',
        ],
        ['Last run', last && [link(last.TransactionStatus, `#/transactions/${last.ID}`), ` ${moment(last.CompletionTime)}`]],
      ]),
    ),
  );
}
