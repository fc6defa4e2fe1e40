// Files that a person chooses, drops or pastes: single ones, and those in folders.

/** Extensions of pictures, because browsers know no type for some of them. */
const PICTURE = /\.(jpe?g|jpe|jfif|png|webp|tiff?|gif|bmp|jxl|heic|heif|avif)$/i;

const isHidden = (path) => path.split("/").some((part) => part.startsWith("."));
const isPicture = (file) => file.type.startsWith("image/") || PICTURE.test(file.name);

/** A chosen file: { file, path }; the path is below the chosen or dropped folder. */
const chosen = (file) => ({ file, path: file.webkitRelativePath || file.name || "photograph" });

/** Files that were chosen one by one. All are taken: the gateway says what is wrong with a file that is no picture. */
export const single = (list) => ({ found: [...list].map(chosen), left: 0 });

/** The pictures of a chosen folder; `left` counts the other files. */
export function ofFolder(list) {
  const all = [...list].map(chosen);
  const found = all.filter(({ file, path }) => isPicture(file) && !isHidden(path));
  return { found: sorted(found), left: all.length - found.length };
}

/** What was dropped: files, and the pictures in folders. Must be called while the event is handled. */
export async function dropped(transfer) {
  const items = [...transfer.items].filter(({ kind }) => kind === "file");
  const entries = items.map((item) => item.webkitGetAsEntry?.() ?? null);
  // Files from another program have no entry.
  const files = items.map((item) => item.getAsFile());
  const found = [];
  let left = 0;
  for (const [index, entry] of entries.entries()) {
    if (!entry?.isDirectory) {
      if (files[index]) found.push(chosen(files[index]));
      continue;
    }
    const inside = await inFolder(entry);
    const pictures = inside.filter(({ file, path }) => isPicture(file) && !isHidden(path));
    left += inside.length - pictures.length;
    found.push(...sorted(pictures));
  }
  return { found, left };
}

const asPromise = (object, method) => new Promise((resolve, reject) => { object[method](resolve, reject); });

/** All files in a folder and its folders. What cannot be read is left out. */
async function inFolder(folder) {
  const reader = folder.createReader();
  const found = [];
  for (;;) {
    // A reader returns some entries at a time, and none at the end.
    const entries = await asPromise(reader, "readEntries").catch(() => []);
    if (entries.length === 0) return found;
    for (const entry of entries) {
      if (entry.isDirectory) {
        found.push(...(await inFolder(entry)));
      } else {
        const file = await asPromise(entry, "file").catch(() => null);
        if (file) found.push({ file, path: entry.fullPath.replace(/^\//, "") });
      }
    }
  }
}

/** In the order of a file manager: "scan 2" is before "scan 10". */
function sorted(files) {
  const order = new Intl.Collator("en", { numeric: true });
  return files.sort((one, other) => order.compare(one.path, other.path));
}
