// View: the form that starts an inventory.

import {inventoryChoices} from './choices.js';
import {element, field, problem, select} from './elements.js';
import {scopeForm} from './scope.js';
import {get, post} from './server.js';
import {sourceInWords} from './words.js';

const LEVELS = [
  ['STUDY', 'Studies', 'What studies there are. The quickest.'],
  ['SERIES', 'Series', 'And the series in each of them.'],
  ['INSTANCE', 'Instances', 'Every object, with its size and checksum.'],
];
const DETAILS = [
  ['Index', 'The index of Orthanc', 'Quick, and enough for nearly all.'],
  ['Files', 'The objects as well', 'Reads the header of each object; takes much longer.'],
];

export async function show(place, lifetime) {
  const status = await get('/inventories/status', lifetime);
  const levels = choices('Level', LEVELS, status.Level);
  const details = choices('Detail', DETAILS, status.Detail);
  const scope = scopeForm(lifetime, () => details.value());
  const base = select(
    [
      ['', 'All studies in scope (full)'],
      ['latest', 'What changed since the latest of the same level and scope'],
    ],
    '',
  );
  const source = select([['', 'This Orthanc']], '');
  const purpose = element('input', {type: 'text', maxlength: 1024, autocomplete: 'off'});
  const description = element('textarea', {maxlength: 10240});
  const removed = element('input', {type: 'checkbox', checked: true});
  const identifying = element('input', {type: 'checkbox', checked: true});
  const answer = element('div', {});
  const submit = element('button', {type: 'submit', class: 'primary'}, 'Start');

  const form = element(
    'form',
    {
      novalidate: true,
      onsubmit: async (event) => {
        event.preventDefault();
        submit.disabled = true;
        answer.replaceChildren();
        try {
          const body = {
            Level: levels.value(),
            Detail: details.value(),
            Scope: scope.value(),
            Purpose: purpose.value,
            Description: description.value,
          };
          if (source.value) {
            body.Source = JSON.parse(source.value);
          }
          if (base.value) {
            body.Base = base.value;
          }
          if (!removed.checked) {
            body.IncludeRemoved = false;
          }
          if (!identifying.checked) {
            body.PatientIdentifiers = false;
          }
          const {ID} = await post('/inventories', body);
          location.hash = `#/transactions/${ID}`;
        } catch (error) {
          answer.replaceChildren(problem(error));
          submit.disabled = false;
        }
      },
    },
    levels.node,
    scope.node,
    element(
      'fieldset',
      {class: 'card'},
      element('legend', {}, 'Name it'),
      element(
        'div',
        {class: 'fields long'},
        field('Purpose', purpose, 'such as Audit, or Migration to the new archive'),
        field('Description', description),
      ),
    ),
    element(
      'fieldset',
      {class: 'card'},
      element('legend', {}, 'How'),
      element(
        'div',
        {class: 'fields long'},
        field('Archive', source, 'Another one is asked what it has, over DICOM or DICOMweb.'),
        field('Record', base, 'An increment refers to the inventory before it for the rest.'),
      ),
      details.node,
      check(removed, 'With what was withdrawn from use, marked as removed'),
      check(identifying, 'With the names and other identifiers of patients'),
    ),
    element('div', {class: 'actions'}, submit, answer),
  );
  place.append(
    element(
      'div',
      {class: 'heading'},
      element('h1', {}, 'New inventory'),
      element('p', {}, 'As it stands, this form makes an inventory of the whole archive.'),
    ),
    form,
  );
  const archives = await otherArchives(lifetime);
  source.append(...archives.map((one) => element('option', {value: JSON.stringify(one)}, sourceInWords(one))));
  const bases = await inventoryChoices(lifetime, true);
  base.append(...bases.map(([value, name]) => element('option', {value}, `What changed since ${name}`)));
}

// What can be a source: the modalities that Orthanc knows, and the servers of its DICOMweb plugin. Who may not ask for them
// has none to choose from.
async function otherArchives(lifetime) {
  const known = async (path) => {
    try {
      return await get(path, lifetime);
    } catch (error) {
      if (error.name === 'AbortError') {
        throw error;
      }
      return [];
    }
  };
  const modalities = await known('/modalities');
  const servers = (await known('/plugins')).includes('dicom-web') ? await known('/dicom-web/servers') : [];
  return [...modalities.map((Modality) => ({Modality})), ...servers.map((DicomWeb) => ({DicomWeb}))];
}

function choices(name, options, chosen) {
  const inputs = options.map(([value]) => element('input', {type: 'radio', name, value, checked: value === chosen}));
  const kind = name === 'Level' ? 'card' : '';
  return {
    node: element(
      'fieldset',
      {class: kind},
      element('legend', {}, name === 'Level' ? 'Level' : 'Read from'),
      element(
        'div',
        {class: 'choices'},
        options.map(([, label, told], index) =>
          element('label', {class: 'choice'}, inputs[index], element('b', {}, label), element('small', {}, told)),
        ),
      ),
    ),
    value: () => inputs.find((input) => input.checked).value,
  };
}

function check(input, label) {
  return element('label', {class: 'check'}, input, label);
}
