// Writes ZIP archives (PKWARE's APPNOTE.TXT 6.3.10). Photographs are compressed already, so the files are stored as
// they are, and a browser can assemble the archive from the files' own Blobs without copying them.

import { crc32 } from "./crc32.js";

/** These and larger values are in a ZIP64 field, which has more bits (section 4.4.1.4). */
const MAX_16 = 0xffff;
const MAX_32 = 0xffffffff;

/** Version 2.0, and version 4.5 for ZIP64 (section 4.4.3.2). */
const VERSION = 20;
const VERSION_ZIP64 = 45;

/**
 * Made by a Unix system (section 4.4.2.2): an ordinary file that its owner may write and all may read. Info-ZIP's
 * unzip, which Linux distributions ship, garbles UTF-8 names if the field says MS-DOS.
 */
const UNIX = 3 << 8;
const MODE = 0o100644 * 2 ** 16;

/** Bit 11: the name is in UTF-8 (section 4.4.4). */
const UTF8 = 1 << 11;

/** Section 4.4.5. */
const STORED = 0;

/** The ID of the extra field with 64-bit sizes (section 4.5.3). */
const EXTRA_ZIP64 = 1;

/**
 * The parts of an archive, in order: headers as `Uint8Array`, and the given Blobs themselves.
 * Each Blob is read once, for the checksum in the header before it. Throws a `NotReadableError` with the file's name if
 * that fails, for example because the file was deleted.
 * Names are written as they are: see `uniqueNames`.
 * @param {Iterable<Entry> | AsyncIterable<Entry>} entries
 * @typedef {{ name: string, blob: Blob, modified: Date }} Entry
 * @returns {AsyncGenerator<Uint8Array | Blob>}
 */
export async function* zip(entries) {
  const directory = [];
  let offset = 0;
  for await (const { name, blob, modified } of entries) {
    const path = new TextEncoder().encode(name);
    if (path.length > MAX_16) throw new RangeError(`The name of a file is too long for a ZIP archive: ${name}`);
    const file = { path, offset, size: blob.size, crc: await checksum(blob, name), modified };
    const header = localHeader(file);
    yield header;
    yield blob;
    directory.push(centralHeader(file));
    offset += header.length + blob.size;
  }
  yield* directory;
  const size = directory.reduce((sum, header) => sum + header.length, 0);
  yield endOfDirectory(directory.length, size, offset);
}

async function checksum(blob, name) {
  const reader = blob.stream().getReader();
  // Chromium calls a file that vanished a "network error".
  const read = () => reader.read().catch((error) => unreadable(name, error.message));
  let crc = 0;
  let size = 0;
  for (let part = await read(); !part.done; part = await read()) {
    crc = crc32(part.value, crc);
    size += part.value.length;
  }
  // The sizes in the header would be wrong, and readers would not find the files behind this one.
  if (size !== blob.size) unreadable(name, `it has ${size} bytes instead of ${blob.size}`);
  return crc;
}

function unreadable(name, reason) {
  throw new DOMException(`${name} cannot be read: ${reason}`, "NotReadableError");
}

/** Section 4.3.7. */
function localHeader({ path, size, crc, modified }) {
  // A local header must have both sizes in ZIP64, or none.
  const extra = size < MAX_32 ? [] : [u16(EXTRA_ZIP64), u16(16), u64(size), u64(size)];
  return record(
    u32(0x04034b50), u16(extra.length ? VERSION_ZIP64 : VERSION), u16(UTF8), u16(STORED), ...dosTime(modified),
    u32(crc), u32(size), u32(size), u16(path.length), u16(bytes(extra)), path, ...extra,
  );
}

/** Section 4.3.12. */
function centralHeader({ path, offset, size, crc, modified }) {
  const large = [...(size < MAX_32 ? [] : [u64(size), u64(size)]), ...(offset < MAX_32 ? [] : [u64(offset)])];
  const extra = large.length ? [u16(EXTRA_ZIP64), u16(bytes(large)), ...large] : [];
  const version = large.length ? VERSION_ZIP64 : VERSION;
  const comment = u16(0), disk = u16(0), internalAttributes = u16(0);
  return record(
    u32(0x02014b50), u16(UNIX | version), u16(version), u16(UTF8), u16(STORED), ...dosTime(modified),
    u32(crc), u32(size), u32(size), u16(path.length), u16(bytes(extra)), comment,
    disk, internalAttributes, u32(MODE), u32(offset), path, ...extra,
  );
}

/** Sections 4.3.14 to 4.3.16. */
function endOfDirectory(files, size, offset) {
  const disk = 0, disks = 1, comment = 0;
  const end = [
    u32(0x06054b50), u16(disk), u16(disk), u16(files), u16(files), u32(size), u32(offset), u16(comment),
  ];
  if (files < MAX_16 && size < MAX_32 && offset < MAX_32) return record(...end);
  const rest = [
    u16(UNIX | VERSION_ZIP64), u16(VERSION_ZIP64), u32(disk), u32(disk), u64(files), u64(files), u64(size), u64(offset),
  ];
  return record(
    u32(0x06064b50), u64(bytes(rest)), ...rest,
    u32(0x07064b50), u32(disk), u64(offset + size), u32(disks), ...end,
  );
}

/** Time and date in the computer's time zone, in steps of two seconds, from 1980 to 2107 (section 4.4.6). */
function dosTime(date) {
  const year = date.getFullYear() - 1980;
  // Also if the date is invalid.
  if (!(year >= 0)) return [u16(0), u16(1 << 5 | 1)];
  if (year > 127) return [u16(23 << 11 | 59 << 5 | 29), u16(127 << 9 | 12 << 5 | 31)];
  return [
    u16(date.getHours() << 11 | date.getMinutes() << 5 | date.getSeconds() >> 1),
    u16(year << 9 | date.getMonth() + 1 << 5 | date.getDate()),
  ];
}

// The integers of a record, little-endian. A value that is too large becomes the largest one, which refers readers to
// the ZIP64 field.
const u16 = (value) => ({ length: 2, write: (view, at) => view.setUint16(at, Math.min(value, MAX_16), true) });
const u32 = (value) => ({ length: 4, write: (view, at) => view.setUint32(at, Math.min(value, MAX_32), true) });
const u64 = (value) => ({ length: 8, write: (view, at) => view.setBigUint64(at, BigInt(value), true) });

const bytes = (fields) => fields.reduce((sum, field) => sum + field.length, 0);

function record(...fields) {
  const all = new Uint8Array(bytes(fields));
  const view = new DataView(all.buffer);
  let at = 0;
  for (const field of fields) {
    if (field instanceof Uint8Array) all.set(field, at);
    else field.write(view, at);
    at += field.length;
  }
  return all;
}

// Names

/**
 * Makes the names of an archive's files safe and unique on every system, also where "A.jpg" is "a.jpg". Folders are
 * kept. A safe name changes only if an earlier file or a folder has the same name.
 * @param {string[]} names
 * @returns {string[]}
 */
export function uniqueNames(names) {
  const safe = names.map(safeName);
  const taken = new Set(safe.flatMap(folders).map(caseless));
  // First the names that can stay, so that none of them is given to another file.
  const stays = safe.map((name) => !taken.has(caseless(name)) && taken.add(caseless(name)));
  const numbers = new Map();
  return safe.map((name, index) => {
    if (stays[index]) return name;
    let number = numbers.get(caseless(name)) ?? 1;
    let result;
    do result = numbered(name, ++number); while (taken.has(caseless(result)));
    numbers.set(caseless(name), number);
    taken.add(caseless(result));
    return result;
  });
}

/** A relative path that Windows, macOS and Linux can write, and that leads nowhere outside. */
function safeName(name) {
  const parts = name.replace(/^[a-z]:/i, "").split("/").filter((part) => !["", ".", ".."].includes(part));
  return parts.map(safePart).join("/") || "unnamed";
}

function safePart(part) {
  // \p{Cs}: halves of surrogate pairs, which UTF-8 cannot express. Windows drops dots and spaces at the end.
  const written = part.replace(/[\p{Cc}\p{Cs}<>:"\\|?*]/gu, "_").replace(/[. ]+$/, (end) => "_".repeat(end.length));
  // Names of devices in Windows, with any extension.
  return /^(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³]) *(\.|$)/i.test(written) ? `_${written}` : written;
}

/** "a/b/c.jpg" is in the folders "a" and "a/b". */
function folders(name) {
  const parts = name.split("/").slice(0, -1);
  return parts.map((_, index) => parts.slice(0, index + 1).join("/"));
}

/** Equal for names that are equal on some system: in upper and lower case, or with "ä" as one or two characters. */
function caseless(name) {
  return name.normalize("NFC").toUpperCase().toLowerCase().normalize("NFC");
}

/** "a/b.jpg" becomes "a/b (2).jpg". */
function numbered(name, number) {
  const dot = name.lastIndexOf(".");
  const end = dot > name.lastIndexOf("/") + 1 ? dot : name.length;
  return `${name.slice(0, end)} (${number})${name.slice(end)}`;
}
