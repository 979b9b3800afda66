// The inventories that a form offers, the newest first.

import {get} from './server.js';
import {inventoryName, level, scopeInWords, sourceInWords} from './words.js';

const MOST = 200;

// Pairs of a SOP Instance UID and a name; only of inventories of this archive, if "own" is true.
export async function inventoryChoices(lifetime, own = false) {
  const groups = await get('/inventories/statistics', lifetime);
  const moment = ({ContentDate, ContentTime}) => ContentDate + ContentTime;
  return groups
    .filter(({Source}) => !own || !Source)
    .flatMap(({InventoryLevel, Scope, Source, Inventories}) =>
      Inventories.map((one) => ({...one, InventoryLevel, Scope, Source})),
    )
    .sort((one, other) => moment(other).localeCompare(moment(one)))
    .slice(0, MOST)
    .map((one) => [
      one.SOPInstanceUID,
      `${inventoryName(one)} (${[level(one.InventoryLevel).toLowerCase(), scopeInWords(one.Scope), sourceInWords(one.Source)]
        .filter(Boolean)
        .join('; ')})`,
    ]);
}
