//! The pictures in README and docs/ are of the page as it is: made here, and looked at by people.
//!
//! `PIXCOLOR_TEST_PICTURES=docs/images cargo test --test browser pictures` makes them anew.

use std::path::Path;

use serde_json::json;

use crate::harness::Setup;
use crate::page::Page;

/// Most bytes of one, so that README loads fast.
const MOST: usize = 150_000;

/// A picture of the window under this name, if they are asked for; small enough in any case.
#[track_caller]
fn keep(page: &Page, name: &str) {
    page.until_still();
    let picture = page.browser.screenshot(Some(85));
    assert!(picture.len() < MOST, "{name}: {} bytes", picture.len());
    let Some(folder) = std::env::var_os("PIXCOLOR_TEST_PICTURES") else { return };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{name}.webp")), picture).unwrap();
}

#[test]
fn the_pictures_of_the_documentation_are_of_this_page() {
    let window = |page: &Page, width, height| {
        page.window(width, height);
        page.browser.cdp("Emulation.setScrollbarsHidden", json!({"hidden": true}));
    };
    let page = Page::prepared(Setup::new(), |page| window(page, 1100, 740));
    keep(&page, "start");
    page.browser.click("#sample");
    page.until_done();
    keep(&page, "done");
    page.finish(&[]);

    let page = Page::prepared(Setup::new(), |page| window(page, 360, 740));
    page.browser.click("#sample");
    page.until_done();
    keep(&page, "phone");
    page.finish(&[]);
}
