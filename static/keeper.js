// The choice to keep photographs and results in this browser, and its size.

import { clear, drop, keep, kept } from "./keep.js";
import { at, put } from "./page.js";
import { words } from "./words.js";

/** In localStorage: whether a person has chosen to keep photographs, and the options of the form. */
const CHOICE = "keep";
const OPTIONS = ["provider", "format"];

/** What is kept of a photograph. */
const KEPT = ["file", "path", "rotate", "sha256", "size", "blind", "thumbnail", "coloredThumbnail", "converted", "asked", "result"];

export class Keeper {
  #session;
  #on = false;
  /** The size in bytes of each kept photograph, by its key. */
  #sizes = new Map();
  #keys = new Map();
  #full = false;

  constructor(session) {
    this.#session = session;
    at("keep").addEventListener("change", ({ target }) => this.#choose(target.checked));
    at("clear").addEventListener("click", () => this.#clear());
    for (const id of OPTIONS) at(id)?.addEventListener("change", () => this.#keepOptions());
  }

  /** Shows what was kept. */
  async start() {
    this.#on = localStorage.getItem(CHOICE) !== null;
    at("keep").checked = this.#on;
    if (!this.#on) return;
    const chosen = JSON.parse(localStorage.getItem(CHOICE));
    for (const id of OPTIONS) {
      const known = [...(at(id)?.options ?? [])].some(({ value, disabled }) => value === chosen[id] && !disabled);
      if (known) at(id).value = chosen[id];
    }
    const records = await kept().catch(() => []);
    for (const { id, ...record } of records) {
      this.#sizes.set(id, sizeOf(record));
      this.#keys.set(this.#session.restore(record), id);
    }
    this.render();
  }

  async keep(photo) {
    if (!this.#on) return;
    const key = this.#keys.get(photo) ?? `${Date.now()}-${String(photo.id).padStart(6, "0")}`;
    const record = { id: key, ...Object.fromEntries(KEPT.map((name) => [name, photo[name]])) };
    try {
      await keep(record);
      this.#keys.set(photo, key);
      this.#sizes.set(key, sizeOf(record));
      this.#full = false;
    } catch {
      this.#full = true;
    }
    this.render();
  }

  async drop(photo) {
    const key = this.#keys.get(photo);
    if (!key) return;
    this.#keys.delete(photo);
    this.#sizes.delete(key);
    await drop(key).catch(() => {});
    this.render();
  }

  render() {
    const bytes = [...this.#sizes.values()].reduce((all, size) => all + size, 0);
    put(at("kept"), "textContent", this.#full ? words.notKept : words.kept(this.#sizes.size, bytes));
    put(at("clear"), "hidden", this.#sizes.size === 0);
  }

  #keepOptions() {
    if (this.#on) localStorage.setItem(CHOICE, JSON.stringify(this.#session.options()));
  }

  async #choose(on) {
    this.#on = on;
    if (!on) {
      localStorage.removeItem(CHOICE);
      await this.#clear();
      return;
    }
    this.#keepOptions();
    for (const photo of this.#session.done()) await this.keep(photo);
  }

  async #clear() {
    await clear().catch(() => {});
    this.#keys.clear();
    this.#sizes.clear();
    this.#full = false;
    this.render();
  }
}

const sizeOf = ({ file, result, thumbnail, coloredThumbnail }) =>
  [file, result.blob, thumbnail, coloredThumbnail].reduce((all, blob) => all + (blob?.size ?? 0), 0);
