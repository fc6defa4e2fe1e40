// The page: what it knows is in `state`, what it shows is made by `render`, and events only change the state.

const $ = (id) => document.getElementById(id);
const form = $("form");
const limit = Number(form.dataset.limit);

const state = {
  phase: "choose", // choose, send, wait, receive, done, problem
  share: null, // of the phase, 0 to 1; null when unknown
  file: null,
  original: null, // object URL
  result: null, // { url, name, provider, model, credits, seconds, size }
  problem: null, // { title, detail, until }
};
let request = null;

const phases = {
  choose: "",
  send: "Sending the photograph …",
  wait: "Colouring …",
  receive: "Receiving the result …",
  done: "Done.",
  problem: "",
};

function render() {
  const { phase, share, file, original, result, problem } = state;
  const busy = ["send", "wait", "receive"].includes(phase);
  $("work").hidden = phase === "choose";
  $("submit").disabled = busy;
  $("sample").disabled = busy;
  if ($("status").textContent !== phases[phase]) $("status").textContent = phases[phase];

  $("progress").hidden = !busy;
  if (share === null) $("progress").removeAttribute("value");
  else $("progress").value = share;

  $("original-figure").hidden = !original;
  if (original && $("original").src !== original) $("original").src = original;
  $("original-caption").textContent = file ? `Original: ${file.name}, ${size(file.size)}` : "";

  $("result-figure").hidden = !result;
  $("done").hidden = !result;
  if (result && $("result").src !== result.url) {
    $("result").src = result.url;
    $("download").href = result.url;
    $("download").download = result.name;
    $("fact-provider").textContent = `${result.provider} (${result.model})`;
    $("fact-time").textContent = `${result.seconds.toFixed(1)} s`;
    $("fact-cost").textContent = cost(result.credits);
    $("fact-size").textContent = size(result.size);
  }

  $("problem").hidden = !problem;
  if (problem) {
    const seconds = Math.ceil((problem.until - Date.now()) / 1000);
    $("problem-title").textContent = problem.title;
    $("problem-detail").textContent = problem.detail;
    $("again").hidden = !file;
    $("again").disabled = seconds > 0;
    $("again").textContent = seconds > 0 ? `Try again in ${seconds} s` : "Try again";
  }
}

function set(change) {
  Object.assign(state, change);
  render();
}

function size(bytes) {
  return bytes < 1e6 ? `${Math.ceil(bytes / 1000)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

function cost(credits) {
  if (credits === "unknown") return "unknown";
  return credits === "1" ? "1 credit" : `${credits} credits`;
}

function fail(title, detail, seconds = 0) {
  set({ phase: "problem", problem: { title, detail, until: Date.now() + seconds * 1000 } });
}

/** Takes a photograph and has it coloured. */
function colour(file) {
  request?.abort();
  if (state.original) URL.revokeObjectURL(state.original);
  if (state.result) URL.revokeObjectURL(state.result.url);
  set({ phase: "send", share: 0, file, original: URL.createObjectURL(file), result: null, problem: null });
  $("original").hidden = false;
  $("original-blank").hidden = true;
  if (file.size > limit) {
    return fail("The picture is too large", `It has ${size(file.size)}, and ${size(limit)} is the most. Send a smaller file.`);
  }

  const started = performance.now();
  const query = new URLSearchParams();
  for (const name of ["provider", "format"]) {
    if ($(name)?.value) query.set(name, $(name).value);
  }
  const xhr = new XMLHttpRequest();
  request = xhr;
  xhr.open("POST", `/v1/colorize?${query}`);
  xhr.responseType = "blob";
  xhr.setRequestHeader("Content-Type", file.type || "application/octet-stream");
  xhr.upload.onprogress = (event) => set({ share: event.lengthComputable ? event.loaded / event.total : null });
  xhr.upload.onload = () => set({ phase: "wait", share: null });
  xhr.onprogress = (event) => {
    if (xhr.status === 200) set({ phase: "receive", share: event.lengthComputable ? event.loaded / event.total : null });
  };
  xhr.onerror = () => fail("The gateway does not answer", "Check that PixColor is running and that you are connected, then try again.");
  xhr.onload = async () => {
    if (xhr.status !== 200) return refused(xhr);
    const blob = xhr.response;
    const extension = { "image/png": "png", "image/jpeg": "jpg", "image/webp": "webp" }[blob.type] ?? "img";
    const stem = file.name.replace(/\.[^.]*$/, "") || "photograph";
    const header = (name) => xhr.getResponseHeader(`X-PixColor-${name}`) ?? "";
    set({
      phase: "done",
      result: {
        url: URL.createObjectURL(blob),
        name: `${stem}-coloured.${extension}`,
        provider: header("Provider"),
        model: header("Model"),
        credits: header("Credits"),
        seconds: (performance.now() - started) / 1000,
        size: blob.size,
      },
    });
    $("result-figure").scrollIntoView({ block: "nearest" });
  };
  xhr.send(file);
}

async function refused(xhr) {
  let problem = {};
  try {
    problem = JSON.parse(await xhr.response.text());
  } catch {
    // A proxy in between answered with something of its own.
  }
  const title = problem.title ?? `The server answered ${xhr.status}`;
  const detail = problem.detail ?? "Try again in a moment.";
  fail(title, detail, Number(xhr.getResponseHeader("Retry-After")) || 0);
}

// Whatever way a photograph comes.

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const file = $("file").files[0] ?? state.file;
  if (file) colour(file);
});

$("file").addEventListener("change", () => {
  if ($("file").files[0]) colour($("file").files[0]);
});

$("sample").addEventListener("click", async () => {
  const answer = await fetch(form.dataset.sample);
  colour(new File([await answer.blob()], "sample.jpg", { type: "image/jpeg" }));
});

$("again").addEventListener("click", () => state.file && colour(state.file));

$("original").addEventListener("error", () => {
  // A TIFF, say: the gateway may read what the browser cannot.
  $("original").hidden = true;
  $("original-blank").hidden = false;
});

function take(transfer) {
  const file = [...(transfer?.files ?? [])][0];
  if (file) colour(file);
}

document.addEventListener("paste", (event) => take(event.clipboardData));
for (const name of ["dragenter", "dragover"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    form.classList.add("over");
  });
}
for (const name of ["dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    form.classList.remove("over");
  });
}
document.addEventListener("drop", (event) => take(event.dataTransfer));

$("sample").hidden = false;
$("file").required = false;
setInterval(() => state.problem && render(), 250);
