// The common keys of a scope as a form, and how many studies are in it.

import {button, element, field, problem} from './elements.js';
import {post} from './server.js';
import {counted} from './words.js';

const TEXTS = [
  ['PatientID', 'Patient ID', '* stands for any characters'],
  ['PatientName', 'Patient name', 'such as DOE*'],
  ['StudyDescription', 'Study description', 'such as *thorax*'],
  ['AccessionNumber', 'Accession number', ''],
];

// "detail" gives what an inventory would be read from: it decides which keys can be matched.
export function scopeForm(lifetime, detail) {
  const inputs = TEXTS.map(([keyword, label, hint]) => [
    keyword,
    element('input', {type: 'text', autocomplete: 'off'}),
    label,
    hint,
  ]);
  const from = element('input', {type: 'date'});
  const until = element('input', {type: 'date'});
  const modalities = element('input', {type: 'text', autocomplete: 'off', autocapitalize: 'characters'});
  const answer = element('div', {role: 'status'});
  let asked = 0;

  function value() {
    const scope = {};
    for (const [keyword, input] of inputs) {
      if (input.value.trim()) {
        scope[keyword] = input.value.trim();
      }
    }
    const [first, last] = [from.value, until.value].map((text) => text.replaceAll('-', ''));
    if (first || last) {
      scope.StudyDate = `${first}-${last}`;
    }
    const wanted = modalities.value
      .toUpperCase()
      .split(/[\s,;\\]+/)
      .filter(Boolean);
    if (wanted.length) {
      scope.ModalitiesInStudy = wanted.join('\\');
    }
    return scope;
  }

  async function preview() {
    const mine = ++asked;
    answer.replaceChildren(element('p', {class: 'waiting'}, 'Counting …'));
    try {
      const {Studies} = await post('/inventories/preview', {Scope: value(), Detail: detail()}, lifetime);
      if (mine === asked) {
        answer.replaceChildren(
          element('p', {class: Studies ? 'success' : 'warning'}, `This scope matches ${counted(Studies, 'study', 'studies')}.`),
        );
      }
    } catch (error) {
      if (mine === asked && error.name !== 'AbortError') {
        answer.replaceChildren(problem(error));
      }
    }
  }

  const node = element(
    'fieldset',
    {class: 'card', onchange: preview},
    element('legend', {}, 'Scope'),
    element('p', {class: 'facts'}, 'Leave all empty for the whole archive. What is filled in must match together.'),
    element(
      'div',
      {class: 'fields'},
      inputs.map(([, input, label, hint]) => field(label, input, hint)),
      field('Study date from', from),
      field('Study date until', until),
      field('Modalities', modalities, 'one or several, such as CT MR'),
    ),
    element('div', {class: 'actions'}, button('Count the studies', preview), answer),
  );
  return {node, value};
}
