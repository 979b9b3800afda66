// Requests to the routes of the plugin, which are beside the page, wherever a proxy has put them.

const ROOT = location.pathname.replace(/\/inventories\/app\/?$/, '');

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export function address(path) {
  return `${ROOT}${path}`;
}

export async function get(path, signal) {
  return (await answer(path, {signal})).json();
}

// The entries of one page, and how many there are in all.
export async function getPage(path, signal) {
  const found = await answer(path, {signal});
  return {entries: await found.json(), total: Number(found.headers.get('X-Total-Count'))};
}

export async function post(path, body = {}, signal) {
  return (await answer(path, {method: 'POST', body: body instanceof Blob ? body : JSON.stringify(body), signal})).json();
}

export async function remove(path) {
  await answer(path, {method: 'DELETE'});
}

async function answer(path, options) {
  let found;
  try {
    found = await fetch(address(path), {cache: 'no-store', ...options});
  } catch (error) {
    throw error.name === 'AbortError' ? error : new Refused(0, 'Orthanc does not answer.');
  }
  if (!found.ok) {
    throw new Refused(found.status, message(await found.text()) ?? `Orthanc answers with status ${found.status}.`);
  }
  return found;
}

// The Message of an error body of Orthanc.
export function message(text) {
  try {
    return JSON.parse(text).Message ?? null;
  } catch {
    return null;
  }
}
