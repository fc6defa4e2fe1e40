// The service worker opens the page when the browser cannot reach the gateway. It stores the page and its files, and
// nothing else: no photograph, no result, no response of the API. The server fills in the version and the addresses, so
// this script changes with each file, and the browser then installs it again.

const VERSION = "{{ version }}";
const FILES = {{ files }};
const CACHE = `pixcolor-${VERSION}`;

self.addEventListener("install", (event) => event.waitUntil(install()));
self.addEventListener("activate", (event) => event.waitUntil(deleteOldVersions()));
self.addEventListener("fetch", (event) => {
  const { method, mode, url } = event.request;
  const { origin, pathname } = new URL(url);
  if (method !== "GET" || origin !== location.origin) return;
  if (mode === "navigate" && pathname === "/") event.respondWith(page(event.request));
  else if (pathname.startsWith(`/static/${VERSION}/`)) event.respondWith(file(event.request));
});

async function install() {
  await Promise.all([...FILES.map((address) => file(address)), storePage()]);
  await self.skipWaiting();
}

async function deleteOldVersions() {
  const old = (await caches.keys()).filter((name) => name.startsWith("pixcolor-") && name !== CACHE);
  await Promise.all(old.map((name) => caches.delete(name)));
}

/** Stores the page that a visitor without cookies and passwords gets, if it belongs to this version. */
async function storePage() {
  const response = await fetch("/", { credentials: "omit", cache: "no-cache", redirect: "manual" });
  const text = await response.clone().text();
  if (response.ok && text.includes(`/static/${VERSION}/`)) await put("/", response);
}

async function page(request) {
  try {
    return await fetch(request);
  } catch (error) {
    const stored = await find("/");
    if (stored) return stored;
    throw error;
  }
}

async function file(request) {
  const stored = await find(request);
  if (stored) return stored;
  const response = await fetch(request);
  // Another replica may have another version. It sends its own file, which must not be stored as this version's.
  const current = response.headers.get("Cache-Control")?.includes("immutable");
  if (response.ok && current) await put(request, response.clone());
  return response;
}

async function find(request) {
  const cache = await caches.open(CACHE);
  return cache.match(request, { ignoreVary: true });
}

async function put(request, response) {
  const cache = await caches.open(CACHE);
  await cache.put(request, response);
}
