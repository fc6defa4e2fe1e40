// The contact sheet: a tile for each photograph.

import { put } from "./page.js";
import { state, words } from "./words.js";

/** The states in `data-state`, by phase. */
const STATES = { sending: "uploading", colouring: "colorizing", receiving: "colorizing", done: "done", failed: "failed" };

export class Tiles {
  #list;
  #template;
  #tiles = new Map();

  /** `open(photo)` and `remove(photo)` are called for the buttons of a tile. */
  constructor(list, template, { open, remove }) {
    this.#list = list;
    this.#template = template;
    const of = ({ target }, selector) => {
      const tile = target.closest(selector)?.closest("li");
      return [...this.#tiles].find(([, { element }]) => element === tile)?.[0];
    };
    list.addEventListener("click", (event) => {
      const [removed, opened] = [of(event, ".remove"), of(event, ".open")];
      if (removed) remove(removed);
      else if (opened) open(opened);
    });
  }

  /** Shows the photographs in this order, and marks the open one. */
  show(photos, open) {
    for (const [photo, tile] of this.#tiles) if (!photos.includes(photo)) this.#drop(photo, tile);
    for (const photo of photos) {
      const tile = this.#tiles.get(photo) ?? this.#make(photo);
      if (photo === open) tile.button.setAttribute("aria-current", "true");
      else tile.button.removeAttribute("aria-current");
    }
  }

  /** Shows the current state of a photograph. */
  update(photo) {
    const tile = this.#tiles.get(photo);
    if (!tile) return;
    put(tile.element.dataset, "state", STATES[photo.phase] ?? "waiting");
    put(tile.said, "textContent", state(photo));
    put(tile.bar, "hidden", photo.phase !== "sending" || !photo.part);
    put(tile.bar, "value", photo.part ?? 0);
    const thumbnail = photo.coloredThumbnail;
    this.#picture(tile, thumbnail ?? photo.thumbnail, thumbnail ? 0 : photo.rotate);
  }

  /** Puts the focus on the tile of a photograph. */
  focus(photo) {
    this.#tiles.get(photo)?.button.focus();
  }

  #make(photo) {
    const element = this.#template.content.firstElementChild.cloneNode(true);
    const [button, name, said, bar, image, remove] = [".open", ".name", ".said", "progress", "img", ".remove"]
      .map((selector) => element.querySelector(selector));
    name.textContent = photo.name;
    element.title = photo.path;
    remove.setAttribute("aria-label", words.remove(photo.name));
    const tile = { element, button, said, bar, image, shown: null };
    this.#tiles.set(photo, tile);
    this.#list.append(element);
    this.update(photo);
    return tile;
  }

  #picture(tile, blob, rotate) {
    put(tile.image.dataset, "rotate", String(rotate));
    if (tile.shown === blob) return;
    if (tile.shown) URL.revokeObjectURL(tile.image.src);
    tile.shown = blob;
    tile.image.hidden = !blob;
    if (blob) tile.image.src = URL.createObjectURL(blob);
  }

  #drop(photo, tile) {
    if (tile.shown) URL.revokeObjectURL(tile.image.src);
    const focused = tile.element.contains(document.activeElement);
    const next = tile.element.nextElementSibling ?? tile.element.previousElementSibling;
    tile.element.remove();
    this.#tiles.delete(photo);
    if (focused) next?.querySelector(".open").focus();
  }
}
