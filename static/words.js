// All words of the page's scripts, and the formats of amounts, prices and names.

export const number = (value, digits = 0) => value.toLocaleString("en-GB", { maximumFractionDigits: digits });
export const percent = (part) => `${Math.floor(part * 100)} %`;
export const count = (amount, word) => `${number(amount)} ${word}${amount === 1 ? "" : "s"}`;
const mib = (bytes) => `${number(bytes / 1048576, 1)} MiB`;
const units = (credits) => `${credits} ${credits === "1" ? "credit" : "credits"}`;

/** "12 s", "3 min", "5 h". */
export function duration(seconds) {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

export const words = {
  unreachable: "The gateway cannot be reached. Check that it is running and that you are connected.",
  busy: "The gateway is busy.",
  keyNeeded: (given) => ({
    title: "A key is needed",
    detail: `${given ? "This key is not accepted: it is mistyped, or was revoked." : "To use this gateway, you need a key from its operator."} Enter it above, then try again.`,
  }),
  refused: (status, text) => ({
    title: `The server answered “${status} ${text}”`,
    detail: "A proxy between this page and the gateway refused the picture. The operator of the proxy can find out why.",
  }),
  unreadable: { title: "The file cannot be read", detail: "It was moved, changed or deleted since you chose it. Choose it again." },
  lost: { title: "The connection was lost several times", detail: "The gateway can be reached, but not with this photograph. Try it alone, or save it in a smaller size." },
  broken: { title: "Something went wrong in this page", detail: "Try again. If it happens again, reload the page." },
  empty: { title: "This file is empty", detail: "Choose another one." },
  tooLarge: (bytes, limit) => ({
    title: "The picture is too large",
    detail: `It has ${mib(bytes)}; the limit is ${mib(limit)}. Save it in a smaller size, for example as a JPEG, and choose it again.`,
  }),
  cancelled: { title: "Cancelled", detail: "This photograph was not coloured." },
  converted: (kind) => `Your browser has decoded this ${kind} and sent it as a PNG, because the gateway cannot read ${kind}.`,
  twin: (name) => `The same picture as ${name}`,
  inColor: "the photograph was already in colour",
  left: (files) => `${count(files, "file")} in the folders ${files === 1 ? "is no picture and was" : "are no pictures and were"} left out.`,
  leave: "Photographs are still being coloured.",
  price: (offer) => `It would cost ${price(offer)}`,
  prices: (amount, offer) => `${count(amount, "photograph")} would cost ${price(offer)}`,
  nothingSent: "Nothing has been sent yet.",
  counting: "Estimating the cost",
  accept: (amount, name) => (amount > 1 ? `Colour ${number(amount)} photographs${name ? ` with ${name}` : ""}` : `Colour it${name ? ` with ${name}` : ""}`),
  notEnough: (offer) => `The budget ${offer.left.budget} has ${units(offer.left.credits)} left: not all photographs may be coloured.`,
  waiting: (reason, seconds) => `${reason} It goes on in ${duration(seconds)}.`,
  paused: "Paused.",
  pause: (paused) => (paused ? "Go on" : "Pause"),
  full: (full) => (full ? "Leave full screen" : "Full screen"),
  again: (seconds) => (seconds > 0 ? `You can try again in ${duration(seconds)}.` : ""),
  againNow: "You can try again now.",
  packing: (part) => `Packing ${percent(part)}`,
  downloadAll: (amount) => `Download all ${number(amount)}`,
  archive: "photographs-coloured.zip",
  kept: (amount, bytes) => (amount ? `${count(amount, "photograph")}, ${mib(bytes)}` : ""),
  notKept: "This device has no space left: the newest photographs are not kept.",
  remove: (name) => `Remove ${name}`,
};

/** What a photograph's tile says about its state. */
export function state(photo) {
  switch (photo.phase) {
    case "offered": return "Waiting for your answer";
    case "sending": return photo.part ? `Uploading ${percent(photo.part)}` : "Uploading";
    case "colouring": case "receiving": return "Colouring";
    case "done":
      if (photo.twin) return words.twin(photo.twin.name);
      return photo.result.cached ? "Done, from the cache" : photo.result.damage ? "Done, the file is damaged" : "Done";
    case "failed": return photo.problem.title;
    default: return photo.twin ? words.twin(photo.twin.name) : "Waiting";
  }
}

/** What the large view says while it has no result. */
export function doing(photo, seconds) {
  switch (photo.phase) {
    case "asking": return "Estimating the cost";
    case "sending": return photo.part ? `Sending ${percent(photo.part)}` : "Sending";
    case "receiving": return photo.part === null ? "Receiving" : `Receiving ${percent(photo.part)}`;
    case "colouring": return `Colouring, ${Math.floor(seconds)} s`;
    default: return photo.twin ? words.twin(photo.twin.name) : "Waiting";
  }
}

/** The announcement for screen readers about the only photograph: one per phase, without numbers that change. */
export function news(photo) {
  switch (photo.phase) {
    case "sending": return `Sending ${photo.name}.`;
    case "colouring": return "The photograph has arrived and is being coloured.";
    case "receiving": return "Receiving the coloured photograph.";
    case "done": {
      const { damage, facts } = photo.result;
      return `Done: ${damage ? `the file is damaged. ${damage} ` : ""}${facts.map(([term, value]) => `${term} ${value}`).join(", ")}.`;
    }
    default: return "";
  }
}

/** The announcement about several photographs. */
export function batchNews({ all, done, failed, paused, reason }) {
  if (done + failed === all) return `Finished: ${number(done)} coloured${failed ? `, ${number(failed)} failed` : ""}.`;
  if (paused) return words.paused;
  return reason ?? `Colouring ${count(all, "photograph")}.`;
}

/** How far several photographs are. */
export function progress({ all, done, failed, left, spent }) {
  const parts = [`${number(done)} of ${number(all)} done`];
  if (failed) parts.push(`${number(failed)} failed`);
  if (left !== null) parts.push(`about ${duration(left)} left`);
  if (spent !== "0") parts.push(`${units(spent)} spent`);
  return parts.join(" · ");
}

export function cost(credits) {
  if (credits === "0") return "nothing";
  if (!credits || credits === "unknown") return "unknown: the provider did not say";
  return units(credits);
}

/** What requests to a provider would cost: "about 2 credits (1 to 3), 0.0002 USD". */
export function price(provider) {
  if (!provider) return "unknown";
  const { credits, money } = provider;
  if (credits.most === "0") return provider.cache === "hit" || provider.cache === "merged" ? "nothing: it was coloured before" : "nothing";
  const certain = credits.low === credits.high;
  const about = (typical) => (certain ? "" : "about ") + typical;
  const range = ({ low, high }) => `${low} to ${high}`;
  const inCredits = credits.typical
    ? about(units(credits.typical)) + (certain ? "" : ` (${range(credits)})`)
    : `${range(credits)} credits`;
  return money ? `${inCredits}, ${money.typical ?? range(money)} ${money.currency}` : inCredits;
}

/** The price and everything else that the estimate says about a provider. */
export function terms(provider) {
  if (!provider.ready) return `not ready: ${provider.reason}`;
  const { budget, credits, left, seconds } = provider;
  if (budget) return `the budget ${budget.name} has ${units(budget.left)} left, but this call may cost ${budget.wanted}`;
  const said = [price(provider)];
  if (credits.most !== "0" && credits.most !== credits.high) said.push(`never more than ${credits.most}`);
  if (credits.most !== "0" && left) said.push(`the budget ${left.budget} has ${units(left.credits)} left`);
  if (seconds) said.push(seconds.typical < 90 ? `about ${number(seconds.typical, 1)} s` : `about ${duration(seconds.typical)}`);
  return said.join("; ");
}

/** The facts about a result: [term, value, more]. `estimated` is the offer of the provider, if it was paid. */
export function factsOf(header, seconds, estimated) {
  const provider = header("X-PixColor-Provider");
  const attempts = header("X-PixColor-Attempts");
  const before = header("Cache-Status")?.includes("; hit") ? "coloured before" : "";
  const expected = estimated?.name === provider && estimated.credits.most !== "0" ? `estimated: ${price(estimated)}` : "";
  const facts = [
    provider ? ["Coloured by", provider, header("X-PixColor-Model")] : ["In colour already", "returned without recolouring"],
    ["Took", `${number(seconds, 1)} s`, steps(header("Server-Timing"))],
    ["Cost", cost(header("X-PixColor-Credits")), before || expected],
  ];
  if (header("X-PixColor-Input") === "colour" && provider) facts.push(["Note", words.inColor]);
  if (attempts) facts.push(["Earlier attempts", attempts.replaceAll("=", ": ").replaceAll("_", " ")]);
  return facts;
}

export const sizeFact = ({ width, height }) => ["Size", `${width} × ${height} pixels`];

/** "box 1/grandmother.tif" and "image/png" become "box 1/grandmother-coloured.png". */
export function downloadName(path, type) {
  const stem = path.replace(/\.[^./]*$/, "") || "photograph";
  const extension = { "image/jpeg": "jpg", "image/png": "png", "image/webp": "webp", "image/tiff": "tif" }[type] ?? "img";
  return `${stem}-coloured.${extension}`;
}

/** "decode;dur=3.1, provider;dur=80" becomes "decode 3 ms, provider 80 ms". */
function steps(timing) {
  return (timing ?? "").split(",").flatMap((step) => {
    const [, name, milliseconds] = step.match(/^\s*([\w-]+);.*?dur=([\d.]+)/) ?? [];
    return name ? [`${name} ${number(Number(milliseconds))} ms`] : [];
  }).join(", ");
}
