// From the address, behind its #, to the view that is shown; each view ends when the next begins.

import {problem} from './elements.js';
import * as compare from './compare.js';
import * as inventories from './inventories.js';
import * as inventory from './inventory.js';
import * as schedules from './schedules.js';
import * as start from './start.js';
import * as status from './status.js';
import * as studies from './studies.js';
import * as study from './study.js';
import * as transactions from './transactions.js';
import * as verify from './verify.js';

// A view: show(place, lifetime, ...parameters of the address). The entry of the navigation that it belongs to, its title.
const VIEWS = [
  [/^\/?$/, inventories, 'inventories', 'Inventories'],
  [/^\/new$/, start, 'new', 'New inventory'],
  [/^\/inventories\/([\d.]+)$/, inventory, 'inventories', 'Inventory'],
  [/^\/inventories\/([\d.]+)\/studies$/, studies, 'inventories', 'Studies of an inventory'],
  [/^\/inventories\/([\d.]+)\/studies\/([\d.]+)$/, study, 'inventories', 'A study of an inventory'],
  [/^\/inventories\/([\d.]+)\/verify$/, verify, 'inventories', 'Verify an inventory'],
  [/^\/transactions(?:\/([\d.]+))?$/, transactions, 'transactions', 'Runs'],
  [/^\/compare(?:\/([\d.]+)(?:\/([\d.]+))?)?$/, compare, 'compare', 'Compare inventories'],
  [/^\/schedules$/, schedules, 'schedules', 'Schedules'],
  [/^\/status$/, status, 'status', 'Status'],
];

const main = document.getElementById('main');
let lifetime = new AbortController();

function show() {
  const path = location.hash.slice(1).split('?')[0];
  if (path === 'main') {
    main.focus();
    return;
  }
  lifetime.abort();
  // Who goes back has not answered the question.
  document.querySelector('dialog[open]')?.close();
  lifetime = new AbortController();
  const place = document.createElement('div');
  main.replaceChildren(place);
  // The browser tells of a new address a moment after it is there.
  main.dataset.address = location.hash;
  const found = VIEWS.find(([pattern]) => pattern.test(path));
  const [pattern, view, entry, title] = found ?? VIEWS[0];
  document.title = `${title} – Orthanc`;
  for (const one of document.querySelectorAll('[data-view]')) {
    one.toggleAttribute('aria-current', false);
    if (one.dataset.view === entry) {
      one.setAttribute('aria-current', 'page');
    }
  }
  const parameters = (pattern.exec(path) ?? []).slice(1);
  load(place, view, lifetime.signal, parameters);
}

// Marks the page as unfinished until the view has what it shows.
async function load(place, view, signal, parameters) {
  main.setAttribute('aria-busy', 'true');
  try {
    await view.show(place, signal, ...parameters);
  } catch (error) {
    if (error.name !== 'AbortError') {
      place.append(problem(error));
    }
  }
  if (!signal.aborted) {
    main.removeAttribute('aria-busy');
  }
}

window.addEventListener('hashchange', () => {
  show();
  window.scrollTo(0, 0);
  main.focus({preventScroll: true});
});
show();
