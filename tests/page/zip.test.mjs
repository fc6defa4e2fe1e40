import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";

import { archive, readByPython, Zeros } from "./archives.mjs";
import { load, randomBytes, randomNumbers, run, temporaryFolder } from "./harness.mjs";

const { zip } = await load("zip.js");
const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");
const noon = new Date(2024, 1, 29, 12, 0, 0);

const files = [
  ["plain.txt", "some text", new Date(2024, 1, 29, 23, 59, 58)],
  ["Großmutter, Köln 1931.tif", randomBytes(70_000, randomNumbers(1)), new Date(1999, 11, 31, 0, 0, 1)],
  ["😀 写真.png", randomBytes(300_000, randomNumbers(2)), new Date(2026, 6, 1, 13, 37, 43)],
  ["empty.jpg", "", new Date(1980, 0, 1, 0, 0, 0)],
  ["1950s/summer/a.jpg", "in a folder", new Date(2107, 11, 31, 23, 59, 59)],
  ["1950s/b.jpg", "in a folder too", new Date(2000, 5, 15, 6, 7, 8)],
].map(([name, content, modified]) => ({ name, content: Buffer.from(content), modified }));
const entries = () => files.map(({ name, content, modified }) => ({ name, blob: new Blob([content]), modified }));

async function parts(entries) {
  const all = [];
  for await (const part of zip(entries)) all.push(part);
  return all;
}

/** The paths of all files in a folder. */
function paths(folder, prefix = "") {
  return readdirSync(join(folder, prefix), { withFileTypes: true }).flatMap((entry) => {
    const path = prefix + entry.name;
    return entry.isDirectory() ? paths(folder, `${path}/`) : [path];
  });
}

test("unzip extracts what was put in", async () => {
  const path = await archive(entries());
  assert.match(run("unzip", "-t", path), /No errors detected in compressed data/);
  const folder = temporaryFolder();
  run("unzip", "-q", path, "-d", folder);
  assert.deepEqual(paths(folder).sort(), files.map(({ name }) => name).sort());
  for (const { name, content, modified } of files) {
    assert.deepEqual(readFileSync(join(folder, name)), content, name);
    const { mode, mtime } = statSync(join(folder, name));
    assert.equal(mode & 0o600, 0o600, name);
    // ZIP's times have steps of two seconds. unzip knows no year after 2037.
    const expected = Math.floor(modified.getTime() / 2000) * 2000;
    if (modified.getFullYear() < 2038) assert.equal(mtime.getTime(), expected, name);
  }
});

test("Python reads what was put in", async () => {
  const read = readByPython(await archive(entries()));
  assert.equal(read.length, files.length);
  for (const [index, { name, content, modified }] of files.entries()) {
    const { offset, ...entry } = read[index];
    const day = [modified.getFullYear(), modified.getMonth() + 1, modified.getDate()];
    const time = [modified.getHours(), modified.getMinutes(), modified.getSeconds() & ~1];
    assert.deepEqual(entry, {
      name, date: [...day, ...time], size: content.length, stored: content.length, flags: 0x800, method: 0, version: 20,
      mode: 0o100644, sha256: sha256(content),
    });
  }
});

test("a reader that cannot seek extracts the archive from its local headers", async () => {
  const path = await archive(entries());
  const folder = temporaryFolder();
  mkdirSync(join(folder, "out"));
  const script = `
import struct, sys
with open(sys.argv[1], "rb") as stream:
    while (header := stream.read(30))[:4] == b"PK\\x03\\x04":
        flags, method, crc, stored, size, name, extra = struct.unpack("<6xHH4xIIIHH", header)
        name = stream.read(name).decode()
        assert flags == 0x800 and method == 0 and extra == 0 and stored == size
        print(name, crc, len(stream.read(size)), size)
`;
  const lines = run("python3", "-c", script, path).trimEnd().split("\n");
  assert.equal(lines.length, files.length);
  for (const [index, { name, content }] of files.entries()) {
    assert.ok(lines[index].startsWith(`${name} `) && lines[index].endsWith(` ${content.length} ${content.length}`));
  }
});

test("the Blobs are passed on untouched, each behind its header, and asynchronous entries work", async () => {
  const given = entries();
  async function* later() {
    for (const entry of given) {
      await new Promise(setImmediate);
      yield entry;
    }
  }
  const all = await parts(later());
  assert.deepEqual(all.filter((part) => part instanceof Blob), given.map(({ blob }) => blob));
  for (const [index, { blob }] of given.entries()) {
    assert.ok(all[2 * index] instanceof Uint8Array);
    assert.equal(all[2 * index + 1], blob);
  }
  const bytes = (parts) => new Blob(parts).arrayBuffer().then(Buffer.from);
  assert.deepEqual(await bytes(all), await bytes(await parts(given)));
});

test("an archive without files is valid", async () => {
  assert.deepEqual(readByPython(await archive([])), []);
});

test("dates that ZIP cannot express become its first or last one", async () => {
  const first = [1980, 1, 1, 0, 0, 0];
  const last = [2107, 12, 31, 23, 59, 58];
  const cases = [
    [new Date(1979, 11, 31, 23, 59, 59), first], [new Date(0), first], [new Date(NaN), first], [new Date(-1e15), first],
    [new Date(2108, 0, 1), last], [new Date(8e15), last],
  ];
  const path = await archive(cases.map(([modified], index) => ({ name: `${index}`, blob: new Blob([]), modified })));
  assert.deepEqual(readByPython(path).map(({ date }) => date), cases.map(([, date]) => date));
});

test("65,534 files need no ZIP64; with more, unzip and Python find all", async () => {
  const blob = new Zeros(0);
  const many = (count) => Array.from({ length: count }, (_, index) => ({ name: `${index}`, blob, modified: noon }));
  for (const count of [65_534, 65_535, 70_000]) {
    const path = await archive(many(count));
    assert.equal(readFileSync(path).includes("PK\x06\x06"), count > 65_534, `${count} files`);
    const read = readByPython(path, -1);
    assert.equal(read.length, count);
    assert.equal(read.at(-1).name, `${count - 1}`);
    if (count === 70_000) assert.match(run("unzip", "-tqq", path), /^$/);
  }
});

test("errors reach the caller: a file that vanished, changed its size, or has too long a name", async () => {
  // The error of Chromium.
  const stream = () => new ReadableStream({ start: (controller) => controller.error(new TypeError("network error")) });
  const entry = (blob, name = "a.jpg") => [{ name, blob, modified: noon }];
  const vanished = { name: "NotReadableError", message: "a.jpg cannot be read: network error" };
  await assert.rejects(parts(entry({ size: 3, stream })), vanished);
  for (const size of [2, 4]) {
    const blob = { size, stream: () => new Blob(["abc"]).stream() };
    await assert.rejects(parts(entry(blob)), { name: "NotReadableError", message: /^a\.jpg .* 3 bytes/ });
  }
  assert.equal((await parts(entry(new Blob([]), "a".repeat(65_535)))).length, 4);
  await assert.rejects(parts(entry(new Blob([]), "a".repeat(65_536))), RangeError);
});
