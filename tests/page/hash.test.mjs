import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import test from "node:test";
import { Worker as Thread } from "node:worker_threads";

import { load } from "./harness.mjs";

const expected = (bytes) => createHash("sha256").update(bytes).digest("hex");
const small = new Blob(["abc"]);
const large = new Blob([new Uint8Array(70 * 1024 * 1024)]);

// Browsers read a Blob in a task of its own, between which messages and timers get their turn. Node 20 does not.
const readInTask = `
  const { arrayBuffer } = Blob.prototype;
  Blob.prototype.arrayBuffer = async function () {
    await new Promise(setImmediate);
    return arrayBuffer.call(this);
  };
`;
new Function(readInTask)();

/** A browser's `Worker`, as far as hash.js uses it, on a thread of Node's. */
class BrowserWorker {
  static started = 0;
  static posted = [];

  constructor(url, options) {
    assert.deepEqual(options, { type: "module" });
    BrowserWorker.started++;
    const script = `
      ${readInTask}
      const { parentPort, workerData } = require("node:worker_threads");
      globalThis.onmessage = null;
      globalThis.postMessage = (message) => parentPort.postMessage(message);
      import(workerData).then(() => parentPort.on("message", (data) => onmessage({ data })));
    `;
    this.thread = new Thread(script, { eval: true, workerData: url.href });
    this.thread.on("message", (data) => this.onmessage({ data }));
    this.thread.on("error", () => this.onerror({ preventDefault() {} }));
    // Otherwise the test's process would not end.
    this.thread.unref();
  }

  postMessage(message) {
    BrowserWorker.posted.push(message);
    this.thread.postMessage(message);
    this.thread.ref();
  }

  terminate() {
    this.thread.terminate();
  }
}

/** Loads hash.js anew, in a browser with this `Worker`, runs the test, and ends the threads. */
let instances = 0;
async function browser(Worker, then) {
  const workers = [];
  BrowserWorker.started = 0;
  BrowserWorker.posted = [];
  globalThis.Worker = Worker && class extends Worker {
    constructor(...parameters) {
      super(...parameters);
      workers.push(this);
    }
  };
  try {
    const { hash } = await load("hash.js", ++instances);
    await then(hash);
  } finally {
    for (const worker of workers) worker.terminate?.();
    delete globalThis.Worker;
  }
}

test("files are hashed in one worker", () => browser(BrowserWorker, async (hash) => {
  const files = Array.from({ length: 20 }, (_, number) => new Uint8Array(number * 1000).fill(number));
  const hashes = await Promise.all(files.map((file) => hash(new Blob([file]))));
  assert.deepEqual(hashes, files.map(expected));
  assert.equal(await hash(small), expected("abc"));
  assert.equal(BrowserWorker.started, 1);
  assert.equal(BrowserWorker.posted.length, 21);
}));

test("the worker hashes one file after the other, so that it holds one at a time in memory", () =>
  browser(BrowserWorker, async (hash) => {
    const answered = [];
    const hashes = [large, small].map((file) => hash(file).finally(() => answered.push(file)));
    assert.deepEqual(await Promise.all(hashes), [expected(new Uint8Array(large.size)), expected("abc")]);
    assert.ok(answered[0] === large && answered[1] === small);
  }));

test("an error in the worker rejects with its name and message, and the worker goes on", () =>
  browser(BrowserWorker, async (hash) => {
    // Neither Blob nor File, so that reading it fails in the worker.
    await assert.rejects(hash({ size: 3 }), (error) => {
      assert.ok(error instanceof DOMException);
      assert.equal(error.name, "TypeError");
      assert.match(error.message, /is not a function/);
      return true;
    });
    assert.equal(await hash(small), expected("abc"));
    assert.equal(BrowserWorker.started, 1);
  }));

test("aborting rejects at once, stops the worker, and leaves other requests alone", () =>
  browser(BrowserWorker, async (hash) => {
    await hash(small);
    const began = performance.now();
    const whole = await hash(large);
    const duration = performance.now() - began;

    const controllers = Array.from({ length: 20 }, () => new AbortController());
    const settled = [];
    const aborted = controllers.map(({ signal }) => hash(large, signal).finally(() => settled.push("aborted")));
    const other = hash(small).finally(() => settled.push("other"));
    const restarted = performance.now();
    for (const controller of controllers) controller.abort();
    for (const request of aborted) await assert.rejects(request, { name: "AbortError" });
    assert.equal(await other, expected("abc"));
    assert.deepEqual(settled, [...Array(20).fill("aborted"), "other"]);
    // Hashing the 20 files would take 20 times as long as one.
    assert.ok(performance.now() - restarted < 5 * duration, "the worker hashed the aborted files");
    assert.equal(whole, expected(new Uint8Array(large.size)));
  }));

test("an aborted signal rejects before anything is sent", () => browser(BrowserWorker, async (hash) => {
  await assert.rejects(hash(small, AbortSignal.abort()), { name: "AbortError" });
  assert.equal(BrowserWorker.started, 0);
}));

test("a signal that aborts after the answer changes nothing", () => browser(BrowserWorker, async (hash) => {
  const controller = new AbortController();
  assert.equal(await hash(small, controller.signal), expected("abc"));
  controller.abort();
  assert.equal(BrowserWorker.posted.length, 1);
}));

test("without workers the page's thread hashes", async () => {
  class Refused {
    constructor() {
      throw new DOMException("not allowed", "SecurityError");
    }
  }
  for (const Worker of [undefined, Refused]) {
    await browser(Worker, async (hash) => {
      assert.equal(await hash(small), expected("abc"));
      assert.equal(await hash(large), expected(new Uint8Array(large.size)));
      const gone = new DOMException("The file could not be read.", "NotReadableError");
      await assert.rejects(hash({ size: 3, arrayBuffer: async () => { throw gone; }, slice() { return this; } }), gone);
      const controller = new AbortController();
      const request = hash(large, controller.signal);
      controller.abort();
      await assert.rejects(request, { name: "AbortError" });
    });
  }
});

test("if the worker's script cannot be loaded, the page's thread hashes, the waiting files too", () => {
  class Blocked {
    constructor() {
      setTimeout(() => this.onerror({ preventDefault() {} }), 50);
    }
    postMessage() {}
    terminate() {}
  }
  return browser(Blocked, async (hash) => {
    const controller = new AbortController();
    const aborted = hash(large, controller.signal);
    const requests = [hash(small), hash(large), hash(new Blob([]))];
    setTimeout(() => controller.abort(), 60);
    await assert.rejects(aborted, { name: "AbortError" });
    assert.deepEqual(await Promise.all(requests), ["abc", new Uint8Array(large.size), ""].map(expected));
    assert.equal(await hash(small), expected("abc"));
  });
});
