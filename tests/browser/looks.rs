//! Layout on a phone, dark mode, zoom and reduced motion.

use crate::harness::{Picture, Setup};
use crate::page::Page;

/// Asserts that the page does not scroll sideways.
#[track_caller]
pub fn fits(page: &Page) {
    let [width, window] =
        ["scrollWidth", "clientWidth"].map(|of| page.number(&format!("document.documentElement.{of}")));
    assert!(width <= window, "{width} pixels wide in a window of {window}");
}

/// The contrast between an element's text and its background, by the formula of WCAG 2.2.
#[track_caller]
pub fn contrast(page: &Page, selector: &str) -> f64 {
    page.number(&format!(
        "(() => {{
            const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
            const luminance = (colour) => {{
                const [r, g, b] = numbers(colour).map((v) => {{
                    v /= 255;
                    return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
                }});
                return 0.2126 * r + 0.7152 * g + 0.0722 * b;
            }};
            let element = document.querySelector('{selector}');
            const front = luminance(getComputedStyle(element).color);
            let behind;
            do {{
                behind = getComputedStyle(element).backgroundColor;
                element = element.parentElement;
            }} while (numbers(behind)[3] === 0);
            const back = luminance(behind);
            return (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05);
        }})()"
    ))
}

#[test]
fn all_text_has_enough_contrast_in_light_and_dark_mode() {
    for scheme in ["light", "dark"] {
        let page = Page::prepared(Setup::new(), |page| page.prefers("prefers-color-scheme", scheme));
        page.shot(&format!("start-{scheme}"));
        let readable = |selectors: &[&str]| {
            for selector in selectors {
                let contrast = contrast(&page, selector);
                assert!(contrast >= 4.5, "{selector} in {scheme}: {contrast:.2}");
            }
        };
        readable(&["h1", ".lead p", ".hint", ".note", "label[for=file]", ".sample", ".sample strong"]);
        readable(&[".options label", "#format", ".foot", ".foot a"]);
        page.browser.click("#sample");
        page.until_done();
        page.shot(&format!("done-{scheme}"));
        readable(&["label[for=file]", "figcaption", "#download", ".facts dt", ".facts dd"]);
        readable(&[".facts small", ".views input:checked + span", ".views label:last-of-type span"]);
        page.choose(&page.file("notes.txt", "no picture"));
        page.until_failed();
        page.shot(&format!("problem-{scheme}"));
        readable(&["#trouble", "#advice"]);
        page.finish(&["status of 415"]);
    }
}

#[test]
fn the_page_fits_a_phone_and_its_controls_are_large_enough_for_a_thumb() {
    let page = Page::prepared(Setup::new(), |page| page.window(360, 740));
    let thumb = |selector: &str| {
        let [left, top, right, bottom] = page.place(selector);
        let (width, height) = (right - left, bottom - top);
        assert!(width >= 44.0 && height >= 44.0, "{selector} is too small for a thumb: {width} by {height}");
    };
    fits(&page);
    page.shot("phone-start");
    ["label[for=file]", "#sample", "#format"].iter().for_each(|selector| thumb(selector));
    page.browser.click("#sample");
    page.until_done();
    fits(&page);
    page.shot("phone-done");
    ["label[for=file]", "#format", "#download", ".views label"].iter().for_each(|selector| thumb(selector));
    assert_eq!(
        page.string("prints.dataset.view"),
        "wipe",
        "on a phone, one picture covers the other to save space"
    );
    let place = |image: &str| page.place(image).map(f64::round).map(|side| side as i64);
    let [left, top, right, bottom] = place("#result");
    assert_eq!(place("#original"), [left, top, right, bottom]);
    assert!(
        right - left > 300 && bottom < 740,
        "the picture must be large and completely visible: {left} {top} {right} {bottom}"
    );
    page.choose_picture("upright.png", &Picture::png(300, 500, 7));
    page.until("document.querySelector('#facts').innerText.includes('300 × 500')");
    page.browser.click(".views input[value=side]");
    page.shot("phone-side");
    fits(&page);
    // The first 300 bytes of a JPEG, which contain only its header.
    let broken = &Picture::jpeg(300, 200, 8).bytes[..300];
    page.choose(&page.file("broken.jpg", broken));
    page.until_failed();
    page.shot("phone-problem");
    fits(&page);
    page.finish(&["status of 422"]);
}

#[test]
fn the_page_works_at_400_per_cent_zoom() {
    // At 400 %, a window of 1280 by 1024 pixels, as WCAG requires, has 320 by 256 CSS pixels.
    let page = Page::prepared(Setup::new(), |page| page.window(320, 256));
    fits(&page);
    page.browser.click("#sample");
    page.until_done();
    fits(&page);
    page.finish(&[]);
}

#[test]
fn reduced_motion_disables_animations() {
    let page = Page::prepared(Setup::new(), |page| page.prefers("prefers-reduced-motion", "reduce"));
    page.browser.value("window.moved = false");
    page.browser.value("document.addEventListener('animationstart', () => { window.moved = true; })");
    page.browser.click("#sample");
    page.until_done();
    assert_eq!(page.browser.value("moved"), false);
    page.finish(&[]);
}
