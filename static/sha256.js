// SHA-256 (FIPS 180-4, sections 4.1.2, 4.2.2, 5 and 6.2). `crypto.subtle` is faster, but it takes only whole messages,
// and browsers offer it only to pages at https or localhost. A gateway at http://192.168.1.20 has this code alone.

/** Files up to this size are read whole and hashed by `crypto.subtle`, where there is one. */
const SUBTLE_BYTES = 64 * 1024 * 1024;

/** Larger files, and all files where there is no `crypto.subtle`, are read in slices of this size. */
const SLICE_BYTES = 4 * 1024 * 1024;

const BLOCK_BYTES = 64;

/** A message is followed by a bit 1, zeros, and its length in 64 bits (section 5.1.1). */
const LENGTH_BYTES = 8;

/** Section 4.2.2. */
const K = Int32Array.of(
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
  0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
  0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
  0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
  0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
  0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
  0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
  0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
);

/** The message schedule of the current block. All hashes use the same array. */
const W = new Int32Array(64);

/** Hashes a message that arrives in parts. */
export class Sha256 {
  /** Section 5.3.3. */
  #state = Int32Array.of(
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
  );
  /** The beginning of a block whose other bytes have not arrived. */
  #rest = new Uint8Array(BLOCK_BYTES);
  #bytes = 0;

  /** @param {Uint8Array} bytes The next part of the message, of any length. */
  update(bytes) {
    let from = 0;
    const held = this.#bytes % BLOCK_BYTES;
    this.#bytes += bytes.length;
    if (held) {
      from = Math.min(BLOCK_BYTES - held, bytes.length);
      this.#rest.set(bytes.subarray(0, from), held);
      if (held + from < BLOCK_BYTES) return;
      compress(this.#state, this.#rest);
    }
    const to = bytes.length - (bytes.length - from) % BLOCK_BYTES;
    compress(this.#state, bytes.subarray(from, to));
    this.#rest.set(bytes.subarray(to));
  }

  /** The hash of the parts so far, as 64 hexadecimal digits. More parts may follow. */
  hex() {
    const held = this.#bytes % BLOCK_BYTES;
    const last = new Uint8Array(held + 1 + LENGTH_BYTES <= BLOCK_BYTES ? BLOCK_BYTES : 2 * BLOCK_BYTES);
    last.set(this.#rest.subarray(0, held));
    last[held] = 0x80;
    new DataView(last.buffer).setBigUint64(last.length - LENGTH_BYTES, BigInt(this.#bytes) * 8n);
    const state = this.#state.slice();
    compress(state, last);
    return Array.from(state, (word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
  }
}

function compress(state, blocks) {
  // Engines compile an access to a `DataView` to one load and a byte swap.
  const words = new DataView(blocks.buffer, blocks.byteOffset, blocks.byteLength);
  for (let at = 0; at < blocks.length; at += BLOCK_BYTES) compressBlock(state, words, at);
}

/** Section 6.2.2. A function for one block, because engines optimise a function sooner than a loop around it. */
function compressBlock(state, words, at) {
  let a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], f = state[5], g = state[6], h = state[7];
  for (let t = 0; t < 64; t++) {
    let word;
    if (t < 16) {
      word = words.getInt32(at + 4 * t);
    } else {
      const x = W[t - 15], y = W[t - 2];
      const sigma0 = (x >>> 7 | x << 25) ^ (x >>> 18 | x << 14) ^ x >>> 3;
      const sigma1 = (y >>> 17 | y << 15) ^ (y >>> 19 | y << 13) ^ y >>> 10;
      word = sigma1 + W[t - 7] + sigma0 + W[t - 16] | 0;
    }
    W[t] = word;
    const sum1 = (e >>> 6 | e << 26) ^ (e >>> 11 | e << 21) ^ (e >>> 25 | e << 7);
    const choice = g ^ e & (f ^ g);
    const t1 = h + sum1 + choice + K[t] + word | 0;
    const sum0 = (a >>> 2 | a << 30) ^ (a >>> 13 | a << 19) ^ (a >>> 22 | a << 10);
    const majority = a & b | c & (a | b);
    h = g; g = f; f = e; e = d + t1 | 0;
    d = c; c = b; b = a; a = t1 + sum0 + majority | 0;
  }
  // The array has 32 bits per element, so the additions are modulo 2^32.
  state[0] += a; state[1] += b; state[2] += c; state[3] += d;
  state[4] += e; state[5] += f; state[6] += g; state[7] += h;
}

/**
 * The SHA-256 of a file, in hexadecimal digits. Rejects with the browser's error if the file cannot be read, for
 * example because it was deleted, and with the signal's reason as soon as the current slice is hashed.
 */
export async function sha256(file, signal) {
  signal?.throwIfAborted();
  const subtle = globalThis.crypto?.subtle;
  if (subtle && file.size <= SUBTLE_BYTES) {
    const bytes = await file.arrayBuffer();
    signal?.throwIfAborted();
    const digest = new Uint8Array(await subtle.digest("SHA-256", bytes));
    return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  }
  const hash = new Sha256();
  for (let from = 0; from < file.size; from += SLICE_BYTES) {
    hash.update(new Uint8Array(await file.slice(from, from + SLICE_BYTES).arrayBuffer()));
    signal?.throwIfAborted();
  }
  return hash.hex();
}
