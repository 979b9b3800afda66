// The inventories that a form offers, the newest first.

import {get} from './server.js';
import {inventoryName, level, scopeInWords} from './words.js';

const MOST = 200;

// Pairs of a SOP Instance UID and a name.
export async function inventoryChoices(lifetime) {
  const groups = await get('/inventories/statistics', lifetime);
  const moment = ({ContentDate, ContentTime}) => ContentDate + ContentTime;
  return groups
    .flatMap(({InventoryLevel, Scope, Inventories}) => Inventories.map((one) => ({...one, InventoryLevel, Scope})))
    .sort((one, other) => moment(other).localeCompare(moment(one)))
    .slice(0, MOST)
    .map((one) => [
      one.SOPInstanceUID,
      `${inventoryName(one)} (${level(one.InventoryLevel).toLowerCase()}; ${scopeInWords(one.Scope)})`,
    ]);
}
