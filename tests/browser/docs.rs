//! The API documentation at `/docs`.

use crate::harness::Setup;
use crate::looks::{contrast, fits};
use crate::page::Page;

#[test]
fn the_docs_page_works_without_javascript_in_both_color_schemes_and_on_a_phone() {
    for scheme in ["light", "dark"] {
        let page = Page::prepared(Setup::new(), |page| {
            page.prefers("prefers-color-scheme", scheme);
            page.browser.cdp("Emulation.setScriptExecutionDisabled", serde_json::json!({ "value": true }));
        });
        page.browser.open(&page.server.url("/docs"));
        assert!(!page.is_seen("#colorize .about"), "operations are collapsed at first");
        page.shot(&format!("docs-{scheme}"));
        page.browser.click("#colorize summary");
        page.until("document.querySelector('#colorize').open");
        let text = page.text("#colorize");
        for word in
            ["/v1/colorize", "provider", "image/jpeg", "Coloured", "X-PixColor-Credits", "402", "Retry-After"]
        {
            assert!(text.contains(word), "no {word:?} in {text}");
        }
        page.shot(&format!("docs-open-{scheme}"));
        for selector in [
            "h1",
            ".lead p",
            "pre code",
            ".summary",
            ".method.post",
            ".method.get",
            "#colorize dd",
            "#colorize dt small",
            ".status.s4",
            ".schema dd",
            ".schema a",
        ] {
            let contrast = contrast(&page, selector);
            assert!(contrast >= 4.5, "{selector} in {scheme}: {contrast:.2}");
        }
        page.window(360, 740);
        fits(&page);
        page.shot(&format!("docs-phone-{scheme}"));
        page.finish(&[]);
    }
}

#[test]
fn the_page_links_to_the_docs_and_all_links_in_the_docs_resolve() {
    let page = Page::open();
    page.browser.click(".foot a[href='/docs']");
    page.until("document.title === 'PixColor for programs'");
    let dead = page.string(
        "[...document.querySelectorAll('main a[href^=\"#\"]')]
            .filter((link) => !document.getElementById(link.hash.slice(1))).map((link) => link.hash).join(' ')",
    );
    assert_eq!(dead, "");
    assert!(page.requests().iter().all(|path| !path.contains(".js") || path.starts_with("/static/")));
    page.finish(&[]);
}
