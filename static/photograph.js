// A photograph of this page: its file, what is known about it, and its result.

import { isLess } from "./credits.js";

let ids = 0;

/**
 * A photograph. `phase` is "asking" (for the estimate), "offered" (the price is shown), "waiting", "sending",
 * "colouring", "receiving", "done" or "failed".
 */
export function photograph({ file, path }) {
  ids += 1;
  return {
    id: ids,
    file,
    path,
    name: path.split("/").pop(),
    phase: "asking",
    /** Fraction of the photograph sent or of the result received: 0 to 1, null if unknown. */
    part: 0,
    /** When the upload began, by `clock`. */
    began: 0,
    /** Degrees clockwise. */
    rotate: 0,
    /** The file to send, once it is known: the chosen one, or a PNG of it. */
    sent: null,
    /** "AVIF" or "HEIC" if the browser has decoded it. */
    converted: null,
    sha256: null,
    /** { width, height } of the upright original; null while unknown, or if the browser cannot show it. */
    size: null,
    blind: false,
    /** Small Blobs of the original and of the result. */
    thumbnail: null,
    coloredThumbnail: null,
    /** The options of the request, as a query string. */
    asked: "",
    /** The response of `POST /v1/estimate`. */
    estimate: null,
    /** { blob, damage, facts, credits, cached } */
    result: null,
    /** { title, detail, attempts, again }: `again` is when a retry makes sense, null if it is useless. */
    problem: null,
    /** The photograph with the same content, whose result this one gets. */
    twin: null,
    /** Whether the connection of an attempt was lost: the result may be in the cache. */
    tried: false,
  };
}

/** The offer of the provider that would be called; undefined if there is none. */
export const offerOf = ({ estimate }) => estimate?.providers.find(({ name }) => name === estimate.first);

/** Whether the budgets cover less than the offer may cost. */
export const isShort = (offer) => Boolean(offer?.left) && isLess(offer.left.credits, offer.credits.typical ?? offer.credits.high);
