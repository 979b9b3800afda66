// A question that must be answered before the page goes on.

import {element} from './elements.js';

// Choices are {label, value, kind}. Answers the value of the one that was taken; null if the question was sent away.
export function ask(title, text, choices) {
  return new Promise((resolve) => {
    const dialog = element(
      'dialog',
      {
        'aria-labelledby': 'question',
        'aria-describedby': 'explanation',
        onclose: () => {
          dialog.remove();
          resolve(choices.find(({label}) => label === dialog.returnValue)?.value ?? null);
        },
      },
      element('h2', {id: 'question'}, title),
      element('p', {id: 'explanation'}, text),
      element(
        'div',
        {class: 'actions'},
        choices.map(({label, kind}) =>
          element(
            'button',
            {
              type: 'button',
              class: kind,
              onclick: () => dialog.close(label),
            },
            label,
          ),
        ),
      ),
    );
    document.body.append(dialog);
    dialog.showModal();
  });
}
