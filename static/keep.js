// Keeps photographs and results on this device (IndexedDB), so that they are there after the page was closed. Off unless
// a person turns it on.

const NAME = "pixcolor";
const STORE = "photographs";

const settled = (request) => new Promise((resolve, reject) => {
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});

function open() {
  const request = indexedDB.open(NAME, 1);
  request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "id" });
  return settled(request);
}

/** Runs `act(store)` in a transaction and returns what its request returns, when the transaction is complete. */
async function within(mode, act) {
  const database = await open();
  try {
    const transaction = database.transaction(STORE, mode);
    const complete = new Promise((resolve, reject) => {
      transaction.oncomplete = resolve;
      transaction.onabort = () => reject(transaction.error);
    });
    const result = await settled(act(transaction.objectStore(STORE)));
    await complete;
    return result;
  } finally {
    database.close();
  }
}

/** Stores a record with its `id`, or replaces it. Fails if the device has no space left. */
export const keep = (record) => within("readwrite", (store) => store.put(record));
export const drop = (id) => within("readwrite", (store) => store.delete(id));
export const clear = () => within("readwrite", (store) => store.clear());
/** All records, in the order of their ids. */
export const kept = () => within("readonly", (store) => store.getAll());
