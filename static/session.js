// The photographs of this page and what happens to them: each is hashed, its cost is estimated, and it is coloured at
// once if that is free, or when a person has agreed to the price. Nothing here reads or writes the document.

import { sum, total } from "./credits.js";
import { offerOf, photograph } from "./photograph.js";
import { look, sendable } from "./pictures.js";
import { Lost, Queue } from "./queue.js";
import { Refused } from "./upload.js";
import { factsOf, words } from "./words.js";

/** Most requests in flight. Browsers open six connections to a server; some stay free for everything else. */
const MOST = 4;

const clock = () => performance.now() / 1000;
const later = (seconds, then) => {
  const timer = setTimeout(then, seconds * 1000);
  return () => clearTimeout(timer);
};

export class Session {
  photos = [];
  #preparing = Promise.resolve();
  #thumbnails = Promise.resolve();
  /** When colouring began, and how many photographs were done or failed then. */
  #start = { at: 0, ended: 0 };

  /**
   * `hash(file, signal)` computes the SHA-256; `limit` is that of uploads in bytes; `options()` returns the chosen
   * provider and format; `changed(photo)` is called after every change, without a photograph if the queues changed.
   */
  constructor({ gateway, hash, limit, options, changed, finished = () => {} }) {
    Object.assign(this, { gateway, hash, limit, options, changed, finished });
    const queue = (work, ended) => new Queue({
      work, ended, changed: () => changed(), reachable: () => gateway.reachable(), most: MOST, clock, later,
    });
    this.estimates = queue((photo, signal) => this.#estimate(photo, signal), (photo, error) => this.#estimated(photo, error));
    this.coloring = queue((photo, signal) => this.#color(photo, signal), (photo, error) => this.#colored(photo, error));
  }

  // What a person does

  add(found) {
    // A pause that has nothing left to hold up is over.
    if (this.unfinished().length === 0) this.resume();
    const added = found.map(photograph);
    this.photos.push(...added);
    this.#adapt();
    for (const photo of added) this.#begin(photo);
    return added;
  }

  /** Takes a photograph that was kept on this device. */
  restore(kept) {
    const photo = Object.assign(photograph(kept), kept, { phase: "done" });
    this.photos.push(photo);
    this.changed(photo);
    return photo;
  }

  /** Colours a photograph again, with the options of now. */
  again(...photos) {
    for (const photo of photos) {
      this.#stop(photo);
      this.#begin(photo);
    }
  }

  turn(photo, degrees) {
    photo.rotate = (photo.rotate + degrees + 360) % 360;
    this.again(photo);
  }

  cancel(photo) {
    if (this.#stop(photo)) this.#fail(photo, { ...words.cancelled, attempts: [], again: clock() });
  }

  cancelAll() {
    for (const photo of this.unfinished()) this.cancel(photo);
  }

  remove(photo) {
    this.#stop(photo);
    this.photos = this.photos.filter((other) => other !== photo);
    this.#leave(photo);
    this.changed();
  }

  /** The offered photographs, and those with the same content: all for which a person declines the price. */
  declined() {
    const offered = this.offered();
    return this.photos.filter((photo) => offered.includes(photo) || offered.includes(photo.twin));
  }

  /** The photographs whose price has not been accepted. */
  offered() { return this.photos.filter(({ phase }) => phase === "offered"); }

  /** The offers of all providers for the offered photographs together, and the provider that would be called. */
  offers() {
    const offered = this.offered();
    if (!offered.length || this.asking) return null;
    // The estimate says which provider would be called. A person may choose another one afterwards.
    const { provider } = this.options();
    const inAll = ({ name }) => offered.every(({ estimate }) => estimate.providers.some((one) => one.name === name));
    const listed = offered[0].estimate.providers.filter((one) => (one.ready || one.place) && inAll(one));
    const names = listed.map(({ name }) => name);
    const of = (name) => total(offered.map(({ estimate }) => estimate.providers.find((offer) => offer.name === name)));
    const asked = new URLSearchParams(offered[0].asked).get("provider");
    const first = provider && provider !== asked ? provider : offered[0].estimate.first;
    return { amount: offered.length, providers: names.map(of), first: names.includes(first) ? of(first) : null };
  }

  /** Colours the offered photographs with the chosen provider. */
  accept() {
    const offered = this.offered();
    const { first } = this.offers() ?? {};
    for (const photo of offered) {
      const estimate = { ...photo.estimate, first: first?.name ?? null };
      Object.assign(photo, { asked: this.query(photo), estimate, phase: "waiting" });
    }
    this.#colorLater(...offered);
  }

  pause() { for (const queue of [this.estimates, this.coloring]) queue.pause(); }
  resume() { for (const queue of [this.estimates, this.coloring]) queue.resume(); }
  /** Ends a wait early. */
  goOn() { for (const queue of [this.estimates, this.coloring]) if (queue.until) queue.goOn(); }

  // What is known

  get paused() { return this.coloring.paused; }
  get asking() { return !this.estimates.idle; }
  unfinished() { return this.photos.filter(({ phase }) => phase !== "done" && phase !== "failed"); }
  failed() { return this.photos.filter(({ phase }) => phase === "failed"); }
  done() { return this.photos.filter(({ phase }) => phase === "done"); }
  /** The wait of the queues: { reason, seconds }; null if there is none. */
  wait() {
    const waiting = [this.coloring, this.estimates].find(({ until }) => until);
    return waiting ? { reason: waiting.reason, seconds: Math.max(0, waiting.until - clock()) } : null;
  }

  now() { return clock(); }

  /** The options of a photograph's request, as a query string. */
  query(photo) {
    return new URLSearchParams({ ...this.options(), ...(photo.rotate ? { rotate: photo.rotate } : {}) }).toString();
  }

  progress() {
    const [done, failed, all] = [this.done().length, this.failed().length, this.photos.length];
    const ended = done + failed - this.#start.ended;
    const waiting = all - done - failed;
    // The first few say little about the rest.
    const left = waiting && ended >= 3 ? ((clock() - this.#start.at) / ended) * waiting : null;
    const spent = this.done().filter(({ twin }) => !twin).map(({ result }) => result.credits).filter((credits) => /^[\d.]+$/.test(credits));
    return { all, done, failed, left, spent: sum(spent) };
  }

  // What happens

  /** The photographs that have the result of this one, or wait for it, go their own way. */
  #leave(photo) {
    for (const other of this.photos.filter(({ twin }) => twin === photo)) {
      other.twin = null;
      if (other.phase !== "done" && other.phase !== "failed") this.#begin(other);
      this.changed(other);
    }
  }

  #begin(photo) {
    this.#leave(photo);
    Object.assign(photo, {
      phase: "asking", part: 0, estimate: null, result: null, problem: null, twin: null, coloredThumbnail: null, asked: this.query(photo),
    });
    if (photo.file.size === 0) return this.#fail(photo, { ...words.empty, attempts: [], again: null });
    this.estimates.add(photo);
    return this.changed(photo);
  }

  /** Ends what happens to a photograph. Returns whether anything did. */
  #stop(photo) {
    const busy = photo.phase !== "done" && photo.phase !== "failed";
    this.estimates.cancel(photo);
    this.coloring.cancel(photo);
    return busy;
  }

  /** As many in flight as the rate limits allow. */
  async #adapt() {
    const limits = await this.gateway.quota();
    const fewest = Math.min(MOST, ...(limits ?? []).map(({ remaining }) => remaining));
    this.coloring.most = Math.max(1, fewest);
    this.coloring.width = Math.min(this.coloring.width, this.coloring.most);
  }

  async #estimate(photo, signal) {
    if (!photo.sent) await this.#inOrder(() => this.#prepare(photo, signal));
    if (this.#twinOf(photo)) return;
    photo.estimate = await this.gateway.estimate(photo.asked, { sha256: photo.sha256, ...photo.size, bytes: photo.sent.size }, signal);
  }

  /** One after another, so that decoded pictures need little memory, and the first of two equal ones is found first. */
  #inOrder(act) {
    const acted = this.#preparing.then(act);
    this.#preparing = acted.catch(() => {});
    return acted;
  }

  async #prepare(photo, signal) {
    signal.throwIfAborted();
    const { file, converted } = await sendable(photo.file);
    if (file.size > this.limit) throw new Refused(words.tooLarge(file.size, this.limit));
    const sha256 = await this.hash(file, signal);
    const seen = await look(file);
    Object.assign(photo, { sent: file, converted, sha256, blind: !seen });
    if (!seen) return;
    Object.assign(photo, { size: { width: seen.width, height: seen.height }, thumbnail: seen.thumbnail });
    this.changed(photo);
  }

  #estimated(photo, error) {
    if (error) return this.#refuse(photo, error);
    photo.twin = this.#twinOf(photo);
    photo.phase = "waiting";
    if (photo.twin) {
      if (photo.twin.phase === "done") this.#copy(photo);
      if (photo.coloredThumbnail) this.finished(photo);
    } else if (offerOf(photo) && offerOf(photo).credits.most !== "0") {
      photo.phase = "offered";
    } else {
      this.#colorLater(photo);
    }
    return this.changed(photo);
  }

  /** A photograph with the same content and the same options that is before this one, or further on. */
  #twinOf(photo) {
    const before = this.photos.slice(0, this.photos.indexOf(photo));
    const further = (other) => (other.phase !== "asking" || before.includes(other)) && other.phase !== "failed";
    const same = ({ sha256, asked }) => sha256 === photo.sha256 && asked === photo.asked;
    return this.photos.find((other) => other !== photo && !other.twin && further(other) && same(other)) ?? null;
  }

  #colorLater(...photos) {
    if (this.coloring.idle) this.#start = { at: clock(), ended: this.done().length + this.failed().length };
    this.coloring.add(...photos);
  }

  async #color(photo, signal) {
    const { asked, sha256, sent, tried } = photo;
    const progress = (phase, part) => {
      if (signal.aborted) return;
      Object.assign(photo, { phase, part });
      this.changed(photo);
    };
    photo.began = clock();
    progress("sending", 0);
    try {
      const stored = tried || offerOf(photo)?.cache === "hit" ? await this.gateway.cached(asked, sha256, signal) : null;
      const { blob, header } = stored ?? (await this.gateway.color(asked, sent, signal, progress));
      photo.result = {
        blob,
        damage: header("X-PixColor-Damage"),
        facts: factsOf(header, clock() - photo.began, offerOf(photo)),
        credits: header("X-PixColor-Credits") ?? "unknown",
        cached: header("Cache-Status")?.includes("; hit") ?? false,
      };
    } catch (error) {
      photo.tried ||= error instanceof Lost;
      progress("waiting", 0);
      throw error;
    }
  }

  #colored(photo, error) {
    if (error) return this.#refuse(photo, error);
    photo.phase = "done";
    photo.tried = false;
    // A decoded PNG is large, and can be made again.
    if (photo.converted) photo.sent = null;
    this.#thumbnails = this.#thumbnails.then(async () => {
      const { result } = photo;
      const seen = result && (await look(result.blob));
      // It was removed or turned meanwhile.
      if (!result || photo.result !== result) return;
      for (const one of [photo, ...this.photos.filter(({ twin }) => twin === photo)]) {
        one.coloredThumbnail = seen?.thumbnail ?? null;
        this.changed(one);
        this.finished(one);
      }
    });
    for (const other of this.photos.filter(({ twin }) => twin === photo)) this.#copy(other);
    return this.changed(photo);
  }

  /** Gives a photograph the result of its twin. */
  #copy(photo) {
    const { asked, coloredThumbnail, result } = photo.twin;
    Object.assign(photo, { phase: "done", asked, coloredThumbnail, result });
    this.changed(photo);
  }

  #refuse(photo, error) {
    const retry = (seconds) => (seconds === null ? null : clock() + seconds);
    if (error instanceof Refused) {
      const { title, detail, attempts, key } = error;
      return this.#fail(photo, { title, detail, attempts, again: retry(error.retry), key });
    }
    const said = { NotReadableError: words.unreadable, NotFoundError: words.unreadable, Error: words.lost }[error.name] ?? words.broken;
    if (said === words.broken) console.error(error);
    return this.#fail(photo, { ...said, attempts: [], again: clock() });
  }

  #fail(photo, problem) {
    Object.assign(photo, { phase: "failed", problem });
    for (const other of this.photos.filter(({ twin }) => twin === photo)) this.#fail(other, problem);
    this.changed(photo);
  }
}
