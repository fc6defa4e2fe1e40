// Requests to the gateway about one photograph: its estimate, its cached result, and its colour.

import { Lost, Wait } from "./queue.js";
import { words } from "./words.js";

/** Seconds: a server that asks for a longer wait has refused the request. */
const LONGEST_WAIT = 600;

/** The gateway has refused a request. */
export class Refused extends Error {
  constructor({ title, detail, attempts = [], retry = null, key = false }) {
    super(title);
    // `retry`: seconds until a retry makes sense; null if it is useless. `key`: whether a key is needed.
    Object.assign(this, { title, detail, attempts, retry, key });
  }
}

/** The gateway's address of this page; `key` is the client's, or empty. */
export class Gateway {
  key = "";

  /** The header with the API key. The key is sent nowhere else. */
  get #credentials() { return this.key ? { Authorization: `Bearer ${this.key}` } : {}; }

  async #fetch(address, options) {
    try {
      return await fetch(address, options);
    } catch (error) {
      if (options.signal?.aborted) throw error;
      throw new Lost(words.unreachable);
    }
  }

  /** Whether the gateway answers. */
  async reachable() {
    try {
      return (await fetch("/healthz", { cache: "no-store" })).ok;
    } catch {
      return false;
    }
  }

  /** How many more pictures the rate limits allow now; null if it is unknown. */
  async quota() {
    const answer = await this.#fetch("/v1/quota", { headers: this.#credentials }).catch(() => null);
    const quota = answer?.ok ? await answer.json() : null;
    return quota?.enabled ? quota.limits.filter(({ of }) => of === "pictures" || of === "requests") : [];
  }

  /** Estimates the cost of a photograph with these parameters: { sha256, width, height, bytes }, each if it is known. */
  async estimate(query, facts, signal) {
    const headers = { "Content-Type": "application/json", ...this.#credentials };
    const answer = await this.#fetch(`/v1/estimate?${query}`, { method: "POST", signal, headers, body: JSON.stringify(facts) });
    if (!answer.ok) throw await this.#problem(answer.status, answer.statusText, (name) => answer.headers.get(name), answer.text());
    return answer.json();
  }

  /** Fetches the cached result, so that the photograph need not be sent; null if there is none. */
  async cached(query, sha256, signal) {
    const headers = { Accept: "*/*", ...this.#credentials };
    const answer = await this.#fetch(`/v1/results/sha256/${sha256}?${query}`, { signal, headers });
    return answer.ok ? { blob: await answer.blob(), header: (name) => answer.headers.get(name) } : null;
  }

  /**
   * Sends a photograph and returns { blob, header }. Calls `progress(phase, part)` with the phases "sending",
   * "colouring" and "receiving"; `part` is the fraction that has been transferred, null if it is unknown.
   */
  color(query, file, signal, progress) {
    return new Promise((resolve, reject) => {
      // `fetch` does not report the progress of uploads.
      const request = new XMLHttpRequest();
      const part = ({ lengthComputable, loaded, total }) => (lengthComputable && total ? loaded / total : null);
      const header = (name) => request.getResponseHeader(name);
      signal.addEventListener("abort", () => { request.abort(); reject(signal.reason); });
      request.open("POST", `/v1/colorize?${query}`);
      request.responseType = "blob";
      request.setRequestHeader("Content-Type", file.type.startsWith("image/") ? file.type : "application/octet-stream");
      for (const [name, value] of Object.entries(this.#credentials)) request.setRequestHeader(name, value);
      request.upload.onprogress = (event) => progress("sending", part(event));
      request.upload.onload = () => progress("colouring", null);
      request.onprogress = (event) => { if (request.status === 200) progress("receiving", part(event)); };
      request.onerror = () => reject(new Lost(words.unreachable));
      request.onload = () => {
        if (request.status === 200) resolve({ blob: request.response, header });
        else resolve(this.#problem(request.status, request.statusText, header, request.response.text()).then((error) => { throw error; }));
      };
      request.send(file);
    });
  }

  /** The error of a response: a problem (RFC 9457), or what a proxy in between has written. */
  async #problem(status, statusText, header, body) {
    const problem = await body.then(JSON.parse).catch(() => null);
    if (status === 401) return new Refused({ ...words.keyNeeded(this.key !== ""), retry: 0, key: true });
    // A proxy whose gateway is being replaced.
    if (!problem && [502, 503, 504].includes(status)) return new Lost(words.unreachable);
    const seconds = Number(header("Retry-After") ?? problem?.retry_after ?? 0) || 0;
    if ([429, 503].includes(status) && seconds && seconds <= LONGEST_WAIT) return new Wait(seconds, problem?.detail ?? words.busy);
    // A retry helps if the server was the cause, not if the picture was.
    const retry = status >= 500 || [402, 408, 429].includes(status) ? seconds : null;
    const { title, detail } = words.refused(status, statusText);
    return new Refused({ title: problem?.title ?? title, detail: problem?.detail ?? detail, attempts: problem?.attempts, retry });
  }
}
