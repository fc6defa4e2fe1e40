//! Makes the screenshots of the page for the README and docs/.
//!
//! `PIXCOLOR_TEST_PICTURES=docs/images cargo test --test browser pictures` updates them; a person checks the result.

use std::path::Path;

use serde_json::json;

use crate::harness::Setup;
use crate::page::Page;

/// Maximum size of a screenshot in bytes, so that the README loads fast.
const MOST: usize = 150_000;

/// Checks the file size of a screenshot of the window, and saves it if `PIXCOLOR_TEST_PICTURES` is set.
#[track_caller]
fn save(page: &Page, name: &str) {
    page.until_still();
    let picture = page.browser.screenshot(Some(85));
    assert!(picture.len() < MOST, "{name}: {} bytes", picture.len());
    let Some(folder) = std::env::var_os("PIXCOLOR_TEST_PICTURES") else { return };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{name}.webp")), picture).unwrap();
}

#[test]
fn pictures_for_the_documentation_are_small_enough() {
    let window = |page: &Page, width, height| {
        page.window(width, height);
        page.browser.cdp("Emulation.setScrollbarsHidden", json!({"hidden": true}));
    };
    let page = Page::prepared(Setup::new(), |page| window(page, 1100, 740));
    save(&page, "start");
    page.browser.click("#sample");
    page.until_done();
    save(&page, "done");
    page.finish(&[]);

    let page = Page::prepared(Setup::new(), |page| window(page, 360, 740));
    page.browser.click("#sample");
    page.until_done();
    save(&page, "phone");
    page.finish(&[]);
}
