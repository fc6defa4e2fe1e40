// These tests take about a minute: PIXCOLOR_SLOW=1 runs them.

import assert from "node:assert/strict";
import test from "node:test";

import { archive, readByPython, Zeros } from "./archives.mjs";
import { load, run } from "./harness.mjs";

const slow = { skip: !process.env.PIXCOLOR_SLOW };
const GIB = 2 ** 30;
const modified = new Date(2024, 1, 29, 12, 0, 0);

test("NIST's message of 1 GiB has its hash", slow, async () => {
  const { Sha256 } = await load("sha256.js");
  const part = Buffer.alloc(2 ** 20, "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmno");
  const hash = new Sha256();
  for (let at = 0; at < 1024; at++) hash.update(part);
  assert.equal(hash.hex(), "50e72a0e26442fe2552dc3938ac58658228c0cbfb1d2ca872ae435266fcd055e");
});

test("unzip and Python read an archive with a file of more than 4 GiB and files behind it", slow, async () => {
  const path = await archive([
    { name: "before.txt", blob: new Blob(["before"]), modified },
    { name: "large.bin", blob: new Zeros(4 * GIB + 5), modified },
    { name: "behind.txt", blob: new Blob(["behind"]), modified },
  ]);
  assert.match(run("unzip", "-t", path), /No errors detected in compressed data/);
  assert.equal(run("unzip", "-p", path, "behind.txt"), "behind");
  const read = readByPython(path);
  const facts = read.map(({ name, size, stored, version }) => [name, size, stored, version]);
  assert.deepEqual(facts, [
    ["before.txt", 6, 6, 20], ["large.bin", 4 * GIB + 5, 4 * GIB + 5, 45], ["behind.txt", 6, 6, 45],
  ]);
  assert.ok(read[2].offset > 4 * GIB);
});

test("sizes and offsets around 4 GiB are right", slow, async () => {
  const max = 2 ** 32 - 1;
  // The local header of "a" has 31 bytes. So "b" begins at the given offset.
  for (const offset of [max - 1, max]) {
    const path = await archive([
      { name: "a", blob: new Zeros(offset - 31), modified },
      { name: "b", blob: new Blob(["behind"]), modified },
    ]);
    const [a, b] = readByPython(path, 1000);
    assert.deepEqual([a.size, a.version, b.offset, b.version], [offset - 31, 20, offset, offset < max ? 20 : 45]);
    assert.equal(run("unzip", "-p", path, "b"), "behind");
  }
  for (const size of [max - 1, max]) {
    const path = await archive([{ name: "a", blob: new Zeros(size), modified }]);
    const [a] = readByPython(path, 1000);
    assert.deepEqual([a.size, a.stored, a.version], [size, size, size < max ? 20 : 45]);
    assert.match(run("unzip", "-l", path), new RegExp(`^ *${size} `, "m"));
  }
});
