//! Checks the accessibility of every state of the page with axe-core, which implements the rules of WCAG.

use std::path::Path;

use serde_json::json;

use crate::fakes::algorithmia::Algorithmia;
use crate::harness::{Picture, Setup};
use crate::money::paid;
use crate::page::Page;

/// The path of axe-core; `tests/run` downloads it.
const AXE: &str = ".test/axe-core-4.14.1/axe.min.js";

/// Asserts that axe-core reports no violations.
#[track_caller]
fn finds_nothing(page: &Page, state: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(AXE);
    let axe =
        std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{AXE}: {error}; tests/run fetches it"));
    // Elements that are fading in do not have their final contrast yet.
    page.until_still();
    page.browser.run(&axe);
    let found = page.browser.value(
        "axe.run().then(({ passes, violations }) => ({
            rules: passes.length,
            wrong: violations.map(({ id, help, nodes }) => [id, help, nodes.map(({ target }) => target.join(' '))]),
        }))",
    );
    assert!(found["rules"].as_u64().unwrap() > 10, "{state}: {found}");
    assert_eq!(found["wrong"], json!([]), "{state}");
}

/// A JPEG without the last third of its bytes.
fn damaged() -> Picture {
    let mut picture = Picture::jpeg(600, 400, 1);
    picture.bytes.truncate(picture.bytes.len() * 2 / 3);
    picture
}

/// Checks every state of the page in turn.
fn in_every_state(look: &str, prepare: impl FnOnce(&Page)) {
    let fake = Algorithmia::start();
    let page = Page::prepared(paid(&fake), prepare);
    let check = |state: &str| finds_nothing(&page, &format!("{look}, {state}"));
    check("start");
    page.browser.click("#sample");
    page.until_offered();
    check("price");
    let slow = |bytes: i32| {
        let network =
            json!({"offline": false, "latency": 0, "downloadThroughput": -1, "uploadThroughput": bytes});
        page.browser.cdp("Network.emulateNetworkConditions", network);
    };
    page.browser.cdp("Network.enable", json!({}));
    slow(2000);
    page.browser.click("#accept");
    page.until("lab.dataset.phase === 'sending' && bar.value > 0");
    check("sending");
    assert_eq!(page.phase(), "sending", "the check took longer than the upload");
    // Cancels the slow upload. If the whole picture arrived, it would be coloured and cached, and the page would not
    // show a price for it again.
    page.browser.click("#cancel");
    slow(-1);
    page.browser.click("#sample");
    page.until_offered();
    page.browser.click("#accept");
    page.until_done();
    page.until("spent.checkVisibility()");
    for view in ["side", "wipe"] {
        page.browser.click(&format!(".views input[value={view}]"));
        check(view);
    }
    page.choose_picture("damaged.jpg", &damaged());
    page.until_offered();
    page.browser.click("#accept");
    page.until_done();
    page.until("damaged.checkVisibility()");
    check("damaged");
    page.choose(&page.file("notes.txt", "no picture"));
    page.until_offered();
    page.browser.click("#accept");
    page.until_failed();
    check("problem");
    page.browser.click("#close");
    check("contact sheet");
    page.offline(true);
    page.choose_picture("last.png", &Picture::png(60, 40, 9));
    page.until("document.querySelector('#wait-all').checkVisibility()");
    check("no connection");
    page.finish(&["status of 415", "ERR_INTERNET_DISCONNECTED"]);
}

#[test]
fn light_mode_has_no_violations() {
    in_every_state("by day", |_| ());
}

#[test]
fn dark_mode_has_no_violations() {
    in_every_state("in the dark", |page| page.prefers("prefers-color-scheme", "dark"));
}

#[test]
fn the_phone_layout_has_no_violations() {
    in_every_state("on a phone", |page| page.window(360, 740));
}

#[test]
fn the_page_without_javascript_has_no_violations() {
    let scripts = |page: &Page, off: bool| {
        page.browser.cdp("Emulation.setScriptExecutionDisabled", json!({"value": off}));
    };
    let page = Page::prepared(Setup::new(), |page| scripts(page, true));
    // Enables scripts only for axe-core. The page's own scripts have not run.
    let check = |state: &str| {
        scripts(&page, false);
        finds_nothing(&page, state);
        scripts(&page, true);
    };
    check("plain start");
    page.choose_picture("grandfather.png", &Picture::png(600, 400, 5));
    page.browser.click("#submit");
    page.until("document.querySelector('[data-phase=done]')");
    check("plain result");
    page.browser.click("a.mark");
    page.choose_picture("damaged.jpg", &damaged());
    page.browser.click("#submit");
    page.until("document.querySelector('[data-phase=done] .notice')");
    page.shot("plain-damaged");
    check("plain damaged");
    page.browser.click("a.mark");
    page.choose(&page.file("notes.txt", "no picture"));
    page.browser.click("#submit");
    page.until("document.querySelector('[data-phase=failed]')");
    check("plain problem");
    page.finish(&["415"]);
}
