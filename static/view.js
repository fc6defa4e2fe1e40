// The large view: the original and the result beside each other or in a slider, with zoom, pan, full screen and a
// button that shows the original. It writes only to elements in the stage; geometry.js has the geometry.

import { clamp, FIT, frameOf, offset, pan, pinch, step, toggled, zoomAt } from "./geometry.js";
import { put } from "./page.js";
import { words } from "./words.js";

const STEP = 1.5;
/** Pixels that a pointer may move, and milliseconds and pixels between two taps that are a double tap. */
const SLOP = 4;
const DOUBLE = { time: 350, gap: 24 };
/** A wheel that has zoomed does not scroll the page for so many milliseconds, so that the page stays at the end. */
const WHEEL_PAUSE = 300;
/** The part of the frame by which an arrow key moves the picture. */
const ARROW = 0.1;
const ARROWS = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
const CENTRE = { x: 0, y: 0 };

const gap = (a, b) => Math.hypot(a.x - b.x, a.y - b.y);
/** The element that shows a picture at an event, if any. */
const areaOf = (event) => event.target.closest?.(".frame, .wipe");

/** Where an event is in an area, relative to its centre. */
function pointIn(area, { clientX, clientY }) {
  const { left, top, width, height } = area.getBoundingClientRect();
  return { x: clientX - left - width / 2, y: clientY - top - height / 2 };
}

function setSource(image, address) {
  if (image.getAttribute("src") === address) return;
  if (address) image.src = address;
  else image.removeAttribute("src");
}

/** `stage` is the element with the prints and the tools. `changed` is called when the size, view or split changes. */
export function createView({ stage }, { changed = () => {} } = {}) {
  const at = (id) => stage.querySelector(`#${id}`);
  const [prints, original, result, held, split] = ["prints", "original", "result", "held", "split"].map(at);
  const toolbar = stage.querySelector("[role=toolbar]");
  const buttons = [...toolbar.querySelectorAll("button")];
  const caption = at("after").querySelector("figcaption");
  const captions = { result: caption.textContent, original: at("before").querySelector("figcaption").textContent };

  const state = {
    /** The addresses of the pictures, the clockwise turn of the original, whether the browser cannot show it. */
    original: null, result: null, rotation: 0, blind: false,
    view: matchMedia("(max-width: 46rem)").matches ? "wipe" : "side",
    split: 50,
    place: FIT,
    /** Whether the original is shown in place of the result, and whether the stage fills the screen. */
    held: false, full: false,
  };

  const ready = () => Boolean(state.result);
  const pair = () => Boolean(state.original && state.result && !state.blind);
  const wiping = () => pair() && state.view === "wipe";
  const turned = () => state.rotation % 180 !== 0;

  // Pictures and rendering

  /** The size of a loaded image. While another one loads, `naturalWidth` is that of the last. */
  const natural = ({ complete, naturalWidth: width, naturalHeight: height }) =>
    (complete && width ? { width, height } : null);

  function size() {
    const made = state.result ? natural(result) : null;
    const own = !made && state.original && !state.blind ? natural(original) : null;
    return made ?? (own && turned() ? { width: own.height, height: own.width } : own);
  }

  const box = () => (ready() ? result : original).parentElement.getBoundingClientRect();
  const frame = () => (ready() ? frameOf(box(), size(), devicePixelRatio) : null);

  function render() {
    const shown = size();
    put(prints.dataset, "view", wiping() ? "wipe" : "side");
    setVariables({
      "--ratio": shown ? shown.width / shown.height : 4 / 3,
      "--natural": shown?.width ?? 640,
      "--split": state.split,
    });
    put(at("before"), "hidden", !state.original && !state.blind);
    for (const image of [original, held]) image.style.setProperty("--turn", `${state.rotation}deg`);
    setSource(original, state.original);
    setSource(held, pair() ? state.original : null);
    setSource(result, state.result);
    put(original, "hidden", state.blind || !state.original);
    put(held, "hidden", !state.held);
    put(result, "hidden", !ready());
    put(caption, "textContent", state.held ? captions.original : captions.result);
    put(at("blind"), "hidden", !state.blind);
    put(at("wipe"), "hidden", !wiping());
    put(split, "value", String(Math.round(state.split)));
    prints.toggleAttribute("data-turned", turned());
    prints.toggleAttribute("data-held", state.held);
    stage.toggleAttribute("data-full", state.full);
    renderTools();
    renderPlace();
  }

  function setVariables(variables) {
    for (const [name, value] of Object.entries(variables)) prints.style.setProperty(name, value);
  }

  function renderTools() {
    put(at("tools"), "hidden", !ready() && !state.full);
    put(at("views"), "hidden", !pair());
    put(stage.querySelector(`[name=view][value=${state.view}]`), "checked", true);
    put(at("full"), "textContent", words.full(state.full));
    // The keys work while the prints have the focus.
    if (ready()) {
      prints.tabIndex = 0;
      prints.setAttribute("aria-describedby", "keys");
    } else {
      prints.removeAttribute("tabindex");
      prints.removeAttribute("aria-describedby");
    }
  }

  /** Writes the zoom. The layout must be up to date, because the size of the frame is measured. */
  function renderPlace() {
    const { width, height } = box();
    setVariables({ "--box-width": `${width}px`, "--box-height": `${height}px` });
    const now = frame();
    const place = now ? clamp(state.place, now) : FIT;
    const moved = now ? offset(place, now) : CENTRE;
    setVariables({ "--zoom": place.zoom, "--x": `${moved.x}px`, "--y": `${moved.y}px` });
    put(prints.dataset, "zoom", !now ? "" : place.zoom > 1 ? "in" : "fit");
    put(at("zoom-level"), "textContent", now ? `${Math.round((100 * place.zoom) / now.one)} %` : "");
    // Disabled buttons would lose the focus.
    const disable = (id, off) => at(id).setAttribute("aria-disabled", String(off));
    disable("zoom-out", !now || place.zoom <= now.least);
    disable("zoom-in", !now || place.zoom >= now.most);
    disable("zoom-one", !now || place.zoom === now.one);
    disable("zoom-fit", !now || place.zoom === 1);
    disable("hold", !pair());
  }

  function change(what) {
    Object.assign(state, what);
    render();
  }

  /** Shows another part of the picture; `smooth` animates the way. */
  function go(place, smooth = false) {
    prints.toggleAttribute("data-smooth", smooth);
    state.place = place;
    renderPlace();
  }

  /** Zooms, by default about the centre. */
  function zoomTo(zoomOf, point = CENTRE, smooth = true) {
    const now = frame();
    if (!now) return;
    const place = clamp(state.place, now);
    go(zoomAt(place, zoomOf(place.zoom, now), point, now), smooth);
  }

  const zoomIn = () => zoomTo((zoom, now) => step(zoom, STEP, now));
  const zoomOut = () => zoomTo((zoom, now) => step(zoom, 1 / STEP, now));
  const zoomOne = () => zoomTo((_, now) => now.one);
  const zoomFit = () => zoomTo(() => 1);

  function setView(view) {
    if (view === state.view) return;
    change({ view });
    changed();
  }

  function setSplit(value) {
    const limited = Math.min(Math.max(Math.round(value * 10) / 10, 0), 100);
    if (limited === state.split) return;
    change({ split: limited });
    changed();
  }

  // Pointers: mouse, pen and fingers

  const pointers = new Map();
  /** { kind: "split", "pan" or "pinch", area, place and from: where it began, moved: whether it is more than a tap } */
  let gesture = null;
  let lastTap = null;

  const points = (area) => [...pointers.values()].map((event) => pointIn(area, event));

  function begin(area, kind, moved) {
    const now = frame();
    gesture = { kind, area, from: points(area), place: now ? clamp(state.place, now) : FIT, moved };
  }

  function down(event) {
    const area = areaOf(event);
    if (!ready() || !area || event.button !== 0 || pointers.size === 2) return;
    prints.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, event);
    const handle = wiping() && (prints.dataset.zoom !== "in" || event.target.matches(".divider"));
    begin(area, pointers.size === 2 ? "pinch" : handle ? "split" : "pan", pointers.size === 2);
    if (handle) split.focus({ preventScroll: true, focusVisible: false });
    else prints.focus({ preventScroll: true, focusVisible: false });
    // The default would move the focus again.
    if (event.pointerType === "mouse") event.preventDefault();
  }

  function move(event) {
    if (!pointers.has(event.pointerId)) return;
    pointers.set(event.pointerId, event);
    const { kind, area, from, place } = gesture;
    const to = points(area);
    const by = { x: to[0].x - from[0].x, y: to[0].y - from[0].y };
    const now = frame();
    // A finger that moves up or down on the slider scrolls the page.
    const still = gap(from[0], to[0]) < SLOP || (kind === "split" && Math.abs(by.x) < Math.abs(by.y));
    if (!now || (!gesture.moved && still)) return;
    gesture.moved = true;
    if (kind === "pinch") go(pinch(place, from, to, now));
    else if (kind === "split") splitAt(event, area);
    else go(pan(place, by, now));
  }

  function up(event) {
    if (!pointers.delete(event.pointerId)) return;
    const { area, kind, from, moved } = gesture;
    if (pointers.size) return begin(area, "pan", true);
    gesture = null;
    if (event.type === "pointerup" && !moved && gap(from[0], pointIn(area, event)) < SLOP) tap(event, area, kind);
  }

  function splitAt(event, area) {
    const { left, width } = area.getBoundingClientRect();
    setSplit((100 * (event.clientX - left)) / width);
  }

  function tap(event, area, kind) {
    const point = { x: event.clientX, y: event.clientY };
    if (lastTap && event.timeStamp - lastTap.time < DOUBLE.time && gap(point, lastTap.point) < DOUBLE.gap) {
      // The first tap has moved the split.
      setSplit(lastTap.split);
      lastTap = null;
      zoomTo(toggled, pointIn(area, event));
      return;
    }
    lastTap = { time: event.timeStamp, point, split: state.split };
    if (kind === "split") splitAt(event, area);
  }

  let lastWheel = -Infinity;

  function wheel(event) {
    const area = areaOf(event);
    if (!ready() || !area) return;
    const modified = event.ctrlKey || event.metaKey;
    const running = event.timeStamp - lastWheel < WHEEL_PAUSE;
    // Otherwise the page scrolls.
    if (!modified && !state.full && prints.dataset.zoom !== "in" && !running) return;
    event.preventDefault();
    lastWheel = event.timeStamp;
    const pixels = event.deltaY * (event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1);
    // Browsers report a pinch on a trackpad as a wheel with Ctrl and small distances.
    const power = Math.min(Math.max(-pixels * (modified ? 0.01 : 0.002), -0.25), 0.25);
    zoomTo((zoom) => zoom * Math.exp(power), pointIn(area, event), false);
  }

  /** Safari reports a pinch on a trackpad in events of its own. */
  let lastScale = 1;
  function safariPinch(event) {
    const area = areaOf(event);
    if (!ready() || !area) return;
    event.preventDefault();
    const factor = event.type === "gesturestart" ? 1 : event.scale / lastScale;
    lastScale = event.scale;
    // On a touch screen the same pinch arrives as pointer events.
    if (pointers.size === 0) zoomTo((zoom) => zoom * factor, pointIn(area, event), false);
  }

  for (const [type, listener] of Object.entries({
    pointerdown: down, pointermove: move, pointerup: up, pointercancel: up,
    gesturestart: safariPinch, gesturechange: safariPinch,
  })) prints.addEventListener(type, listener);
  prints.addEventListener("wheel", wheel, { passive: false });
  prints.addEventListener("dragstart", (event) => { if (prints.dataset.zoom === "in") event.preventDefault(); });
  // A browser may take two fingers that move together for scrolling.
  const twoFingers = (event) => { if (ready() && event.touches.length > 1 && areaOf(event)) event.preventDefault(); };
  prints.addEventListener("touchstart", twoFingers, { passive: false });

  // The toolbar and the keys

  const hold = (on) => { if (state.held !== (on && pair())) change({ held: on && pair() }); };
  at("hold").addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    event.target.setPointerCapture(event.pointerId);
    hold(true);
  });
  for (const end of ["pointerup", "pointercancel", "lostpointercapture", "blur"]) {
    at("hold").addEventListener(end, () => hold(false));
  }
  // A long press on a touch screen would open a menu.
  at("hold").addEventListener("contextmenu", (event) => event.preventDefault());
  addEventListener("blur", () => hold(false));

  function setFull(full) {
    prints.removeAttribute("data-smooth");
    change({ full });
    // Where the API is missing, as on iPhones, or refuses, the stage fills the window by CSS.
    if (full && document.fullscreenElement !== stage) stage.requestFullscreen?.().catch(() => {});
    else if (!full && document.fullscreenElement === stage) document.exitFullscreen().catch(() => {});
  }
  document.addEventListener("fullscreenchange", () => {
    const full = document.fullscreenElement === stage;
    if (full !== state.full) setFull(full);
  });
  // The focus must not go to a part of the page that is covered.
  document.addEventListener("focusin", ({ target }) => {
    if (state.full && !stage.contains(target)) at("full").focus();
  });

  const full = () => setFull(!state.full);
  const actions = { "zoom-in": zoomIn, "zoom-out": zoomOut, "zoom-one": zoomOne, "zoom-fit": zoomFit, full };
  for (const [id, action] of Object.entries(actions)) at(id).addEventListener("click", action);
  at("views").addEventListener("change", ({ target }) => setView(target.value));
  split.addEventListener("input", () => setSplit(Number(split.value)));

  /** In a toolbar, Tab reaches one button, and the arrow keys move between the buttons. */
  const stop = (button) => { for (const one of buttons) one.tabIndex = one === button ? 0 : -1; };
  stop(buttons[0]);
  toolbar.addEventListener("focusin", ({ target }) => stop(target));

  function arrow(event) {
    const [x, y] = ARROWS[event.key];
    const button = buttons.indexOf(event.target);
    const now = frame();
    if (button >= 0 && x) {
      buttons[(button - x + buttons.length) % buttons.length].focus();
    } else if (now && prints.dataset.zoom === "in" && !at("tools").contains(event.target) && event.target !== split) {
      const by = { x: x * ARROW * now.box.width, y: y * ARROW * now.box.height };
      go(pan(clamp(state.place, now), by, now), true);
    } else {
      return;
    }
    event.preventDefault();
  }

  const press = () => hold(true);
  const keys = { "+": zoomIn, "=": zoomIn, "-": zoomOut, 0: zoomFit, 1: zoomOne, o: press, O: press };

  document.addEventListener("keydown", (event) => {
    const { key, target } = event;
    if (key === "Escape" && state.full) return setFull(false);
    const here = state.full || prints.contains(target) || at("tools").contains(target);
    if (!ready() || !here || event.ctrlKey || event.metaKey || event.altKey) return;
    const action = target === at("hold") && [" ", "Enter"].includes(key) ? press : keys[key];
    if (key in ARROWS) {
      arrow(event);
    } else if (action) {
      event.preventDefault();
      action();
    }
  });
  document.addEventListener("keyup", ({ key }) => { if (["o", "O", " ", "Enter"].includes(key)) hold(false); });

  for (const image of [original, result]) image.addEventListener("load", () => { render(); changed(); });
  const resized = new ResizeObserver(() => {
    prints.removeAttribute("data-smooth");
    renderPlace();
  });
  for (const image of [original, result]) resized.observe(image.parentElement);
  render();

  return {
    /** Shows pictures by their addresses. Another original or turn shows the whole picture again. */
    show({ original: from = null, result: to = null, rotation = state.rotation, blind = false }) {
      const another = from !== state.original;
      if (another) Object.assign(state, { split: 50 });
      if (another || rotation !== state.rotation) state.place = FIT;
      if (state.full && !from && !to) setFull(false);
      change({ original: from, result: to, rotation, blind, held: state.held && Boolean(from && to && !blind) });
    },
    /** Turns the original clockwise by 0, 90, 180 or 270 degrees; the server has turned the result. */
    rotation(degrees) { change({ rotation: degrees, place: FIT }); },
    /** Shows the whole picture. */
    reset() { go(FIT); },
    /** Width and height of the shown picture in its own pixels, after the turn; null while unknown. */
    get size() { return size(); },
    /** "side" or "wipe". */
    get view() { return state.view; },
    set view(view) { setView(view); },
    /** The share of the original in the slider, in per cent. */
    get split() { return state.split; },
  };
}
