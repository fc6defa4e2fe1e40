//! The service worker: the page opens without the gateway, and nothing but the page is stored.

use crate::page::Page;

/// Waits until the service worker is in use.
const ACTIVATED: &str = "(async () => { const { active } = await navigator.serviceWorker.ready; \
    while (active.state !== 'activated') await new Promise((done) => setTimeout(done, 50)); })()";

/// The paths that the service worker has stored, one a line.
const STORED: &str = "(async () => { const paths = []; for (const name of await caches.keys()) \
    for (const request of await (await caches.open(name)).keys()) paths.push(new URL(request.url).pathname); \
    return paths.join('\\n'); })()";

#[test]
fn the_page_opens_without_the_gateway_and_only_the_page_is_stored() {
    let mut page = Page::open();
    page.browser.value(ACTIVATED);
    page.visit();
    page.browser.click("#sample");
    page.until_done();
    let stored = page.string(STORED);
    assert!(stored.lines().any(|path| path == "/") && stored.contains("/app.js"), "{stored}");
    let shell = |path: &str| path == "/" || path.starts_with("/static/");
    assert!(stored.lines().all(shell), "{stored}");

    page.server.terminate();
    page.visit();
    assert!(page.is_seen("#sample") && page.is_seen("label[for=file]"));
    assert_eq!(page.phase(), "idle");
}
