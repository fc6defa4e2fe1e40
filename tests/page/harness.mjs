// What the tests of the page's modules share.

import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const STATIC = fileURLToPath(new URL("../../static", import.meta.url));

const root = mkdtempSync(join(tmpdir(), "pixcolor-page-"));
process.on("exit", () => rmSync(root, { recursive: true, force: true }));

/** A new folder, which is deleted when the process ends. */
export const temporaryFolder = () => mkdtempSync(join(root, "folder-"));

// Node loads a file `*.js` as a module only if a package.json says so. static/ must contain none, because everything
// in that folder is served.
const modules = temporaryFolder();
writeFileSync(join(modules, "package.json"), '{ "type": "module" }');
for (const name of readdirSync(STATIC)) {
  if (name.endsWith(".js")) copyFileSync(join(STATIC, name), join(modules, name));
}

/** Imports a module of static/. Another `instance` is a new module, with variables of its own. */
export const load = (name, instance = 0) => import(`${pathToFileURL(join(modules, name))}?instance=${instance}`);

/** The output of a program. Throws if the program fails. */
export function run(program, ...parameters) {
  // unzip writes names as the locale says, and without UTF-8 it cannot.
  const env = { ...process.env, LC_ALL: "C.UTF-8" };
  return execFileSync(program, parameters, { encoding: "utf8", maxBuffer: 1 << 28, env });
}

/** Reproducible random integers: `next(n)` is at least 0 and less than n. (The generator is "mulberry32".) */
export function randomNumbers(seed) {
  let state = seed;
  return (n) => {
    state = state + 0x6d2b79f5 | 0;
    let mixed = Math.imul(state ^ state >>> 15, state | 1);
    mixed ^= mixed + Math.imul(mixed ^ mixed >>> 7, mixed | 61);
    return Math.floor(((mixed ^ mixed >>> 14) >>> 0) / 2 ** 32 * n);
  };
}

export function randomBytes(length, next) {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at++) bytes[at] = next(256);
  return bytes;
}

/** Splits bytes into parts with random lengths: many short ones, some empty ones, and a few long ones. */
export function randomParts(bytes, next) {
  const parts = [];
  for (let from = 0; from < bytes.length;) {
    const length = next([2, 70, 1000, 300_000][next(4)]);
    parts.push(bytes.subarray(from, from + length));
    from += length;
  }
  return parts;
}
