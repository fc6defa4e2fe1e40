// Installs the page, so that browsers offer it as an app and open it without a connection.

/** Registers the service worker at this address. Browsers have service workers on HTTPS and on localhost only. */
export function install(address) {
  // Without the worker the page works all the same.
  navigator.serviceWorker?.register(address).catch(() => {});
}
