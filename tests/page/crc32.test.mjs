import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";

import { load, randomBytes, randomNumbers, randomParts, run, temporaryFolder } from "./harness.mjs";

const { crc32 } = await load("crc32.js");
const ascii = (text) => new TextEncoder().encode(text);

/** The checksum as its definition says, bit by bit. */
function slow(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? crc >>> 1 ^ 0xedb88320 : crc >>> 1;
  }
  return ~crc >>> 0;
}

test("published examples have their checksums", () => {
  const examples = [
    ["", 0],
    ["a", 0xe8b7be43],
    ["abc", 0x352441c2],
    // The check value of the catalogues of CRCs.
    ["123456789", 0xcbf43926],
    ["The quick brown fox jumps over the lazy dog", 0x414fa339],
    // The chunk at the end of each PNG.
    ["IEND", 0xae426082],
  ];
  for (const [message, crc] of examples) assert.equal(crc32(ascii(message)), crc, message);
  assert.equal(crc32(new Uint8Array(32)), 0x190a55ad);
  assert.equal(crc32(new Uint8Array(32).fill(255)), 0xff6cab0b);
});

test("every length and offset up to 40 bytes has the checksum of the definition", () => {
  const message = randomBytes(80, randomNumbers(1));
  for (let from = 0; from < 40; from++) {
    for (let length = 0; length <= 40; length++) {
      const part = message.subarray(from, from + length);
      assert.equal(crc32(part), slow(part), `${length} bytes from ${from}`);
    }
  }
});

test("random parts have the checksum of the whole, which is Python's", () => {
  const next = randomNumbers(2);
  const message = randomBytes(2 * 1024 * 1024 + 5, next);
  const file = join(temporaryFolder(), "message");
  writeFileSync(file, message);
  const script = "import sys, zlib; print(zlib.crc32(open(sys.argv[1], 'rb').read()))";
  const python = Number(run("python3", "-c", script, file));
  assert.equal(crc32(message), python);
  assert.equal(randomParts(message, next).reduce((crc, part) => crc32(part, crc), 0), python);
});
