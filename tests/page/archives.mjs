// Archives of zip.js, and how other programs read them.

import { closeSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";

import { load, run, temporaryFolder } from "./harness.mjs";

const { zip } = await load("zip.js");

const READER = `
import hashlib, json, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as archive:
    def entry(info):
        content = hashlib.sha256()
        if info.file_size <= int(sys.argv[2]):
            # This compares the checksum, too.
            with archive.open(info) as file:
                while part := file.read(1 << 20):
                    content.update(part)
        return {
            "name": info.filename, "date": info.date_time, "size": info.file_size, "stored": info.compress_size,
            "offset": info.header_offset, "flags": info.flag_bits, "method": info.compress_type,
            "version": info.extract_version, "mode": info.external_attr >> 16, "sha256": content.hexdigest(),
        }
    print(json.dumps([entry(info) for info in archive.infolist()]))
`;

/** Zeros in the form of a Blob, which need no memory. */
export class Zeros {
  constructor(size) {
    this.size = size;
  }

  /** As much of a `ReadableStream` as zip.js uses. Node takes long to make real ones. */
  stream() {
    const part = new Uint8Array(Math.min(this.size, 1 << 20));
    let left = this.size;
    const read = async () => {
      if (!left) return { done: true };
      const value = part.subarray(0, Math.min(left, part.length));
      left -= value.length;
      return { done: false, value };
    };
    return { getReader: () => ({ read }) };
  }
}

/** Writes an archive and returns its path. Zeros become holes in the file, which need no disk. */
export async function archive(entries) {
  const path = join(temporaryFolder(), "archive.zip");
  const file = openSync(path, "w");
  let at = 0;
  let waiting = [];
  const write = () => {
    const bytes = Buffer.concat(waiting);
    at += writeSync(file, bytes, 0, bytes.length, at);
    waiting = [];
  };
  for await (const part of zip(entries)) {
    if (part instanceof Zeros && part.size) {
      write();
      at += part.size;
    } else if (part instanceof Blob) {
      waiting.push(new Uint8Array(await part.arrayBuffer()));
    } else if (part instanceof Uint8Array) {
      waiting.push(part);
    }
  }
  write();
  closeSync(file);
  return path;
}

/** The entries as Python reads them. It does not read the content of files with more than `most` bytes. */
export const readByPython = (path, most = 2 ** 40) => JSON.parse(run("python3", "-c", READER, path, `${most}`));
