// The download of all results. Loaded with the first photograph, because the empty page does not need it.

import { downloadName } from "./words.js";
import { uniqueNames, zip } from "./zip.js";

/** Makes a ZIP archive of all results. The results are parts of it as they are, so it needs no memory of its own. */
export async function archive(session, step) {
  const done = session.done();
  const names = uniqueNames(done.map(({ path, result }) => downloadName(path, result.blob.type)));
  const entries = done.map(({ file, result }, index) => ({ name: names[index], blob: result.blob, modified: new Date(file.lastModified) }));
  const parts = [];
  let made = 0;
  for await (const part of zip(entries)) {
    parts.push(part);
    if (part instanceof Blob) step((made += 1) / done.length);
  }
  return new Blob(parts, { type: "application/zip" });
}
