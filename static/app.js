// The page: one photograph at a time goes to POST /v1/colorize and is shown beside what comes back.
// Everything that can change is in `state`; `render` is the only function that writes to the document.

const at = (id) => document.getElementById(id);
const lab = at("lab");
const phone = matchMedia("(max-width: 46rem)");

const state = {
  /** "idle", "sending", "colouring", "receiving", "done" or "failed" */
  phase: "idle",
  /** The photograph: { file, name, address } */
  photo: null,
  /** How much of the photograph has been sent, or of the result received: 0 to 1, null when unknown. */
  part: 0,
  /** When the sending began, by the clock of `now`. */
  began: 0,
  /** The options it was sent with, as in the address. */
  asked: "",
  /** What came back: { address, name, facts: [[term, value, more]] } */
  result: null,
  /** What went wrong: { title, detail, attempts, again: when to try again, or null when it makes no sense } */
  problem: null,
  /** Width and height of the photograph; null while nobody knows. */
  size: null,
  /** Whether the browser cannot show the original. */
  blind: false,
  /** "side" or "wipe"; how much of the original the wipe shows, in per cent. */
  view: phone.matches ? "wipe" : "side",
  split: 50,
  /** Whether a file is being held over the page. */
  dragging: false,
  /** Seconds on a clock that is never set. */
  now: 0,
};

const clock = () => performance.now() / 1000;
const busy = () => ["sending", "colouring", "receiving"].includes(state.phase);

function change(what) {
  Object.assign(state, what, { now: clock() });
  render();
}

// Words

const number = (value, digits = 0) => value.toLocaleString("en-GB", { maximumFractionDigits: digits });
const percent = (part) => `${Math.floor(part * 100)} %`;
const count = (amount, word) => `${number(amount)} ${word}${amount === 1 ? "" : "s"}`;

function doing() {
  if (state.phase === "sending") return state.part ? `Sending ${percent(state.part)}` : "Sending";
  if (state.phase === "receiving") return state.part === null ? "Receiving" : `Receiving ${percent(state.part)}`;
  return `Colouring, ${Math.floor(state.now - state.began)} s`;
}

function waiting() {
  const seconds = state.problem?.again ? Math.ceil(state.problem.again - state.now) : 0;
  return seconds > 0 ? `You can try again in ${count(seconds, "second")}.` : "";
}

/** What is read out: only what is new in each phase, never a running number. */
function news() {
  switch (state.phase) {
    case "sending": return `Sending ${state.photo.name}.`;
    case "colouring": return "The photograph has arrived and is being coloured.";
    case "receiving": return "Receiving the coloured photograph.";
    case "done": return `Done: ${state.result.facts.map(([term, value]) => `${term} ${value}`).join(", ")}.`;
    // The problem itself is an alert.
    case "failed": return state.problem.again && !waiting() ? "You can try again now." : "";
    default: return "";
  }
}

function cost(credits) {
  if (credits === "0") return "nothing";
  if (!credits || credits === "unknown") return "unknown: the provider did not say";
  return `${credits} ${credits === "1" ? "credit" : "credits"}`;
}

/** "grandmother.tif" and "image/png" make "grandmother-coloured.png". */
function downloadName(name, type) {
  const stem = name.replace(/\.[^.]*$/, "") || "photograph";
  const extension = { "image/jpeg": "jpg", "image/png": "png", "image/webp": "webp" }[type] ?? "img";
  return `${stem}-coloured.${extension}`;
}

/** "decode;dur=3.1, provider;dur=80" as "decode 3 ms, provider 80 ms". */
function steps(timing) {
  return (timing ?? "").split(",").flatMap((step) => {
    const [, name, milliseconds] = step.match(/^\s*([\w-]+);.*?dur=([\d.]+)/) ?? [];
    return name ? [`${name} ${number(Number(milliseconds))} ms`] : [];
  }).join(", ");
}

// What people do

/** Takes a file, wherever it comes from, and has it coloured. */
function take(file) {
  forget();
  change({ photo: { file, name: file.name || "photograph", address: URL.createObjectURL(file) } });
  const limit = Number(lab.dataset.uploadBytes);
  if (file.size === 0) {
    fail("This file is empty", "Choose another one.");
  } else if (file.size > limit) {
    const mib = (bytes) => number(bytes / 1048576, 1);
    fail("The picture is too large", `It has ${mib(file.size)} MiB and may have ${mib(limit)}. Save it smaller, as a JPEG for example, and choose it again.`);
  } else {
    send();
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

/** Drops the photograph, its result and the request that is running. */
function forget() {
  request?.abort();
  request = null;
  for (const address of [state.photo?.address, state.result?.address]) if (address) URL.revokeObjectURL(address);
  change({ phase: "idle", photo: null, result: null, problem: null, size: null, blind: false, split: 50 });
}

function fail(title, detail, more = {}) {
  change({ phase: "failed", problem: { title, detail, attempts: [], again: null, ...more } });
}

function unreachable() {
  fail("The gateway cannot be reached", "Check that it is running and that you are connected, then try again.", { again: clock() });
}

/** Provider and format as they are chosen now. */
function options() {
  const chosen = new URLSearchParams();
  for (const id of ["provider", "format"]) if (at(id)?.value) chosen.set(id, at(id).value);
  return chosen.toString();
}

async function send() {
  const asked = options();
  const { file, name } = state.photo;
  const look = new AbortController();
  request = look;
  if (state.result) URL.revokeObjectURL(state.result.address);
  change({ phase: "sending", asked, part: 0, began: clock(), problem: null, result: null });
  const kept = await known(file, asked, look.signal);
  if (look !== request) return;
  if (kept) {
    receive(kept.blob, kept.header, name);
    return;
  }
  const xhr = new XMLHttpRequest();
  // What an abandoned request still says is nobody's business.
  const mine = (then) => (event) => { if (xhr === request) then(event); };
  const part = (event) => (event.lengthComputable && event.total ? event.loaded / event.total : null);

  xhr.open("POST", `/v1/colorize?${asked}`);
  xhr.responseType = "blob";
  xhr.setRequestHeader("Content-Type", file.type.startsWith("image/") ? file.type : "application/octet-stream");
  xhr.upload.onprogress = mine((event) => change({ part: part(event) }));
  xhr.upload.onload = mine(() => change({ phase: "colouring" }));
  xhr.onprogress = mine((event) => { if (xhr.status === 200) change({ phase: "receiving", part: part(event) }); });
  xhr.onerror = mine(unreachable);
  const header = (key) => xhr.getResponseHeader(key);
  xhr.onload = mine(() => (xhr.status === 200 ? receive(xhr.response, header, name) : refused(xhr)));
  request = xhr;
  xhr.send(file);
}

/**
 * What the gateway has made of a photograph before, asked for by its SHA-256: then it need not be sent. Browsers hash
 * on https and on this machine only; elsewhere, and whenever something is in the way, the photograph is sent.
 */
async function known(file, asked, signal) {
  try {
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await file.arrayBuffer()));
    const fingerprint = [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    const answer = await fetch(`/v1/results/sha256/${fingerprint}?${asked}`, { signal, headers: { Accept: "*/*" } });
    return answer.ok ? { blob: await answer.blob(), header: (key) => answer.headers.get(key) } : null;
  } catch {
    return null;
  }
}

function receive(blob, header, name) {
  const provider = header("X-PixColor-Provider");
  const attempts = header("X-PixColor-Attempts");
  const facts = [
    ["Coloured by", provider, header("X-PixColor-Model")],
    ["Took", `${number(clock() - state.began, 1)} s`, steps(header("Server-Timing"))],
    ["Cost", cost(header("X-PixColor-Credits")), header("Cache-Status")?.includes("; hit") ? "coloured before" : ""],
  ];
  if (attempts) facts.push(["Tried before", attempts.replaceAll("=", ": ").replaceAll("_", " ")]);
  const result = { address: URL.createObjectURL(blob), name: downloadName(name, blob.type), facts };
  change({ phase: "done", result });
}

/** An answer that is no picture: a problem (RFC 9457), or whatever a proxy in between says. */
async function refused(xhr) {
  const problem = await xhr.response.text().then(JSON.parse).catch(() => ({}));
  if (xhr !== request) return;
  const seconds = Number(xhr.getResponseHeader("Retry-After") ?? problem.retry_after ?? 0) || 0;
  // Asking again helps when the trouble is elsewhere, not when it is the picture.
  const again = xhr.status >= 500 || [408, 429].includes(xhr.status) ? clock() + seconds : null;
  const title = problem.title ?? `The answer was “${xhr.status} ${xhr.statusText}”`;
  const detail = problem.detail ?? "Something between this page and the gateway refused the picture. Whoever runs it can find out why.";
  fail(title, detail, { attempts: problem.attempts ?? [], again });
}

// What is seen

/** Writes only what is different: what has focus keeps it, and nothing is read out twice. */
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

function fact([term, value, more]) {
  const small = more ? [element("small", more)] : [];
  return element("div", "", element("dt", term), element("dd", value, ...small));
}

function render() {
  const { phase, photo, result, problem, size } = state;
  const wipe = phase === "done" && state.view === "wipe" && !state.blind;

  put(lab.dataset, "phase", phase);
  lab.toggleAttribute("data-busy", busy());
  document.body.classList.toggle("dragging", state.dragging);
  const label = document.querySelector("label[for=file]");
  put(label, "textContent", phase === "idle" ? label.dataset.first : label.dataset.next);
  const place = at("provider")?.selectedOptions[0].dataset.place;
  if (place) put(at("place"), "textContent", place);
  put(at("status"), "textContent", news());

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

  put(at("problem"), "hidden", phase !== "failed");
  put(at("trouble"), "textContent", problem?.title ?? "");
  put(at("advice"), "textContent", problem?.detail ?? "");
  const attempts = problem?.attempts.length > 1 ? problem.attempts : [];
  fill(at("attempts"), attempts, ({ provider, reason }) => element("li", `${provider}: ${reason}`));
  put(at("wait"), "textContent", waiting());
  put(at("retry"), "hidden", !photo || problem?.again == null);
  put(at("retry"), "disabled", waiting() !== "");

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
}

// Who calls what

at("file").addEventListener("change", ({ target }) => {
  const [file] = target.files;
  // The same file may be chosen again.
  target.value = "";
  if (file) take(file);
});
at("form").addEventListener("submit", (event) => event.preventDefault());
at("sample").addEventListener("click", ({ currentTarget }) => takeSample(currentTarget.dataset.address));
at("cancel").addEventListener("click", () => { forget(); at("file").focus(); });
for (const id of ["retry", "again"]) at(id).addEventListener("click", send);
for (const id of ["provider", "format"]) {
  at(id)?.addEventListener("change", () => change({}));
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
