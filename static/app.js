// The page sends one photograph at a time to POST /v1/colorize and shows the original beside the result.
// `state` holds everything that can change; only `render` writes to the document.

import { cost, count, downloadName, number, percent, price, steps, terms } from "./words.js";

const at = (id) => document.getElementById(id);
const lab = at("lab");
const phone = matchMedia("(max-width: 46rem)");

const state = {
  /** "idle", "asking" (for the estimate), "offered" (the price is shown), "sending", "colouring", "receiving", "done" or "failed" */
  phase: "idle",
  /** The photograph: { file, name, address } */
  photo: null,
  /** Fraction of the photograph sent or of the result received: 0 to 1, null if unknown. */
  part: 0,
  /** When the upload began, by the clock of `now`. */
  began: 0,
  /** The options of the current request, as a query string. */
  asked: "",
  /** The response of `POST /v1/estimate`. */
  estimate: null,
  /** The result: { address, name, damage: what is missing or null, facts: [[term, value, more]] } */
  result: null,
  /** The problem: { title, detail, attempts, again: when to retry, or null if a retry is useless } */
  problem: null,
  /** Width and height of the photograph; null while unknown. */
  size: null,
  /** Whether the browser cannot show the original. */
  blind: false,
  /** "side" (both prints) or "wipe" (the slider); `split` is the share of the original shown, in per cent. */
  view: phone.matches ? "wipe" : "side",
  split: 50,
  /** Whether a file is being dragged over the page. */
  dragging: false,
  /** A newer copy of the section with the costs so far, which replaces the shown section; null if there is none. */
  spent: null,
  /** The API key, stored while the tab is open; empty if there is none. */
  key: sessionStorage.getItem("key") ?? "",
  /** Whether the gateway requires a key. */
  keyNeeded: !at("access").hidden,
  /** Seconds on a monotonic clock. */
  now: 0,
};

const clock = () => performance.now() / 1000;
const busy = () => ["asking", "sending", "colouring", "receiving"].includes(state.phase);

function change(what) {
  Object.assign(state, what, { now: clock() });
  render();
}

// Words

function doing() {
  if (state.phase === "asking") return "Estimating the cost";
  if (state.phase === "sending") return state.part ? `Sending ${percent(state.part)}` : "Sending";
  if (state.phase === "receiving") return state.part === null ? "Receiving" : `Receiving ${percent(state.part)}`;
  return `Colouring, ${Math.floor(state.now - state.began)} s`;
}

function waiting() {
  const seconds = state.problem?.again ? Math.ceil(state.problem.again - state.now) : 0;
  return seconds > 0 ? `You can try again in ${count(seconds, "second")}.` : "";
}

/** The text for screen readers: one announcement per phase, without numbers that change during the phase. */
function news() {
  switch (state.phase) {
    case "offered": return `It would cost ${price(first())}. Nothing has been sent yet.`;
    case "sending": return `Sending ${state.photo.name}.`;
    case "colouring": return "The photograph has arrived and is being coloured.";
    case "receiving": return "Receiving the coloured photograph.";
    case "done": return `Done: ${state.result.damage ? `the file is damaged. ${state.result.damage} ` : ""}${state.result.facts.map(([term, value]) => `${term} ${value}`).join(", ")}.`;
    // Screen readers read the problem itself, because its element has the role `alert`.
    case "failed": return state.problem.again && !waiting() ? "You can try again now." : "";
    default: return "";
  }
}

/** The provider that would serve the request now, if any. */
const first = () => state.estimate?.providers.find(({ name }) => name === state.estimate.first);

// Actions

/** Starts colouring a file that was chosen, dropped or pasted. */
function take(file) {
  forget();
  change({ photo: { file, name: file.name || "photograph", address: URL.createObjectURL(file) } });
  const limit = Number(lab.dataset.uploadBytes);
  if (file.size === 0) {
    fail("This file is empty", "Choose another one.");
  } else if (file.size > limit) {
    const mib = (bytes) => number(bytes / 1048576, 1);
    fail("The picture is too large", `It has ${mib(file.size)} MiB; the limit is ${mib(limit)} MiB. Save it in a smaller size, for example as a JPEG, and choose it again.`);
  } else {
    ask();
  }
}

async function takeSample(address) {
  try {
    const answer = await fetch(address);
    if (!answer.ok) throw new Error(answer.statusText);
    take(new File([await answer.blob()], "dust-bowl-home.jpg", { type: "image/jpeg" }));
  } catch {
    unreachable();
  }
}

let request = null;

/** Aborts the running request and drops the photograph and its result. */
function forget() {
  request?.abort();
  request = null;
  for (const address of [state.photo?.address, state.result?.address]) if (address) URL.revokeObjectURL(address);
  change({ phase: "idle", photo: null, estimate: null, result: null, problem: null, size: null, blind: false, split: 50 });
}

function fail(title, detail, more = {}) {
  change({ phase: "failed", problem: { title, detail, attempts: [], again: null, ...more } });
}

function unreachable() {
  fail("The gateway cannot be reached", "Check that it is running and that you are connected, then try again.", { again: clock() });
}

/** The chosen provider and format, as a query string. */
function options() {
  const chosen = new URLSearchParams();
  for (const id of ["provider", "format"]) if (at(id)?.value) chosen.set(id, at(id).value);
  return chosen.toString();
}

/** The header with the API key. The key is sent nowhere else. */
const credentials = () => (state.key ? { Authorization: `Bearer ${state.key}` } : {});

function enterKey(key) {
  sessionStorage.setItem("key", key);
  change({ key });
}

/** Requests an estimate. If colouring is free it starts at once, unless the person is still choosing options. */
async function ask(choosing = false) {
  const asked = options();
  const look = new AbortController();
  request = look;
  if (state.result) URL.revokeObjectURL(state.result.address);
  if (!choosing) change({ phase: "asking", part: 0, began: clock(), problem: null, result: null });
  change({ asked });
  const [sha256, size] = await Promise.all([fingerprint(state.photo.file), measure()]);
  const body = JSON.stringify({ sha256, ...size, bytes: state.photo.file.size });
  const headers = { "Content-Type": "application/json", ...credentials() };
  const question = { method: "POST", signal: look.signal, headers, body };
  const answer = await fetch(`/v1/estimate?${asked}`, question).catch(() => null);
  if (look !== request) return;
  if (!answer) return unreachable();
  if (!answer.ok) return refused(answer, answer.text());
  const estimate = await answer.json();
  if (look !== request) return;
  change({ estimate });
  if (choosing || (first() && first().credits.most !== "0")) change({ phase: "offered" });
  else send();
}

async function send() {
  const { asked, photo: { file, name } } = state;
  const look = new AbortController();
  request = look;
  change({ phase: "sending", part: 0, began: clock(), problem: null });
  const cached = first()?.cache === "hit" ? await fetchCached(asked, look.signal) : null;
  if (look !== request) return;
  if (cached) {
    receive(cached.blob, cached.header, name);
    return;
  }
  const xhr = new XMLHttpRequest();
  // Ignores events of an abandoned request.
  const mine = (then) => (event) => { if (xhr === request) then(event); };
  const part = (event) => (event.lengthComputable && event.total ? event.loaded / event.total : null);

  xhr.open("POST", `/v1/colorize?${asked}`);
  xhr.responseType = "blob";
  xhr.setRequestHeader("Content-Type", file.type.startsWith("image/") ? file.type : "application/octet-stream");
  for (const [name, value] of Object.entries(credentials())) xhr.setRequestHeader(name, value);
  xhr.upload.onprogress = mine((event) => change({ part: part(event) }));
  xhr.upload.onload = mine(() => change({ phase: "colouring" }));
  xhr.onprogress = mine((event) => { if (xhr.status === 200) change({ phase: "receiving", part: part(event) }); });
  xhr.onerror = mine(unreachable);
  const header = (key) => xhr.getResponseHeader(key);
  xhr.onload = mine(() => {
    if (xhr.status === 200) return receive(xhr.response, header, name);
    return refused({ status: xhr.status, statusText: xhr.statusText, headers: { get: header } }, xhr.response.text());
  });
  request = xhr;
  xhr.send(file);
}

/** The SHA-256 of a file; undefined if the browser does not compute it, as on pages without HTTPS except localhost. */
async function fingerprint(file) {
  try {
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await file.arrayBuffer()));
    return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  } catch {
    return undefined;
  }
}

/** Width and height of the photograph, if the browser can show it. */
async function measure() {
  const image = at("original");
  const shown = await image.decode().then(() => true, () => false);
  return shown ? { width: image.naturalWidth, height: image.naturalHeight } : {};
}

/** Fetches the cached result, so that the photograph need not be uploaded; null if there is none. */
async function fetchCached(asked, signal) {
  try {
    const address = `/v1/results/sha256/${state.estimate.sha256}?${asked}`;
    const answer = await fetch(address, { signal, headers: { Accept: "*/*", ...credentials() } });
    return answer.ok ? { blob: await answer.blob(), header: (key) => answer.headers.get(key) } : null;
  } catch {
    return null;
  }
}

function receive(blob, header, name) {
  const provider = header("X-PixColor-Provider");
  const attempts = header("X-PixColor-Attempts");
  const inColour = header("X-PixColor-Input") === "colour";
  const before = header("Cache-Status")?.includes("; hit") ? "coloured before" : "";
  const estimated = first()?.name === provider && first().credits.most !== "0" ? `estimated: ${price(first())}` : "";
  const facts = [
    provider ? ["Coloured by", provider, header("X-PixColor-Model")] : ["In colour already", "returned without recolouring"],
    ["Took", `${number(clock() - state.began, 1)} s`, steps(header("Server-Timing"))],
    ["Cost", cost(header("X-PixColor-Credits")), before || estimated],
  ];
  if (inColour && provider) facts.push(["Note", "the photograph was already in colour"]);
  if (attempts) facts.push(["Earlier attempts", attempts.replaceAll("=", ": ").replaceAll("_", " ")]);
  const result = { address: URL.createObjectURL(blob), name: downloadName(name, blob.type), damage: header("X-PixColor-Damage"), facts };
  change({ phase: "done", result });
  refreshSpent();
}

/** Loads the costs so far from a fresh copy of the page, because each photograph changes them. */
async function refreshSpent() {
  try {
    const page = new DOMParser().parseFromString(await (await fetch("/")).text(), "text/html");
    const spent = page.getElementById("spent");
    if (spent) change({ spent });
  } catch {
    // The shown costs stay.
  }
}

/** Handles an error response: a problem (RFC 9457), or the response of a proxy in between. */
async function refused({ status, statusText, headers }, text) {
  const asked = request;
  const problem = await text.then(JSON.parse).catch(() => ({}));
  if (asked !== request) return;
  if (status === 401) {
    const wrong = state.key ? "This key is not accepted: it is mistyped, or was revoked." : "To use this gateway, you need a key from its operator.";
    state.keyNeeded = true;
    fail("A key is needed", `${wrong} Enter it above, then try again.`, { again: clock() });
    at("key").focus();
    return;
  }
  const seconds = Number(headers.get("Retry-After") ?? problem.retry_after ?? 0) || 0;
  // A retry helps if the server was the cause, not if the picture was.
  const again = status >= 500 || [408, 429].includes(status) ? clock() + seconds : null;
  const title = problem.title ?? `The server answered “${status} ${statusText}”`;
  const detail = problem.detail ?? "A proxy between this page and the gateway refused the picture. The operator of the proxy can find out why.";
  fail(title, detail, { attempts: problem.attempts ?? [], again });
}

// Rendering

/** Writes only changed values, so that elements keep their focus and screen readers do not repeat text. */
function put(element, property, value) {
  if (element[property] !== value) element[property] = value;
}

function show(image, address) {
  if (image.getAttribute("src") === (address ?? null)) return;
  if (address) image.src = address;
  else image.removeAttribute("src");
}

function fill(list, items, make) {
  const key = JSON.stringify(items);
  if (list.dataset.key === key) return;
  list.dataset.key = key;
  list.replaceChildren(...items.map(make));
}

function element(name, text, ...children) {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  made.append(...children);
  return made;
}

function offer({ name, said, chosen }) {
  const item = element("li", "", element("strong", name), `: ${said}`);
  if (chosen) item.setAttribute("aria-current", "true");
  return item;
}

function fact([term, value, more]) {
  const small = more ? [element("small", more)] : [];
  return element("div", "", element("dt", term), element("dd", value, ...small));
}

function render() {
  const { phase, photo, estimate, result, problem, size, spent } = state;
  const wipe = phase === "done" && state.view === "wipe" && !state.blind;

  put(lab.dataset, "phase", phase);
  lab.toggleAttribute("data-busy", busy());
  document.body.classList.toggle("dragging", state.dragging);
  const label = document.querySelector("label[for=file]");
  put(label, "textContent", phase === "idle" ? label.dataset.first : label.dataset.next);
  const place = at("provider")?.selectedOptions[0].dataset.place;
  if (place) put(at("place"), "textContent", place);
  put(at("status"), "textContent", news());
  put(at("access"), "hidden", !state.keyNeeded);
  put(at("key"), "value", state.key);

  put(at("stage"), "hidden", phase === "idle");
  const prints = at("prints");
  put(prints.dataset, "view", wipe ? "wipe" : "side");
  prints.style.setProperty("--ratio", size ? size.width / size.height : 4 / 3);
  prints.style.setProperty("--natural", size ? size.width : 640);
  prints.style.setProperty("--split", state.split);
  put(at("before"), "hidden", !photo || (state.blind && phase === "failed"));
  show(at("original"), photo?.address);
  put(at("original"), "hidden", state.blind);
  put(at("blind"), "hidden", !state.blind);
  show(at("result"), result?.address);
  put(at("result"), "hidden", !result);
  put(at("wipe"), "hidden", !wipe);
  put(at("split"), "value", String(state.split));

  put(at("working"), "hidden", !busy());
  put(at("doing"), "textContent", busy() ? doing() : "");
  if (phase === "colouring" || state.part === null) at("bar").removeAttribute("value");
  else put(at("bar"), "value", state.part);

  put(at("offer"), "hidden", phase !== "offered");
  put(at("price"), "textContent", phase === "offered" ? `It would cost ${price(first())}` : "");
  const offers = (estimate?.providers ?? []).filter(({ ready, place }) => ready || place);
  const chosen = (name) => name === estimate.first;
  fill(at("offers"), offers.map((one) => ({ name: one.name, said: terms(one), chosen: chosen(one.name) })), offer);
  put(at("accept"), "textContent", first() ? `Colour it with ${first().name}` : "Colour it");

  put(at("problem"), "hidden", phase !== "failed");
  put(at("trouble"), "textContent", problem?.title ?? "");
  put(at("advice"), "textContent", problem?.detail ?? "");
  const attempts = problem?.attempts.length > 1 ? problem.attempts : [];
  fill(at("attempts"), attempts, ({ provider, reason }) => element("li", `${provider}: ${reason}`));
  put(at("wait"), "textContent", waiting());
  put(at("retry"), "hidden", !photo || problem?.again == null);
  put(at("retry"), "disabled", waiting() !== "");

  put(at("damaged"), "hidden", !result?.damage);
  put(at("damage"), "textContent", result?.damage ?? "");
  put(at("report"), "hidden", phase !== "done");
  put(at("again"), "hidden", options() === state.asked);
  put(at("views"), "hidden", state.blind);
  put(document.querySelector(`[name=view][value=${state.view}]`), "checked", true);
  if (result) {
    put(at("download"), "href", result.address);
    put(at("download"), "download", result.name);
  }
  const pixels = size ? [["Size", `${size.width} × ${size.height} pixels`]] : [];
  fill(at("facts"), result ? [...result.facts, ...pixels] : [], fact);
  if (spent && !at("spent").isEqualNode(spent)) at("spent").replaceWith(spent);
}

// Event listeners

at("file").addEventListener("change", ({ target }) => {
  const [file] = target.files;
  // Clears the field, so that the same file can be chosen again.
  target.value = "";
  if (file) take(file);
});
at("key").addEventListener("input", ({ target }) => enterKey(target.value.trim()));
for (const id of ["form", "access"]) at(id).addEventListener("submit", (event) => event.preventDefault());
at("access").addEventListener("submit", () => { if (state.phase === "failed" && state.photo) ask(); });
at("sample").addEventListener("click", ({ currentTarget }) => takeSample(currentTarget.dataset.address));
for (const id of ["cancel", "decline"]) at(id).addEventListener("click", () => { forget(); at("file").focus(); });
for (const id of ["retry", "again"]) at(id).addEventListener("click", () => ask());
at("accept").addEventListener("click", send);
for (const id of ["provider", "format"]) {
  at(id)?.addEventListener("change", () => (state.phase === "offered" ? ask(true) : change({})));
}
at("views").addEventListener("change", ({ target }) => change({ view: target.value }));
at("split").addEventListener("input", ({ target }) => change({ split: Number(target.value) }));
at("original").addEventListener("error", () => { if (state.photo) change({ blind: true }); });
for (const id of ["original", "result"]) {
  at(id).addEventListener("load", ({ target }) => {
    change({ size: { width: target.naturalWidth, height: target.naturalHeight } });
  });
}

const holdsFiles = (event) => event.dataTransfer?.types.includes("Files");
addEventListener("dragover", (event) => {
  if (!holdsFiles(event)) return;
  event.preventDefault();
  if (!state.dragging) change({ dragging: true });
});
addEventListener("dragleave", (event) => { if (!event.relatedTarget) change({ dragging: false }); });
addEventListener("drop", (event) => {
  change({ dragging: false });
  if (!holdsFiles(event)) return;
  event.preventDefault();
  if (event.dataTransfer.files[0]) take(event.dataTransfer.files[0]);
});
addEventListener("paste", (event) => {
  const [file] = event.clipboardData?.files ?? [];
  if (!file) return;
  event.preventDefault();
  take(file);
});

setInterval(() => { if (state.phase === "colouring" || state.problem?.again > state.now) change({}); }, 250);

document.documentElement.classList.add("scripted");
for (const part of document.querySelectorAll("[data-script]")) part.hidden = false;
render();
