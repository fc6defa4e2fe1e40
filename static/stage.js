// The large view of one photograph: its state, its problem, and its result beside the original.

import { at, element, fill, put } from "./page.js";
import { createView } from "./view.js";
import { doing, downloadName, sizeFact, words } from "./words.js";

const BUSY = ["asking", "waiting", "offered", "sending", "colouring", "receiving"];

/** The least distance of a swipe in pixels, and its longest time in milliseconds. */
const SWIPE = 50;
const SWIPE_TIME = 600;

function fact([term, value, more]) {
  const small = more ? [element("small", more)] : [];
  return element("div", "", element("dt", term), element("dd", value, ...small));
}

export class Stage {
  #photo = null;
  /** The Blobs that are shown, and their addresses. */
  #shown = { original: null, result: null };
  #addresses = { original: null, result: null };
  /** What the view was told to show. */
  #key = "";
  #session;
  #view;

  /**
   * `changed()` is called when the page has to be written again, and `leaf(by)` when a swipe asks for the photograph
   * before (-1) or after (1).
   */
  constructor(session, { changed, leaf }) {
    this.#session = session;
    this.#view = createView({ stage: at("stage") }, { changed });
    this.#listenForSwipes(leaf);
  }

  get photo() { return this.#photo; }

  /** Shows this photograph, or nothing for null. */
  open(photo) {
    if (photo === this.#photo) return;
    this.#photo = photo;
    this.#view.reset();
  }

  render() {
    const photo = this.#photo;
    put(at("stage"), "hidden", !photo);
    this.#showPictures(photo);
    if (!photo) return;
    const { phase, problem, result } = photo;
    const photos = this.#session.photos;
    const place = photos.indexOf(photo);
    put(at("previous"), "disabled", place <= 0);
    put(at("next"), "disabled", place >= photos.length - 1);
    for (const id of ["previous", "next", "close"]) put(at(id), "hidden", photos.length < 2);
    put(at("title"), "textContent", photos.length > 1 ? photo.path : "");
    for (const id of ["turn-left", "turn-right"]) put(at(id), "hidden", !photo.thumbnail && !result);

    const busy = BUSY.includes(phase);
    put(at("working"), "hidden", !busy || phase === "offered");
    put(at("doing"), "textContent", busy ? doing(photo, this.#session.now() - photo.began) : "");
    const moving = phase === "sending" || phase === "receiving";
    if (!moving || photo.part === null) at("bar").removeAttribute("value");
    else put(at("bar"), "value", photo.part);

    put(at("problem"), "hidden", phase !== "failed");
    put(at("trouble"), "textContent", problem?.title ?? "");
    put(at("advice"), "textContent", problem?.detail ?? "");
    const attempts = problem?.attempts.length > 1 ? problem.attempts : [];
    fill(at("attempts"), attempts, ({ provider, reason }) => element("li", `${provider}: ${reason}`));
    put(at("wait"), "textContent", words.again(this.seconds()));
    put(at("retry"), "hidden", problem?.again == null);
    put(at("retry"), "disabled", this.seconds() > 0);

    put(at("damaged"), "hidden", !result?.damage);
    put(at("damage"), "textContent", result?.damage ?? "");
    put(at("converted"), "hidden", !photo.converted);
    put(at("converted"), "textContent", photo.converted ? words.converted(photo.converted) : "");
    put(at("report"), "hidden", phase !== "done");
    put(at("again"), "hidden", phase !== "done" || this.#session.query(photo) === photo.asked);
    if (!result) return;
    put(at("download"), "href", this.#addresses.result);
    put(at("download"), "download", downloadName(photo.name, result.blob.type));
    const more = [...(photo.twin ? [["Note", words.twin(photo.twin.name)]] : []), ...(this.#view.size ? [sizeFact(this.#view.size)] : [])];
    fill(at("facts"), [...result.facts, ...more], fact);
  }

  /** Seconds until a retry of the failed photograph makes sense. */
  seconds() {
    const { again } = this.#photo?.problem ?? {};
    return again == null ? 0 : Math.max(0, again - this.#session.now());
  }

  /** A swipe is a quick movement of one finger to the side, neither on the slider nor on a zoomed picture. */
  #listenForSwipes(leaf) {
    let start = null;
    at("stage").addEventListener("pointerdown", (event) => {
      const other = !event.isPrimary || event.pointerType !== "touch" || event.target.closest(".wipe, button, .tools");
      start = other || at("prints").dataset.zoom === "in" ? null : event;
    });
    at("stage").addEventListener("pointerup", (event) => {
      if (!start || !event.isPrimary) return;
      const [x, y, time] = [event.clientX - start.clientX, event.clientY - start.clientY, event.timeStamp - start.timeStamp];
      start = null;
      if (Math.abs(x) > SWIPE && Math.abs(x) > 2 * Math.abs(y) && time < SWIPE_TIME) leaf(x < 0 ? 1 : -1);
    });
  }

  #showPictures(photo) {
    const wanted = { original: photo?.file ?? null, result: photo?.result?.blob ?? null };
    for (const name of ["original", "result"]) {
      if (wanted[name] === this.#shown[name]) continue;
      if (this.#addresses[name]) URL.revokeObjectURL(this.#addresses[name]);
      this.#shown[name] = wanted[name];
      this.#addresses[name] = wanted[name] && URL.createObjectURL(wanted[name]);
    }
    // A file that is no picture needs no place beside its problem.
    const nothing = photo?.blind && photo.phase === "failed";
    const wantedView = {
      original: photo?.blind ? null : this.#addresses.original,
      result: this.#addresses.result,
      rotation: photo?.rotate ?? 0,
      blind: Boolean(photo?.blind) && !nothing,
    };
    const key = JSON.stringify(wantedView);
    if (key === this.#key) return;
    this.#key = key;
    this.#view.show(wantedView);
  }
}
