// The queue, with a clock and jobs that the tests control.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Lost, Queue, Wait } from "../../static/queue.js";

/** A queue whose jobs end when the test says so. */
function controlled(options = {}) {
  const timers = [];
  const it = { now: 0, ended: [], started: [], aborted: [], open: new Map(), reached: true };
  it.queue = new Queue({
    work: (job, signal) => new Promise((resolve, reject) => {
      it.started.push(job);
      it.open.set(job, { resolve, reject });
      signal.addEventListener("abort", () => { it.aborted.push(job); reject(new Error("aborted")); });
    }),
    ended: (job, error) => it.ended.push(error ? [job, error.message] : job),
    reachable: async () => it.reached,
    clock: () => it.now,
    later: (seconds, then) => {
      const timer = { at: it.now + seconds, then };
      timers.push(timer);
      return () => { timer.then = () => {}; };
    },
    ...options,
  });
  const settle = () => new Promise((resolve) => { setImmediate(resolve); });
  it.succeed = async (job) => { it.open.get(job).resolve(); await settle(); };
  it.fail = async (job, error) => { it.open.get(job).reject(error); await settle(); };
  it.pass = async (seconds) => {
    it.now += seconds;
    for (const timer of timers.splice(0)) {
      if (timer.at <= it.now + 1e-9) timer.then();
      else timers.push(timer);
    }
    await settle();
  };
  return it;
}

test("jobs run in order, a few at a time, and more after successes", async () => {
  const it = controlled();
  it.queue.add(1, 2, 3, 4, 5, 6, 7, 8, 9);
  assert.deepEqual(it.started, [1, 2]);
  await it.succeed(1);
  await it.succeed(2);
  assert.deepEqual([it.queue.width, it.queue.running], [3, 3]);
  for (const job of [3, 4, 5]) await it.succeed(job);
  assert.deepEqual([it.queue.width, it.queue.running], [4, 4]);
  for (const job of [6, 7, 8, 9]) await it.succeed(job);
  assert.equal(it.queue.width, 4);
  assert.deepEqual(it.ended, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
  assert.ok(it.queue.idle);
});

test("a failed job is reported and the others go on", async () => {
  const it = controlled();
  it.queue.add(1, 2, 3);
  await it.fail(1, new Error("no picture"));
  await it.succeed(2);
  await it.succeed(3);
  assert.deepEqual(it.ended, [[1, "no picture"], 2, 3]);
});

test("when the server asks to wait, everything waits that long and fewer jobs are sent", async () => {
  const it = controlled({ start: 4 });
  it.queue.add(1, 2, 3, 4, 5);
  await it.fail(2, new Wait(7, "busy"));
  await it.fail(1, new Wait(3, "busy"));
  assert.deepEqual([it.queue.until, it.queue.reason, it.queue.width], [7, "busy", 2]);
  await it.succeed(3);
  await it.succeed(4);
  await it.pass(6.9);
  assert.equal(it.queue.running, 0);
  await it.pass(0.1);
  assert.deepEqual([it.queue.until, it.queue.reason], [0, null]);
  assert.deepEqual(it.started, [1, 2, 3, 4, 1, 2], "the refused jobs come first, in their order");
});

test("without an answer the queue waits longer each time, and goes on when the server is back", async () => {
  const it = controlled();
  it.reached = false;
  it.queue.add(1);
  for (const seconds of [1, 2, 4, 8, 16, 20, 20]) {
    await it.fail(1, new Lost("gone"));
    assert.equal(it.queue.until - it.now, seconds);
    await it.pass(seconds);
  }
  await it.succeed(1);
  assert.deepEqual(it.ended, [1]);
  it.queue.add(2);
  await it.fail(2, new Lost("gone"));
  assert.equal(it.queue.until - it.now, 1, "a success ends the series");
});

test("the end of a wait can be brought forward", async () => {
  const it = controlled();
  it.reached = false;
  it.queue.add(1);
  await it.fail(1, new Lost("gone"));
  it.queue.goOn();
  assert.equal(it.queue.running, 1);
  await it.pass(5);
  assert.deepEqual(it.started, [1, 1], "the timer of the ended wait does nothing");
});

test("a job that loses its connection while the server answers fails in the end", async () => {
  const it = controlled();
  it.queue.add(1);
  for (let time = 0; time < 3; time += 1) {
    await it.fail(1, new Lost("cut off"));
    await it.pass(20);
  }
  assert.deepEqual(it.ended, [[1, "cut off"]]);
  it.queue.add(2);
  await it.succeed(2);
  assert.deepEqual(it.ended.at(-1), 2);
});

test("a pause lets running jobs end and starts no other", async () => {
  const it = controlled();
  it.queue.add(1, 2, 3);
  it.queue.pause();
  await it.succeed(1);
  assert.deepEqual([it.queue.running, it.queue.waiting], [1, 1]);
  it.queue.resume();
  assert.deepEqual(it.started, [1, 2, 3]);
});

test("a wait that ends during a pause starts nothing", async () => {
  const it = controlled();
  it.queue.add(1, 2);
  await it.fail(1, new Wait(1, "busy"));
  it.queue.pause();
  await it.succeed(2);
  await it.pass(1);
  assert.equal(it.queue.running, 0);
  it.queue.resume();
  assert.equal(it.queue.running, 1);
});

test("a cancelled job is aborted, not reported, and can be added again", async () => {
  const it = controlled();
  it.queue.add(1, 2, 3);
  it.queue.cancel(3);
  it.queue.cancel(1);
  assert.deepEqual([it.aborted, it.queue.running, it.queue.waiting], [[1], 1, 0]);
  it.queue.add(1);
  await it.succeed(1);
  await it.succeed(2);
  assert.deepEqual(it.ended, [1, 2]);
  it.queue.add(4, 5, 6);
  it.queue.cancelAll();
  assert.ok(it.queue.idle);
});

test("a job is not added twice", () => {
  const it = controlled();
  it.queue.add(1, 1, 2, 3, 3);
  it.queue.add(1, 3);
  assert.deepEqual([it.started, it.queue.waiting], [[1, 2], 1]);
});

test("cancelling the only job ends the wait", async () => {
  const it = controlled();
  it.queue.add(1);
  await it.fail(1, new Wait(60, "busy"));
  it.queue.cancel(1);
  assert.equal(it.queue.until, 0);
  it.queue.add(2);
  assert.deepEqual(it.started, [1, 2]);
});
