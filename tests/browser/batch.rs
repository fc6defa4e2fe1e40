//! Many photographs at once: the queue, duplicates, trouble in the middle, prices, turning, and the archive.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use serde_json::json;

use crate::fakes::algorithmia::Algorithmia;
use crate::harness::wait::until;
use crate::harness::{Picture, Setup};
use crate::money::paid;
use crate::page::Page;

/// Files with small photographs of different content.
pub fn photos(page: &Page, count: u32) -> Vec<PathBuf> {
    (1..=count)
        .map(|seed| page.file(&format!("scan {seed:03}.png"), &Picture::png(96, 64, seed).bytes))
        .collect()
}

impl Page {
    /// How many tiles have this state.
    pub fn tiles(&self, state: &str) -> u64 {
        self.number(&format!("document.querySelectorAll('[data-state={state}]').length")) as u64
    }

    /// Waits until so many photographs are done and so many have failed.
    #[track_caller]
    pub fn until_tiles(&self, done: u32, failed: u32) {
        let count = |state: &str| format!("document.querySelectorAll('[data-state={state}]').length");
        self.until(&format!("{} === {done} && {} === {failed}", count("done"), count("failed")));
    }

    /// What the tile of a file says.
    #[track_caller]
    pub fn tile(&self, name: &str) -> String {
        self.string(&format!(
            "[...document.querySelectorAll('.tiles li')].find((tile) => tile.textContent.includes({})).querySelector('.said').textContent",
            json!(name)
        ))
    }

    /// Opens the large view of the photograph at this place, from 1.
    #[track_caller]
    pub fn open_tile(&self, place: usize) {
        self.browser.click(&format!(".tiles li:nth-child({place}) .open"));
    }

    /// The bodies of requests that colour, since the last call.
    fn colored(&self) -> usize {
        self.requests().iter().filter(|path| path.starts_with("/v1/colorize")).count()
    }

    /// Clicks on "Download all" and returns the archive.
    #[track_caller]
    fn archive(&self) -> PathBuf {
        self.browser.click("#download-all");
        let path = self.browser.downloaded("photographs-coloured.zip");
        // The browser creates the file before it writes the content.
        let tested = || {
            Command::new("unzip").arg("-tqq").arg(&path).output().is_ok_and(|tested| tested.status.success())
        };
        until("the archive is whole", tested);
        path
    }
}

fn names(archive: &PathBuf) -> Vec<String> {
    let listed = Command::new("unzip").arg("-Z1").arg(archive).output().unwrap();
    String::from_utf8(listed.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// A gateway that holds up some of thirty photographs by a rate limit; a restart forgets how much of it was used.
pub fn troubled() -> Setup {
    let limit = r#"{ rate = 600, per = "minute", burst = 8 }"#;
    Setup::new()
        .env("PIXCOLOR_QUOTA__LIMITS__PICTURES", limit)
        .env("PIXCOLOR_LIMITS__UPLOAD_BYTES", "\"200 KiB\"")
}

/// Colours thirty files: one is a duplicate, two are broken, one is too large. The gateway restarts in the middle;
/// `more` may do further harm.
pub fn thirty_files(mut page: Page, more: impl FnOnce(&Page)) {
    let mut files = photos(&page, 26);
    files.push(page.file("copy of 3.png", std::fs::read(&files[2]).unwrap()));
    files.push(page.file("broken.png", &Picture::png(300, 200, 40).bytes[..60]));
    files.push(page.file("notes.jpg", "Dear diary"));
    files.push(page.file("large.png", vec![0; 300 << 10]));
    page.choose_many(&files);
    page.until("document.querySelectorAll('[data-state=done]').length >= 5");
    page.restart_server();
    page.until("document.querySelectorAll('[data-state=done]').length >= 12");
    more(&page);
    page.until_tiles(27, 3);
    assert_eq!(page.tile("copy of 3"), "The same picture as scan 003.png");
    assert!(page.tile("notes").contains("Not a readable image"), "{}", page.tile("notes"));
    assert!(page.tile("large").contains("too large"), "{}", page.tile("large"));
    assert!(page.text("#progress").contains("27 of 30 done") && page.text("#progress").contains("3 failed"));
    assert_eq!(
        page.string("document.querySelector('#status').textContent"),
        "Finished: 27 coloured, 3 failed."
    );
    page.shot("batch-done");
    let usage = page.server.get("/v1/usage").json();
    assert_eq!(usage["total"]["calls"], 26, "each photograph is coloured once: {usage}");

    let archive = page.archive();
    let listed = names(&archive);
    let different: BTreeSet<_> = listed.iter().collect();
    assert_eq!((listed.len(), different.len()), (27, 27), "{listed:?}");
    assert!(listed.contains(&"scan 001-coloured.png".to_owned()), "{listed:?}");
    page.finish(&["status of 4", "status of 503", "ERR_"]);
}

#[test]
fn many_files_are_colored_with_trouble_in_the_middle() {
    thirty_files(Page::of(troubled()), |page| {
        page.offline(true);
        page.until("document.querySelector('#wait-all').checkVisibility()");
        assert!(page.text("#wait-all").contains("It goes on in"), "{}", page.text("#wait-all"));
        page.shot("batch-offline");
        page.offline(false);
    });
}

#[test]
fn the_queue_can_be_paused_cancelled_and_tried_again() {
    let limit = r#"{ rate = 120, per = "minute", burst = 1 }"#;
    let page = Page::of(Setup::new().env("PIXCOLOR_QUOTA__LIMITS__PICTURES", limit));
    page.choose_many(&photos(&page, 12));
    page.until("document.querySelectorAll('[data-state=done]').length >= 1");
    page.browser.click("#pause");
    page.until("document.querySelectorAll('[data-state=uploading], [data-state=colorizing]').length === 0");
    let done = page.tiles("done");
    assert_eq!(page.text("#wait-all"), "Paused.");
    let warns = "!window.dispatchEvent(new Event('beforeunload', { cancelable: true }))";
    assert_eq!(page.browser.value(warns), true, "leaving while work is left warns");
    assert_eq!(page.tiles("done"), done);
    page.browser.click("#pause");
    page.until(&format!("document.querySelectorAll('[data-state=done]').length > {done}"));
    page.browser.click("#cancel-all");
    page.until("document.querySelectorAll('[data-state=waiting]').length === 0");
    let (done, failed) = (page.tiles("done"), page.tiles("failed"));
    assert!(failed > 0 && done + failed == 12, "{done} done, {failed} cancelled");
    assert_eq!(page.browser.value(warns), false);
    assert_eq!(page.tile("scan 012"), "Cancelled");
    page.browser.click("#retry-all");
    page.until_tiles(12, 0);
    page.browser.click(".tiles li:nth-child(2) .remove");
    page.until_tiles(11, 0);
    page.browser.click("#remove-all");
    page.until("lab.dataset.phase === 'idle'");
    page.finish(&["status of 429"]);
}

#[test]
fn duplicates_are_sent_once() {
    let page = Page::open();
    let picture = Picture::png(96, 64, 1);
    let files: Vec<_> = ["a", "b", "c"].map(|name| page.file(&format!("{name}.png"), &picture.bytes)).into();
    page.choose_many(&files);
    page.until_tiles(3, 0);
    assert_eq!(page.colored(), 1);
    assert_eq!(page.tile("b.png"), "The same picture as a.png");
    page.open_tile(1);
    page.browser.click("#turn-left");
    page.until("lab.dataset.phase === 'done' && result.naturalWidth === 64");
    page.open_tile(2);
    page.until("result.naturalWidth === 96");
    page.browser.click(".tiles li:nth-child(1) .remove");
    page.until_tiles(2, 0);
    page.requests();
    page.choose(&files[0]);
    page.until_tiles(3, 0);
    assert_eq!(page.colored(), 0, "the result is in the cache");
    page.finish(&[]);
}

#[test]
fn a_folder_is_chosen_with_its_pictures_only_and_the_archive_has_its_tree() {
    let page = Page::open();
    let folder = page.file("here", "").with_file_name("box 1");
    for (name, content) in [
        ("a/one.png", Picture::png(64, 48, 1).bytes),
        ("b/one.png", Picture::png(64, 48, 2).bytes),
        ("b/Thumbs.db", vec![1; 10]),
        ("notes.txt", vec![2; 10]),
        ("b/.hidden.png", Picture::png(64, 48, 3).bytes),
    ] {
        std::fs::create_dir_all(folder.join(name).parent().unwrap()).unwrap();
        std::fs::write(folder.join(name), content).unwrap();
    }
    page.browser.type_into("#folder", folder.to_str().unwrap());
    page.until_tiles(2, 0);
    let left = page.text("#notice");
    assert!(left.contains("left out"), "{left}");
    assert_eq!(names(&page.archive()), ["box 1/a/one-coloured.png", "box 1/b/one-coloured.png"]);
    page.finish(&[]);
}

#[test]
fn the_large_view_leafs_through_the_photographs() {
    let page = Page::open();
    page.choose_many(&photos(&page, 3));
    page.until_tiles(3, 0);
    assert!(!page.is_seen("#stage"), "the contact sheet comes first");
    page.open_tile(1);
    page.until_done();
    assert!(page.browser.value("previous.disabled") == true && page.browser.value("next.disabled") == false);
    page.shot("batch-open");
    page.browser.click("#next");
    page.until("title.textContent === 'scan 002.png' && download.download === 'scan 002-coloured.png'");
    page.browser.press(&[crate::driver::Key::Right]);
    page.until("title.textContent === 'scan 003.png'");
    let touch = |kind: &str, points: serde_json::Value| {
        page.browser.cdp("Input.dispatchTouchEvent", json!({"type": kind, "touchPoints": points}));
    };
    let [left, top, right, _] = page.place("#facts");
    let y = top + 5.0;
    touch("touchStart", json!([{"x": left + 20.0, "y": y}]));
    touch("touchMove", json!([{"x": f64::midpoint(left, right), "y": y}]));
    touch("touchEnd", json!([]));
    page.until("title.textContent === 'scan 002.png'");
    page.browser.click("#close");
    page.until("!document.querySelector('#stage').checkVisibility()");
    assert_eq!(page.string("document.activeElement.innerText").lines().next(), Some("scan 002.png"));
    page.finish(&[]);
}

#[test]
fn a_photograph_is_turned_and_colored_again() {
    let page = Page::open();
    page.choose_picture("print.png", &Picture::png(96, 64, 1));
    page.until_done();
    page.browser.click("#turn-right");
    page.until("lab.dataset.phase === 'done' && result.naturalWidth === 64");
    let facts = page.text("#facts");
    assert!(facts.contains("64 × 96 pixels"), "{facts}");
    let ([left, top, right, bottom], after) = (page.place("#before .frame"), page.place("#after .frame"));
    assert!(
        (right - left - (after[2] - after[0])).abs() < 2.0
            && (bottom - top - (after[3] - after[1])).abs() < 2.0
    );
    page.shot("turned");
    for width in [96, 64, 96] {
        page.browser.click("#turn-left");
        page.until(&format!("lab.dataset.phase === 'done' && result.naturalWidth === {width}"));
    }
    page.finish(&[]);
}

#[test]
fn a_paid_selection_is_estimated_as_a_whole_and_confirmed_once() {
    let fake = Algorithmia::start();
    let main = "route = [\"algorithmia\", \"local\"]\n[budgets.monthly]\nscope = \"all\"\ncredits = 100\n";
    let page = Page::of(paid(&fake).file("config/pixcolor.toml", main));
    let mut files = photos(&page, 5);
    files.push(page.file("copy.png", std::fs::read(&files[0]).unwrap()));
    page.choose_many(&files);
    page.until("document.querySelector('#offer').checkVisibility()");
    let said = page.text("#offer");
    assert!(said.contains("5 photographs would cost 5 to 25 credits, 0.0005 to 0.0025 USD"), "{said}");
    assert!(said.contains("the budget monthly has 100 credits left"), "{said}");
    assert!(said.contains("local: nothing") && said.contains("Nothing has been sent yet"), "{said}");
    assert_eq!(page.text("#accept"), "Colour 5 photographs with algorithmia");
    assert!(page.text("#status").contains("5 photographs would cost"), "{}", page.text("#status"));
    assert_eq!((fake.calls(), page.colored()), (0, 0));
    page.shot("batch-price");
    page.browser.click("#accept");
    page.until_tiles(6, 0);
    assert_eq!(fake.calls(), 5);
    assert!(page.text("#progress").contains("10 credits spent"), "{}", page.text("#progress"));
    let last = photos(&page, 6).remove(5);
    let copy = page.file("last.png", std::fs::read(&last).unwrap());
    page.choose_many(&[last, copy]);
    page.until("document.querySelector('#offer').checkVisibility()");
    page.browser.click("#decline");
    page.until("document.querySelectorAll('.tiles li').length === 6");
    assert!(!page.is_seen("#offer"), "the copy is declined, too");
    page.until_tiles(6, 0);
    assert_eq!(fake.calls(), 5);
    page.finish(&[]);
}

#[test]
fn a_kind_that_only_the_browser_can_read_is_sent_as_a_png() {
    let page = Page::open();
    let file = page.file("holiday.avif", "");
    let code = "import sys; from PIL import Image; Image.linear_gradient('L').save(sys.argv[1])";
    let python = concat!(env!("CARGO_MANIFEST_DIR"), "/.test/pillow-13.0.0/bin/python");
    let made = Command::new(python).args(["-c", code]).arg(&file).status();
    assert!(made.is_ok_and(|status| status.success()), "tests/run installs Pillow");
    page.choose(&file);
    page.until_done();
    let said = page.text("#converted");
    assert!(page.is_seen("#converted") && said.contains("AVIF") && said.contains("PNG"), "{said}");
    assert_eq!(page.string("download.download"), "holiday-coloured.png");
    page.finish(&[]);
}

#[test]
fn photographs_are_kept_in_this_browser_only_if_a_person_wants_it() {
    let page = Page::open();
    page.choose_many(&photos(&page, 2));
    page.until_tiles(2, 0);
    page.visit();
    assert_eq!(page.tiles("done"), 0, "nothing is kept by default");
    page.browser.click("#keep");
    page.browser.type_into("#format", "WebP");
    page.choose_many(&photos(&page, 2));
    page.until_tiles(2, 0);
    page.until("kept.textContent.startsWith('2 photographs, ')");
    page.requests();
    page.visit();
    page.until_tiles(2, 0);
    assert_eq!(page.string("document.getElementById('format').value"), "webp");
    assert!(page.requests().iter().all(|path| !path.starts_with("/v1/")), "nothing is asked for again");
    page.open_tile(2);
    page.until_done();
    assert!(page.text("#facts").contains("Coloured by"));
    page.shot("kept");
    page.browser.click("#clear");
    page.until("kept.textContent === ''");
    page.visit();
    page.until("keep.checked");
    assert_eq!(page.tiles("done"), 0);
    page.finish(&[]);
}

#[test]
fn over_plain_http_the_page_hashes_by_itself() {
    let page = Page::by_name(Setup::new());
    assert_eq!(page.browser.value("window.isSecureContext"), false);
    let mut files = photos(&page, 3);
    files.push(page.file("copy.png", std::fs::read(&files[0]).unwrap()));
    page.choose_many(&files);
    page.until_tiles(4, 0);
    assert_eq!(page.tile("copy.png"), "The same picture as scan 001.png");
    page.visit();
    page.requests();
    page.choose(&files[1]);
    page.until_done();
    let sent = page.requests();
    assert!(sent.iter().any(|path| path.starts_with("/v1/results/sha256/")), "{sent:?}");
    assert!(sent.iter().all(|path| !path.starts_with("/v1/colorize")), "{sent:?}");
    page.finish(&[]);
}

#[test]
fn a_phone_shows_the_contact_sheet_without_scrolling_sideways() {
    let page = Page::prepared(Setup::new(), |page| page.window(320, 640));
    page.choose_many(&photos(&page, 3));
    page.until_tiles(3, 0);
    crate::looks::fits(&page);
    page.open_tile(2);
    page.until_done();
    crate::looks::fits(&page);
    page.shot("phone-batch");
    for selector in ["#next", "#turn-left", "#close", ".remove", "#download-all", "label[for=folder]"] {
        let [_, top, _, bottom] = page.place(selector);
        assert!(bottom - top >= 44.0, "{selector} is too small for a thumb: {}", bottom - top);
    }
    page.finish(&[]);
}
