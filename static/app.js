// The page: connects what a person does with the session, and shows the session's state after each change.

import { outdated, renderBatch, renderNews, renderOffer, retriable } from "./batch.js";
import { dropped, ofFolder, single } from "./files.js";
import { hash } from "./hash.js";
import { install } from "./install.js";
import { Keeper } from "./keeper.js";
import { at, put } from "./page.js";
import { Session } from "./session.js";
import { Stage } from "./stage.js";
import { Tiles } from "./tiles.js";
import { Gateway } from "./upload.js";
import { words } from "./words.js";

const lab = at("lab");
const gateway = new Gateway();
gateway.key = sessionStorage.getItem("key") ?? "";

/** What only the page knows. */
const state = {
  /** Whether a file is being dragged over the page. */
  dragging: false,
  /** Whether the gateway requires a key, and whether a person was asked for another one. */
  keyNeeded: !at("access").hidden,
  keyAsked: false,
  /** The fraction of the archive that is made; null if none is being made. */
  packing: null,
  /** What a person should know about the last choice of files; empty if there is nothing. */
  notice: "",
  /** A newer copy of the section with the costs so far; null if there is none. */
  spent: null,
};

/** The chosen provider and format; without those that were left open. */
function options() {
  const chosen = ["provider", "format"].map((name) => [name, at(name)?.value]);
  return Object.fromEntries(chosen.filter(([, value]) => value));
}

const session = new Session({ gateway, hash, limit: Number(lab.dataset.uploadBytes), options, changed, finished });
const stage = new Stage(session, { changed: render, leaf });
const tiles = new Tiles(at("tiles"), at("tile"), {
  open(photo) { open(photo); at("stage").scrollIntoView({ block: "nearest" }); },
  remove,
});
const keeper = new Keeper(session);

// Showing

let due = false;
/** The photographs whose tiles have changed. */
const stale = new Set();

/** Writes the page soon, once for many changes. */
function changed(photo) {
  if (photo) stale.add(photo);
  if (photo?.problem?.key && !state.keyAsked) askForKey();
  if (due) return;
  due = true;
  queueMicrotask(() => { due = false; render(); });
}

function render() {
  const { photo } = stage;
  const single = session.photos.length === 1;
  put(lab.dataset, "phase", photo?.phase ?? (session.photos.length ? "sheet" : "idle"));
  lab.toggleAttribute("data-busy", session.unfinished().length > 0);
  document.body.classList.toggle("dragging", state.dragging);
  const label = document.querySelector("label[for=file]");
  put(label, "textContent", session.photos.length ? label.dataset.next : label.dataset.first);
  const place = at("provider")?.selectedOptions[0].dataset.place;
  if (place) put(at("place"), "textContent", place);
  put(at("access"), "hidden", !state.keyNeeded);

  renderOffer(session);
  renderBatch(session, state);
  stage.render();
  put(at("sheet"), "hidden", session.photos.length === 0);
  lab.toggleAttribute("data-single", single);
  tiles.show(session.photos, photo);
  for (const one of stale) tiles.update(one);
  stale.clear();
  renderNews(session, stage);
  keeper.render();
  if (state.spent && !at("spent").isEqualNode(state.spent)) at("spent").replaceWith(state.spent);
}

// Acting

/** Adds files. The only one is shown at once. */
function take({ found, left }) {
  loadArchiving();
  const before = session.photos.length;
  state.notice = left ? words.left(left) : "";
  const added = session.add(found);
  if (added.length === 1) open(added[0]);
  else if (before === 1) open(null);
  changed();
}

function open(photo) {
  stage.open(photo);
  changed();
}

/** Opens the photograph before or after the open one. */
function leaf(by) {
  const next = session.photos[session.photos.indexOf(stage.photo) + by];
  if (stage.photo && next) open(next);
}

function remove(photo) {
  if (stage.photo === photo) stage.open(null);
  session.remove(photo);
  keeper.drop(photo);
  if (session.photos.length === 0) at("file").focus();
}

async function takeSample(address) {
  const answer = await fetch(address).catch(() => null);
  const blob = answer?.ok ? await answer.blob().catch(() => null) : null;
  if (blob) return take(single([new File([blob], "dust-bowl-home.jpg", { type: "image/jpeg" })]));
  state.notice = words.unreachable;
  return changed();
}

function askForKey() {
  Object.assign(state, { keyNeeded: true, keyAsked: true });
  put(at("access"), "hidden", false);
  at("key").focus();
}

function enterKey(key) {
  sessionStorage.setItem("key", key);
  gateway.key = key;
  state.keyAsked = false;
  changed();
}

/** After a photograph was coloured. */
function finished(photo) {
  keeper.keep(photo);
  if (session.coloring.idle || session.photos.length === 1) refreshSpent();
}

/** Loads the costs so far from a fresh copy of the page, because each photograph changes them. */
async function refreshSpent() {
  try {
    const page = new DOMParser().parseFromString(await (await fetch("/")).text(), "text/html");
    state.spent = page.getElementById("spent") ?? state.spent;
    changed();
  } catch {
    // The shown costs stay.
  }
}

/** The module for archives; it is loaded before it is needed, because the gateway may be gone by then. */
let archiving = null;
const loadArchiving = () => { archiving ??= import("./archive.js").catch(() => { archiving = null; }); };

async function downloadAll() {
  if (state.packing !== null) return;
  try {
    loadArchiving();
    const { archive } = await archiving;
    const step = (part) => { state.packing = part; changed(); };
    step(0);
    const address = URL.createObjectURL(await archive(session, step));
    const link = document.createElement("a");
    Object.assign(link, { href: address, download: words.archive });
    link.click();
    // The browser reads the archive while it saves it.
    setTimeout(() => URL.revokeObjectURL(address), 600_000);
  } finally {
    state.packing = null;
    changed();
  }
}

// Event listeners

const onClick = (id, then) => at(id).addEventListener("click", (event) => { then(event); changed(); });

for (const [id, read] of [["file", single], ["folder", ofFolder]]) {
  at(id).addEventListener("change", ({ target }) => {
    const files = read(target.files);
    // Clears the field, so that the same files can be chosen again.
    target.value = "";
    if (files.found.length || files.left) take(files);
  });
}
at("key").addEventListener("input", ({ target }) => enterKey(target.value.trim()));
for (const id of ["form", "access"]) at(id).addEventListener("submit", (event) => event.preventDefault());
at("access").addEventListener("submit", () => session.again(...retriable(session)));
onClick("sample", ({ currentTarget }) => takeSample(currentTarget.dataset.address));
onClick("accept", () => session.accept());
onClick("decline", () => session.declined().forEach(remove));
onClick("cancel", () => (session.photos.length > 1 ? session.cancel(stage.photo) : remove(stage.photo)));
for (const id of ["retry", "again"]) onClick(id, () => session.again(stage.photo));
onClick("turn-left", () => session.turn(stage.photo, -90));
onClick("turn-right", () => session.turn(stage.photo, 90));
onClick("previous", () => leaf(-1));
onClick("next", () => leaf(1));
onClick("close", () => { const { photo } = stage; open(null); tiles.focus(photo); });
onClick("go-on", () => session.goOn());
onClick("pause", () => (session.paused ? session.resume() : session.pause()));
onClick("cancel-all", () => session.cancelAll());
onClick("retry-all", () => session.again(...retriable(session)));
onClick("again-all", () => session.again(...outdated(session)));
onClick("remove-all", () => session.photos.forEach(remove));
onClick("download-all", (event) => { event.preventDefault(); downloadAll(); });
for (const id of ["provider", "format"]) at(id)?.addEventListener("change", () => changed());
addEventListener("keydown", (event) => {
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  // Arrows also move within fields and toolbars, and a zoomed picture.
  const taken = event.target.closest?.("input, select, [role=toolbar]") || at("prints").dataset.zoom === "in";
  if (!by || !stage.photo || taken || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  leaf(by);
});

const holdsFiles = (event) => event.dataTransfer?.types.includes("Files");
function drag(dragging) {
  if (state.dragging === dragging) return;
  state.dragging = dragging;
  changed();
}
addEventListener("dragover", (event) => {
  if (!holdsFiles(event)) return;
  event.preventDefault();
  drag(true);
});
addEventListener("dragleave", (event) => { if (!event.relatedTarget) drag(false); });
addEventListener("drop", async (event) => {
  drag(false);
  if (!holdsFiles(event)) return;
  event.preventDefault();
  take(await dropped(event.dataTransfer));
});
addEventListener("paste", (event) => {
  const files = event.clipboardData?.files ?? [];
  if (!files.length) return;
  event.preventDefault();
  take(single(files));
});
addEventListener("online", () => session.goOn());
addEventListener("beforeunload", (event) => {
  if (session.unfinished().length) event.preventDefault();
});

// Countdowns and times change by themselves.
setInterval(() => { if (session.wait() || stage.photo?.phase === "colouring" || stage.seconds() > 0 || stage.photo?.phase === "failed") render(); }, 250);

at("key").value = gateway.key;
put(document.querySelector(".folder label"), "hidden", !("webkitdirectory" in at("folder")));
keeper.start();
install("/sw.js");
render();
