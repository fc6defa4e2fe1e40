// A queue of jobs with a limited number in flight. If the server asks to wait or cannot be reached, the whole queue
// waits and then goes on by itself. The queue uses neither the document nor the network, so node can test it.

/** The server asks to wait this long. The job runs again afterwards. */
export class Wait extends Error {
  constructor(seconds, reason) {
    super(reason);
    this.seconds = seconds;
  }
}

/** There was no answer: the server, the network or this job's connection is gone. */
export class Lost extends Error {}

/** Seconds until the first retry after a lost connection. Each further wait is twice as long, up to the longest. */
const FIRST_WAIT = 1;
const LONGEST_WAIT = 20;
/** A job fails if its connection is lost this often while the server can be reached. */
const TRIES = 3;

export class Queue {
  #jobs = [];
  #running = new Map();
  #tries = new Map();
  #timer = null;
  #backoff = FIRST_WAIT;
  #successes = 0;

  /** Whether a person has paused the queue. Running jobs end. */
  paused = false;
  /** When the wait ends, by `clock`; 0 if there is none. */
  until = 0;
  /** Why the queue waits: the message of the error; null if it does not. */
  reason = null;

  /**
   * `work(job, signal)` does a job; `ended(job, error)` is called once for each job that is not cancelled, without an
   * error after a success; `changed()` is called after every change of the queue. `reachable()` says whether the server
   * answers. `fewest` and `most` jobs are in flight: the number is halved when the server asks to wait, and grows with
   * successes. `clock` is in seconds; `later(seconds, then)` calls `then` once and returns a function that prevents it.
   */
  constructor({ work, ended, changed = () => {}, reachable = async () => true, fewest = 1, start = 2, most = 4, clock, later }) {
    Object.assign(this, { work, ended, changed, reachable, fewest, most, clock, later });
    this.width = start;
  }

  get waiting() { return this.#jobs.length; }
  get running() { return this.#running.size; }
  get idle() { return this.waiting === 0 && this.running === 0; }
  has(job) { return this.#running.has(job) || this.#jobs.includes(job); }

  add(...jobs) {
    for (const job of jobs) if (!this.has(job)) this.#jobs.push(job);
    this.#next();
  }

  /** Removes a job, and aborts it if it is running. */
  cancel(job) {
    this.#running.get(job)?.abort();
    this.#running.delete(job);
    this.#tries.delete(job);
    this.#jobs = this.#jobs.filter((other) => other !== job);
    if (this.idle) this.#stopWaiting();
    this.#next();
  }

  cancelAll() {
    for (const job of [...this.#running.keys(), ...this.#jobs]) this.cancel(job);
  }

  pause() {
    this.paused = true;
    this.changed();
  }

  resume() {
    this.paused = false;
    this.#next();
  }

  /** Ends a wait early. */
  goOn() {
    this.#stopWaiting();
    this.#next();
  }

  #stopWaiting() {
    this.#timer?.();
    this.#timer = null;
    this.until = 0;
    this.reason = null;
  }

  #next() {
    while (!this.paused && !this.until && this.running < this.width && this.waiting) this.#run(this.#jobs.shift());
    this.changed();
  }

  async #run(job) {
    const aborter = new AbortController();
    this.#running.set(job, aborter);
    let problem = null;
    try {
      await this.work(job, aborter.signal);
    } catch (error) {
      problem = error;
    }
    // A job that was cancelled meanwhile, and may have been added again.
    const current = () => this.#running.get(job) === aborter;
    if (!current()) return;
    if (problem instanceof Lost && (await this.reachable())) {
      if (!current()) return;
      this.#tries.set(job, (this.#tries.get(job) ?? 0) + 1);
    }
    if (!current()) return;
    this.#running.delete(job);
    const again = problem instanceof Wait || (problem instanceof Lost && (this.#tries.get(job) ?? 0) < TRIES);
    if (again) {
      this.#jobs.unshift(job);
      this.#wait(problem);
    } else {
      this.#tries.delete(job);
      if (!problem) this.#widen();
      this.ended(job, problem);
    }
    this.#next();
  }

  #wait(problem) {
    let seconds = problem.seconds;
    if (problem instanceof Lost) {
      seconds = this.#backoff;
      this.#backoff = Math.min(this.#backoff * 2, LONGEST_WAIT);
    }
    // Jobs in flight together are refused together: that is one reason to send fewer, not several.
    if (!this.until) this.width = Math.max(this.fewest, Math.floor(this.width / 2));
    this.#successes = 0;
    const until = this.clock() + Math.max(seconds, 0.1);
    if (until <= this.until) return;
    this.#timer?.();
    this.until = until;
    this.reason = problem.message;
    this.#timer = this.later(until - this.clock(), () => this.goOn());
  }

  #widen() {
    this.#backoff = FIRST_WAIT;
    this.#successes += 1;
    if (this.until || this.#successes < this.width || this.width >= this.most) return;
    this.#successes = 0;
    this.width += 1;
  }
}
