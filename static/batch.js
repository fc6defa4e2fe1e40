// What concerns all photographs: the offer of a paid provider, progress, waits, and the download of all results.

import { isShort } from "./photograph.js";
import { at, element, fill, put } from "./page.js";
import { batchNews, news, progress, terms, words } from "./words.js";

function offerItem({ name, said, chosen }) {
  const item = element("li", "", element("strong", name), `: ${said}`);
  if (chosen) item.setAttribute("aria-current", "true");
  return item;
}

export function renderOffer(session) {
  const offers = session.offers();
  put(at("offer"), "hidden", !offers);
  if (!offers) return;
  const { amount, first, providers } = offers;
  put(at("price"), "textContent", amount > 1 ? words.prices(amount, first) : words.price(first));
  fill(at("offers"), providers.map((one) => ({ name: one.name, said: terms(one), chosen: one.name === first?.name })), offerItem);
  put(at("short"), "hidden", !isShort(first));
  put(at("short"), "textContent", isShort(first) ? words.notEnough(first) : "");
  put(at("accept"), "textContent", words.accept(amount, first?.name));
}

/** `packing` is the fraction of the archive that is made, null if none is being made. */
export function renderBatch(session, { packing, notice }) {
  const { photos, paused } = session;
  const many = photos.length > 1;
  const wait = session.wait();
  const [unfinished, done, failed] = [session.unfinished(), session.done(), session.failed()];
  put(at("batch"), "hidden", !many && !wait && !notice && !paused);
  const said = progress(session.progress());
  put(at("progress"), "textContent", many ? (packing === null ? said : `${said} · ${words.packing(packing)}`) : "");
  put(at("overall"), "hidden", !many);
  put(at("overall"), "value", photos.length ? (done.length + failed.length) / photos.length : 0);
  put(at("wait-all"), "hidden", !wait && !(paused && unfinished.length));
  put(at("wait-all").firstElementChild, "textContent", paused ? words.paused : wait ? words.waiting(wait.reason, wait.seconds) : "");
  put(at("go-on"), "hidden", paused || !wait);
  put(at("notice"), "hidden", !notice);
  put(at("notice"), "textContent", notice);
  put(at("download-all"), "hidden", !many || done.length === 0);
  put(at("download-all"), "textContent", words.downloadAll(done.length));
  put(at("pause"), "hidden", !(many || paused) || unfinished.length === 0);
  put(at("pause"), "textContent", words.pause(paused));
  put(at("cancel-all"), "hidden", !many || unfinished.length === 0);
  put(at("retry-all"), "hidden", !many || retriable(session).length === 0);
  put(at("again-all"), "hidden", !many || outdated(session).length === 0);
  put(at("remove-all"), "hidden", !many || unfinished.length > 0);
}

/** The failed photographs for which another attempt may help. */
export const retriable = (session) => session.failed().filter(({ problem }) => problem.again !== null);

/** The coloured photographs whose options have changed. */
export const outdated = (session) => session.done().filter((photo) => session.query(photo) !== photo.asked);

/** What screen readers announce: once for each phase, without numbers that change during it. */
export function renderNews(session, stage) {
  const { photos, paused } = session;
  const offers = session.offers();
  let said = "";
  if (offers) said = `${offers.amount > 1 ? words.prices(offers.amount, offers.first) : words.price(offers.first)}. ${words.nothingSent}`;
  else if (photos.length === 1) said = session.wait()?.reason ?? single(photos[0], stage);
  else if (photos.length) said = batchNews({ ...session.progress(), paused, reason: session.wait()?.reason ?? null });
  put(at("status"), "textContent", said);
}

// Screen readers read the problem itself, because its element has the role `alert`.
const single = (photo, stage) => (photo.phase === "failed" && photo.problem.again !== null && stage.seconds() === 0 ? words.againNow : news(photo));
