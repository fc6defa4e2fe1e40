// The worker of hash.js. Requests: { id, file }, and { id } to abort. Responses: { id, hex } or { id, error }.

import { sha256 } from "./sha256.js";

/** The controllers of the unanswered requests, by number. */
const controllers = new Map();

/** Files are hashed one after the other, so that at most one is in memory. */
let queue = Promise.resolve();

async function answer(id, file, signal) {
  try {
    postMessage({ id, hex: await sha256(file, signal) });
  } catch ({ name, message }) {
    // Not every browser can send a `DOMException` to another thread.
    postMessage({ id, error: { name, message } });
  }
  controllers.delete(id);
}

onmessage = ({ data: { id, file } }) => {
  if (!file) {
    controllers.get(id)?.abort();
    return;
  }
  const controller = new AbortController();
  controllers.set(id, controller);
  queue = queue.then(() => answer(id, file, controller.signal));
};
