// Links to files, which the browser takes by itself.

import {element, problem} from './elements.js';
import {address, message} from './server.js';

// Lists of what is known to be there: each of the links is [label, path, name of the file].
export function lists(links) {
  return element(
    'div',
    {class: 'actions'},
    links.map(([label, path, name]) =>
      element(
        'a',
        {
          class: 'button',
          href: address(path),
          download: name,
        },
        label,
      ),
    ),
  );
}

// A file that the server may refuse: the page says why in "place", instead of leaving. "told" is the label where the shown one
// needs what is around it.
export function download(label, path, place, told = null) {
  return element(
    'a',
    {
      class: 'button',
      href: address(path),
      'aria-label': told,
      onclick: (event) => {
        event.preventDefault();
        fetchFile(path, place);
      },
    },
    label,
  );
}

function fetchFile(path, place) {
  place.replaceChildren();
  document.getElementById('download')?.remove();
  // A file that is saved never arrives in the frame; an error does.
  const frame = element('iframe', {
    id: 'download',
    hidden: true,
    title: 'Download',
    src: address(path),
    onload: () => {
      const text = frame.contentDocument?.body?.textContent;
      if (text) {
        place.replaceChildren(problem({message: message(text) ?? 'Orthanc has no such file.'}));
      }
      frame.remove();
    },
  });
  document.body.append(frame);
}
