//! Choosing, colouring, comparing and downloading photographs.

use image::ImageFormat;
use serde_json::json;

use crate::driver::Key;
use crate::harness::wait::until;
use crate::harness::{Picture, Setup};
use crate::page::Page;

#[test]
fn a_chosen_file_is_colored_shown_beside_the_original_and_downloaded() {
    let page = Page::open();
    page.shot("start");
    page.browser.value(
        "(() => {
            window.phases = [];
            new MutationObserver(() => {
                if (phases.at(-1) !== lab.dataset.phase) phases.push(lab.dataset.phase);
            }).observe(lab, { attributeFilter: ['data-phase'] });
        })()",
    );
    page.choose_picture("grandmother.jpg", &Picture::jpeg(900, 600, 1));
    page.until_done();
    let phases = page.browser.value("phases");
    assert_eq!(phases, json!(["asking", "sending", "colouring", "receiving", "done"]));

    assert!(page.colorfulness("original") < 1.0);
    assert!(page.colorfulness("result") > 5.0);
    let ([_, top, right, _], after) = (page.place("#original"), page.place("#result"));
    assert!(right <= after[0] && (top - after[1]).abs() < 1.0, "the result is beside the original");
    assert!(after[2] - after[0] > 500.0, "at a useful size: {after:?}");

    let facts = page.text("#facts");
    for fact in ["Coloured by", "local", "Took", " s\n", "provider ", "Cost", "nothing", "900 × 600 pixels"]
    {
        assert!(facts.contains(fact), "no {fact:?} in {facts}");
    }
    page.browser.click("#download");
    let kept = page.browser.folder.path().join("downloads/grandmother-coloured.jpg");
    // The browser creates the file before it writes the content.
    let picture = || image::load_from_memory(&std::fs::read(&kept).ok()?).ok();
    until("the download is whole and has the name of the original", || picture().is_some());
    assert_eq!(picture().map(|picture| (picture.width(), picture.height())), Some((900, 600)));
    page.finish(&[]);
}

#[test]
fn the_sample_is_colored_and_the_next_photograph_replaces_it() {
    let page = Page::open();
    page.browser.click("#sample");
    page.until_done();
    assert!(page.colorfulness("result") > 10.0);
    assert_eq!(page.string("download.download"), "dust-bowl-home-coloured.jpg");
    page.shot("done");
    page.choose_picture("next.png", &Picture::png(300, 200, 2));
    page.until("document.querySelector('#facts').innerText.includes('300 × 200')");
    assert_eq!(page.string("download.download"), "next-coloured.png");
    page.finish(&[]);
}

#[test]
fn a_photograph_can_be_dropped_anywhere() {
    let page = Page::open();
    let file = page.file("attic.jpg", Picture::jpeg(600, 400, 1).bytes);
    page.browser.drag(&file, (1000, 800), false);
    page.until("document.body.className === 'dragging'");
    page.shot("dragging");
    page.browser.drag(&file, (1000, 800), true);
    page.until_done();
    assert_eq!(page.browser.value("document.body.className"), "");
    assert_eq!(page.string("download.download"), "attic-coloured.jpg");
    page.finish(&[]);
}

#[test]
fn a_copied_picture_can_be_pasted() {
    let page = Page::open();
    page.browser.cdp(
        "Browser.grantPermissions",
        json!({"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}),
    );
    // Only the page in the foreground may write to the clipboard.
    page.browser.cdp("Page.bringToFront", json!({}));
    page.browser.value(
        "(async () => {
            const canvas = new OffscreenCanvas(400, 308);
            await sample.firstElementChild.decode();
            canvas.getContext('2d').drawImage(sample.firstElementChild, 0, 0, 400, 308);
            await navigator.clipboard.write([new ClipboardItem({ 'image/png': canvas.convertToBlob() })]);
        })()",
    );
    page.browser.press_with_ctrl("v");
    page.until_done();
    assert_eq!(page.string("download.download"), "image-coloured.png");
    assert!(page.text("#facts").contains("400 × 308"), "{}", page.text("#facts"));
    page.finish(&[]);
}

#[test]
fn an_upload_shows_its_progress_and_can_be_cancelled() {
    let page = Page::open();
    let slow = json!({"offline": false, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 60_000});
    page.browser.cdp("Network.enable", json!({}));
    page.browser.cdp("Network.emulateNetworkConditions", slow);
    page.browser.click("#sample");
    page.until("/^Sending [1-9]\\d? %$/.test(doing.textContent)");
    let sent = page.number("bar.value");
    assert!(sent > 0.0 && sent < 1.0, "{sent}");
    assert!(page.text("#status").contains("Sending dust-bowl-home.jpg"), "{}", page.text("#status"));
    page.shot("sending");
    page.browser.click("#cancel");
    page.until("lab.dataset.phase === 'idle'");
    assert!(!page.is_seen("#stage") && page.is_seen("#sample"));
    assert_eq!(page.string("document.activeElement.id"), "file");
    page.finish(&[]);
}

#[test]
fn the_page_can_be_used_with_the_keyboard_alone() {
    let page = Page::open();
    let focus = || page.string("document.activeElement.id || document.activeElement.value || ''");
    let tab_to = |wanted: &str| {
        for _ in 0..20 {
            page.browser.press(&[Key::Tab]);
            if focus() == wanted {
                return;
            }
        }
        panic!("the Tab key does not reach {wanted}; the focus is on {}", focus());
    };
    tab_to("file");
    let outline = page.string("getComputedStyle(document.querySelector('label[for=file]')).outlineStyle");
    assert_eq!(outline, "solid", "the focused file field has an outline");
    tab_to("sample");
    page.browser.press(&[Key::Enter]);
    page.until_done();
    tab_to("side");
    page.browser.press(&[Key::Right]);
    page.until("prints.dataset.view === 'wipe'");
    tab_to("download");
    page.browser.value("split.focus()");
    page.browser.press(&[Key::Right, Key::Right, Key::Right]);
    assert_eq!(page.string("prints.style.getPropertyValue('--split')"), "53");
    page.shot("slider");
    page.finish(&[]);
}

#[test]
fn a_file_that_the_browser_cannot_show_is_colored() {
    let page = Page::open();
    let tiff = Picture::new(Picture::landscape(320, 240, 3), ImageFormat::Tiff);
    page.choose_picture("scan.tif", &tiff);
    page.until_done();
    page.until("!blind.hidden");
    assert!(page.text("#before").contains("cannot show"), "{}", page.text("#before"));
    assert!(!page.is_seen("#views"), "there is nothing to compare with");
    assert_eq!(page.string("download.download"), "scan-coloured.png");
    page.shot("blind");
    page.finish(&[]);
}

#[test]
fn provider_and_format_can_be_chosen_and_changed_afterwards() {
    let setup = Setup::new()
        .file("config/pixcolor.toml", "route = [\"local\"]\n")
        .file("config/providers/second.toml", "kind = \"onnx\"\n");
    let page = Page::of(setup);
    assert!(page.is_seen("#provider"));
    page.choose_picture("photo.png", &Picture::png(200, 150, 4));
    page.until_done();
    assert!(page.text("#facts").contains("local"));
    assert!(!page.is_seen("#again"));
    page.browser.type_into("#provider", "second");
    page.browser.type_into("#format", "WebP");
    page.until("again.checkVisibility()");
    page.shot("again");
    page.browser.click("#again");
    page.until("download.download === 'photo-coloured.webp'");
    assert!(page.text("#facts").contains("second"), "{}", page.text("#facts"));
    let asked: Vec<_> = page.requests().into_iter().filter(|path| path.contains("/v1/colorize")).collect();
    assert_eq!(asked, ["/v1/colorize?", "/v1/colorize?provider=second&format=webp"]);
    page.finish(&[]);
}

#[test]
fn the_page_works_without_javascript() {
    let page = Page::prepared(Setup::new(), |page| {
        page.browser.cdp("Emulation.setScriptExecutionDisabled", json!({"value": true}));
    });
    page.shot("plain-start");
    assert!(!page.is_seen("#sample") && page.is_seen("#submit") && page.is_seen("main noscript"));
    page.choose_picture("grandfather.png", &Picture::png(600, 400, 5));
    page.browser.click("#submit");
    page.until("document.querySelector('[data-phase=done]')");
    page.shot("plain-done");
    assert_eq!(page.browser.value("document.querySelector('.before img').naturalWidth"), 600);
    assert_eq!(page.browser.value("document.querySelector('.after img').naturalWidth"), 600);
    assert_eq!(page.string("document.querySelector('[download]').download"), "grandfather-coloured.png");
    for fact in ["local", "nothing", "600 × 400"] {
        assert!(page.text(".facts").contains(fact), "{}", page.text(".facts"));
    }

    page.browser.click("a.mark");
    page.choose(&page.file("notes.txt", "no picture"));
    page.browser.click("#submit");
    page.until("document.querySelector('[data-phase=failed]')");
    page.shot("plain-problem");
    let said = page.text(".problem");
    assert!(said.contains("Not a readable image"), "{said:?}");
    page.finish(&["415"]);
}

#[test]
fn a_cached_photograph_is_not_sent_again() {
    let page = Page::open();
    let picture = Picture::jpeg(600, 400, 3);
    page.choose_picture("first.jpg", &picture);
    page.until_done();
    assert!(page.requests().iter().any(|path| path.starts_with("/v1/colorize")));
    assert!(!page.text("#facts").contains("coloured before"));

    page.visit();
    page.choose_picture("second.jpg", &picture);
    page.until("lab.dataset.phase === 'done' && download.download === 'second-coloured.jpg'");
    let requests = page.requests();
    assert!(requests.iter().all(|path| !path.starts_with("/v1/colorize")), "{requests:?}");
    assert!(page.text("#facts").contains("coloured before"), "{}", page.text("#facts"));
    assert!(page.colorfulness("result") > 5.0);
    page.finish(&[]);
}
