// Links to files. The browser takes the file by itself; when the server refuses, the page says why instead of leaving.

import {element, problem} from './elements.js';
import {address, message} from './server.js';

// Each of the links is [label, path].
export function downloads(links) {
  const place = element('div', {});
  return element('div', {}, element('div', {class: 'actions'}, links.map(([label, path]) => download(label, path, place))), place);
}

// "place" is where it is said why there is no file; "told" is the label where the shown one needs what is around it.
export function download(label, path, place, told = null) {
  return element('a', {class: 'button', href: address(path), 'aria-label': told, onclick: (event) => {
    event.preventDefault();
    fetchFile(path, place);
  }}, label);
}

function fetchFile(path, place) {
  place.replaceChildren();
  document.getElementById('download')?.remove();
  // A file that is saved never arrives in the frame; an error does.
  const frame = element('iframe', {id: 'download', hidden: true, title: 'Download', src: address(path), onload: () => {
    const text = frame.contentDocument?.body?.textContent;
    if (text) {
      place.replaceChildren(problem({message: message(text) ?? 'Orthanc has no such file.'}));
    }
    frame.remove();
  }});
  document.body.append(frame);
}
