import assert from "node:assert/strict";
import { createHash, webcrypto } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";

import { load, randomBytes, randomNumbers, randomParts, run, temporaryFolder } from "./harness.mjs";

const { Sha256, sha256 } = await load("sha256.js");
const expected = (bytes) => createHash("sha256").update(bytes).digest("hex");
const ascii = (text) => new TextEncoder().encode(text);

function ours(...parts) {
  const hash = new Sha256();
  for (const part of parts) hash.update(part);
  return hash.hex();
}

/** Runs with or without `crypto.subtle`, as in a page at https or at http. */
async function withCrypto(crypto, then) {
  const before = Object.getOwnPropertyDescriptor(globalThis, "crypto");
  Object.defineProperty(globalThis, "crypto", { value: crypto, configurable: true });
  try {
    return await then();
  } finally {
    delete globalThis.crypto;
    if (before) Object.defineProperty(globalThis, "crypto", before);
  }
}

test("the examples of FIPS 180-4 and of NIST's validation program have their hashes", () => {
  const examples = [
    [ascii(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"],
    [ascii("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"],
    [
      ascii("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
    ],
    [
      ascii("abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn" +
        "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu"),
      "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1",
    ],
    [ascii("a".repeat(1_000_000)), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"],
    [Uint8Array.of(0xd3), "28969cdfa74a12c82f3bad960b0b000aca2ac329deea5c2328ebc6f2ba9802c1"],
    [Uint8Array.of(0x11, 0xaf), "5ca7133fa735326081558ac312c620eeca9970d1e70a4b95533d956f072d1f98"],
    [Uint8Array.of(0xbd), "68325720aabd7c82f30f554b313d0570c95accbb7dc4b5aae11204c08ffe732b"],
    [new Uint8Array(55), "02779466cdec163811d078815c633f21901413081449002f24aa3e80f0b88ef7"],
    [new Uint8Array(56), "d4817aa5497628e7c77e6b606107042bbba3130888c5f47a375e6179be789fbb"],
    [new Uint8Array(64), "f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb4b"],
    [new Uint8Array(1000), "541b3e9daa09b20bf85fa273e5cbd3e80185aa4ec298e765db87742b70138a53"],
  ];
  for (const [message, hash] of examples) assert.equal(ours(message), hash);
});

test("messages of 0 to 200 bytes have the hashes of OpenSSL and of the program sha256sum", () => {
  const folder = temporaryFolder();
  const message = randomBytes(200, randomNumbers(1));
  const lengths = Array.from({ length: 201 }, (_, length) => length);
  const file = (length) => join(folder, `${length}`);
  for (const length of lengths) writeFileSync(file(length), message.subarray(0, length));
  const lines = run("sha256sum", ...lengths.map(file)).trimEnd().split("\n");
  assert.equal(lines.length, lengths.length);
  for (const [length, line] of lines.entries()) {
    const hash = ours(message.subarray(0, length));
    assert.equal(`${hash}  ${file(length)}`, line);
    assert.equal(hash, expected(message.subarray(0, length)));
  }
});

test("parts may end anywhere in a block", () => {
  const message = randomBytes(260, randomNumbers(2));
  const hash = expected(message);
  for (let first = 0; first <= message.length; first++) {
    for (const second of [0, 1, 7, 8, 9, 55, 56, 57, 63, 64, 65, 128]) {
      const end = first + second;
      const parts = [message.subarray(0, first), message.subarray(first, end), message.subarray(end)];
      assert.equal(ours(...parts), hash, `${first} and ${second} bytes`);
    }
  }
});

test("5 MiB in random parts have the hash of the whole", () => {
  for (let seed = 3; seed < 6; seed++) {
    const next = randomNumbers(seed);
    // At an odd offset in its memory, as a part of a larger buffer may be.
    const message = randomBytes(5 * 1024 * 1024 + 3, next).subarray(3);
    assert.equal(ours(...randomParts(message, next)), expected(message), `seed ${seed}`);
  }
});

test("the hash of the parts so far does not change the following ones", () => {
  const hash = new Sha256();
  const message = randomBytes(300, randomNumbers(9));
  for (let at = 0; at < message.length; at++) {
    assert.equal(hash.hex(), expected(message.subarray(0, at)));
    assert.equal(hash.hex(), expected(message.subarray(0, at)));
    hash.update(message.subarray(at, at + 1));
  }
});

test("several hashes can be computed at the same time", () => {
  const [one, two] = [new Sha256(), new Sha256()];
  for (let at = 0; at < 200; at++) {
    one.update(Uint8Array.of(1));
    two.update(Uint8Array.of(2));
  }
  assert.equal(one.hex(), expected(new Uint8Array(200).fill(1)));
  assert.equal(two.hex(), expected(new Uint8Array(200).fill(2)));
});

test("a file has the same hash with and without crypto.subtle, in one slice and in several", async () => {
  const next = randomNumbers(10);
  const slice = 4 * 1024 * 1024;
  for (const length of [0, 1, 1000, slice - 1, slice, slice + 1, 2 * slice + 77]) {
    const message = Buffer.alloc(length, randomBytes(1009, next));
    const file = new Blob([message]);
    assert.equal(await withCrypto(webcrypto, () => sha256(file)), expected(message), `${length} bytes, with`);
    assert.equal(await withCrypto(undefined, () => sha256(file)), expected(message), `${length} bytes, without`);
    // At http, browsers have `crypto` without `subtle`.
    assert.equal(await withCrypto({}, () => sha256(file)), expected(message), `${length} bytes, without`);
  }
});

test("a large file is read in slices even with crypto.subtle", async () => {
  const size = 64 * 1024 * 1024 + 5;
  const zeros = new Uint8Array(4 * 1024 * 1024);
  const lengths = [];
  const file = {
    size,
    arrayBuffer: () => assert.fail("the whole file was read"),
    slice: (from, to) => {
      const length = Math.min(to, size) - from;
      lengths.push(length);
      return { arrayBuffer: async () => zeros.slice(0, length).buffer };
    },
  };
  const hash = createHash("sha256");
  for (let at = 0; at < 16; at++) hash.update(zeros);
  hash.update(zeros.subarray(0, 5));
  assert.equal(await withCrypto(webcrypto, () => sha256(file)), hash.digest("hex"));
  assert.deepEqual(lengths, [...Array(16).fill(zeros.length), 5]);
});
