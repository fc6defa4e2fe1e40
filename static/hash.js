// Hashes files in a worker, so that the page stays responsive. If the browser cannot start the worker, the page's own
// thread hashes them, in slices.

/** Hashes on this thread. Loaded only if it is needed. */
const sha256 = async (file, signal) => (await import("./sha256.js")).sha256(file, signal);

/** The worker: undefined until the first request, null if it cannot be started. */
let worker;

/** The requests that the worker has not answered, by number: { file, signal, resolve, reject } */
const pending = new Map();
let requests = 0;

/**
 * The SHA-256 of a file, in hexadecimal digits. Rejects with the browser's error if the file cannot be read, and with
 * an `AbortError` if the signal aborts.
 * @param {Blob} file
 * @param {AbortSignal} [signal]
 * @returns {Promise<string>}
 */
export async function hash(file, signal) {
  signal?.throwIfAborted();
  if (worker === undefined) start();
  if (!worker) return sha256(file, signal);
  const id = ++requests;
  const stop = () => {
    pending.get(id).reject(signal.reason);
    worker?.postMessage({ id });
  };
  try {
    return await new Promise((resolve, reject) => {
      worker.postMessage({ id, file });
      pending.set(id, { file, signal, resolve, reject });
      signal?.addEventListener("abort", stop);
    });
  } finally {
    signal?.removeEventListener("abort", stop);
    pending.delete(id);
  }
}

function start() {
  try {
    worker = new Worker(new URL("./hash-worker.js", import.meta.url), { type: "module" });
  } catch {
    worker = null;
    return;
  }
  worker.onmessage = ({ data: { id, hex, error } }) => {
    // An aborted request may still be answered.
    const request = pending.get(id);
    if (error) request?.reject(new DOMException(error.message, error.name));
    else request?.resolve(hex);
  };
  // The worker catches all errors of its requests, so its script failed: the network or a policy blocks it, or the
  // browser has no module workers.
  worker.onerror = (event) => {
    event.preventDefault();
    worker.terminate();
    worker = null;
    for (const { file, signal, resolve } of pending.values()) resolve(sha256(file, signal));
  };
}
