// What the browser can find out about a picture: its size, a thumbnail, and a PNG of a kind that the gateway cannot read.

/** The longer side of a thumbnail in pixels, twice its size on the page. */
const THUMBNAIL = 320;

/**
 * Decodes a picture. Returns { width, height, thumbnail } of the upright picture with a small Blob; null if the browser
 * cannot show it.
 */
export async function look(blob) {
  const picture = await createImageBitmap(blob).catch(() => loaded(blob));
  if (!picture) return null;
  const [width, height] = [picture.naturalWidth ?? picture.width, picture.naturalHeight ?? picture.height];
  const scale = Math.min(1, THUMBNAIL / Math.max(width, height));
  const thumbnail = await drawn(picture, width * scale, height * scale, "image/jpeg", 0.75);
  picture.close?.();
  return { width, height, thumbnail };
}

/** The picture as an image element, which also shows a part of a damaged file; null if there is nothing to show. */
async function loaded(blob) {
  const address = URL.createObjectURL(blob);
  try {
    const image = new Image();
    const event = await new Promise((resolve) => {
      image.onload = resolve;
      image.onerror = resolve;
      image.src = address;
    });
    return event.type === "load" ? image : null;
  } finally {
    URL.revokeObjectURL(address);
  }
}

async function drawn(picture, width, height, type, quality) {
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(width));
  canvas.height = Math.max(1, Math.round(height));
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  const made = await new Promise((resolve) => { canvas.toBlob(resolve, type, quality); });
  // Safari keeps the memory of a canvas for a while, and has little.
  canvas.width = 0;
  canvas.height = 0;
  return made;
}

/** Brands of HEIF (ISO/IEC 23008-12) and AVIF in the first box of a file. */
const HEIF = ["avif", "avis", "heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1"];

/** "AVIF" or "HEIC" if a file is of this kind, which the gateway cannot read; null for others. */
async function foreignKind(file) {
  const head = new Uint8Array(await file.slice(0, 12).arrayBuffer());
  const text = String.fromCharCode(...head);
  if (text.slice(4, 8) !== "ftyp" || !HEIF.includes(text.slice(8, 12))) return null;
  return text.slice(8, 11) === "avi" ? "AVIF" : "HEIC";
}

/**
 * The file to send. A kind that the gateway cannot read is decoded here, if the browser can, and sent as a PNG. Returns
 * { file, converted: "AVIF", "HEIC" or null }.
 */
export async function sendable(file) {
  const kind = await foreignKind(file);
  const picture = kind && (await createImageBitmap(file).catch(() => null));
  if (!picture) return { file, converted: null };
  const png = await drawn(picture, picture.width, picture.height, "image/png");
  picture.close();
  return { file: new File([png], file.name, { type: "image/png", lastModified: file.lastModified }), converted: kind };
}
