//! The page explains problems and says what to do.

use crate::harness::{Picture, Setup};
use crate::page::Page;

#[test]
fn a_file_that_is_not_a_picture_is_explained_and_another_can_be_chosen() {
    let page = Page::open();
    page.choose(&page.file("notes.txt", "Dear diary"));
    let said = page.until_failed();
    assert!(said.contains("Not a readable image"), "{said}");
    assert!(!page.is_seen("#retry"), "sending the same file again would not help");
    page.shot("problem");
    page.choose_picture("photo.png", &Picture::png(64, 64, 1));
    page.until_done();
    assert!(!page.is_seen("#problem"));
    page.finish(&["status of 415"]);
}

#[test]
fn a_damaged_photograph_is_colored_and_the_page_says_what_is_missing() {
    let page = Page::open();
    let mut picture = Picture::jpeg(600, 400, 1);
    picture.bytes.truncate(picture.bytes.len() * 2 / 3);
    page.choose_picture("damaged.jpg", &picture);
    page.until_done();
    let said = page.text("#damaged");
    let sentence = said.strip_prefix("The file is damaged. ").unwrap_or_default();
    assert!(page.is_seen("#damaged") && sentence.ends_with('.'), "{said}");
    assert!(page.text("#status").contains(sentence), "a screen reader reads it out");
    page.shot("damaged");
    page.choose_picture("whole.jpg", &Picture::jpeg(600, 400, 1));
    page.until_done();
    assert!(!page.is_seen("#damaged"));
    page.finish(&[]);
}

#[test]
fn too_large_and_empty_files_are_refused_before_they_are_sent() {
    let page = Page::of(Setup::new().env("PIXCOLOR_LIMITS__UPLOAD_BYTES", "\"100 KiB\""));
    page.choose(&page.file("large.png", vec![0; 150 * 1024]));
    let said = page.until_failed();
    assert!(said.contains("too large") && said.contains("0.1"), "{said}");
    page.choose(&page.file("empty.png", ""));
    page.until("trouble.textContent.includes('empty')");
    assert!(page.requests().iter().all(|path| !path.contains("colorize")));
    page.finish(&[]);
}

#[test]
fn while_the_gateway_is_unreachable_the_page_waits_and_then_goes_on() {
    let mut page = Page::open();
    page.server.terminate();
    page.choose_picture("photo.png", &Picture::png(64, 64, 1));
    page.until("document.querySelector('#wait-all').checkVisibility()");
    let said = page.text("#wait-all");
    assert!(said.contains("cannot be reached") && said.contains("It goes on in"), "{said}");
    assert!(page.text("#status").contains("cannot be reached"), "{}", page.text("#status"));
    page.shot("gone");
    page.restart_server();
    page.browser.click("#go-on");
    page.until_done();
    page.finish(&["ERR_CONNECTION_REFUSED"]);
}

#[test]
fn the_page_waits_for_a_busy_gateway_and_then_goes_on() {
    const MIB: usize = 1 << 20;
    let setup = Setup::new()
        .env("PIXCOLOR_LIMITS__UPLOAD_BYTES", "\"1 MiB\"")
        .env("PIXCOLOR_LIMITS__UPLOAD_MEMORY", "\"1 MiB\"")
        .env("PIXCOLOR_QUOTA__CLIENT_UPLOAD_MEMORY", "\"1 MiB\"")
        .env("PIXCOLOR_LIMITS__UPLOAD_SPEED", "0");
    let page = Page::of(setup);
    // Another upload, which does not end, holds all the memory for uploads.
    let head = format!(
        "POST /v1/colorize HTTP/1.1\r\nHost: {}\r\nContent-Length: {MIB}\r\n\r\n",
        page.server.address
    );
    let upload = page.server.raw(&[head.as_bytes(), &vec![7; MIB - 1]].concat());
    page.server.until_in_flight(1);
    page.choose_many(&crate::batch::photos(&page, 3));
    page.until("document.querySelector('#wait-all').checkVisibility()");
    assert!(page.text("#wait-all").contains("It goes on in"), "{}", page.text("#wait-all"));
    page.shot("busy");
    drop(upload);
    page.until_tiles(3, 0);
    page.finish(&["status of 503"]);
}

#[test]
fn an_exceeded_rate_limit_is_named_with_a_countdown_and_the_page_goes_on() {
    let limit = r#"{ rate = 10, per = "minute", burst = 1 }"#;
    let page = Page::of(Setup::new().env("PIXCOLOR_QUOTA__LIMITS__PICTURES", limit));
    page.choose_many(&crate::batch::photos(&page, 2));
    page.until("document.querySelector('#wait-all').checkVisibility()");
    let said = page.text("#wait-all");
    assert!(said.contains("the limit `pictures` (10 pictures per minute"), "{said}");
    let left = || {
        page.number("Number(document.querySelector('#wait-all').textContent.match(/in (\\d+) s/)?.[1] ?? 0)")
    };
    let first = left();
    assert!((1.0..=6.0).contains(&first), "{first}");
    page.until(&format!(
        "!(Number(document.querySelector('#wait-all').textContent.match(/in (\\d+) s/)?.[1] ?? 0) >= {first})"
    ));
    page.until_tiles(2, 0);
    assert!(!page.is_seen("#wait-all"));
    page.finish(&["status of 429"]);
}

#[test]
fn the_page_says_why_no_provider_is_ready() {
    let page = Page::of(Setup::new().env("PIXCOLOR_ROUTE", "[\"algorithmia\"]"));
    let said = page.text(".notice");
    assert!(said.contains("Nothing can be coloured") && said.contains("algorithmia: "), "{said}");
    assert!(page.text("#place").contains("may be sent to algorithmia"), "{}", page.text("#place"));
    page.shot("nobody");
    page.browser.click("#sample");
    let said = page.until_failed();
    assert!(said.contains("Not available right now"), "{said}");
    page.finish(&["status of 503"]);
}

#[test]
fn failed_providers_are_listed_with_the_one_that_colored() {
    let page = Page::of(Setup::new().env("PIXCOLOR_ROUTE", "[\"algorithmia\", \"local\"]"));
    assert!(
        !page.browser.value("document.querySelector('#provider')").is_object(),
        "there is a choice of providers"
    );
    page.browser.click("#sample");
    page.until_done();
    let facts = page.text("#facts");
    assert!(facts.contains("local") && facts.contains("algorithmia: not ready"), "{facts}");
    page.finish(&[]);
}

#[test]
fn a_required_key_is_entered_in_a_field_and_sent_only_as_a_header() {
    let page = Page::of(Setup::new().env("PIXCOLOR_ANONYMOUS", "false"));
    assert!(page.is_seen("#key"));
    page.choose_picture("photo.png", &Picture::png(64, 64, 1));
    let said = page.until_failed();
    assert!(said.contains("A key is needed") && said.contains("Enter it above"), "{said}");
    assert_eq!(page.string("document.activeElement.id"), "key");
    page.shot("key");
    page.browser.type_into("#key", "wrong");
    page.browser.click("#retry");
    page.until("advice.textContent.includes('not accepted') || advice.textContent.includes('needs a key')");

    let key = page.server.command(&["key", "new", "bob"]);
    page.browser.run("document.getElementById('key').value = ''");
    page.browser.type_into("#key", &key);
    let known = |server: &crate::harness::Server| {
        server.get_with("/v1/quota", &[("Authorization", &key)]).status == 200
    };
    page.server.until("the key is known", known);
    page.browser.click("#retry");
    page.until_done();
    // The page remembers the key for the next photograph and after a reload.
    page.browser.open(&page.server.url("/"));
    page.choose_picture("photo.png", &Picture::png(64, 64, 2));
    page.until_done();
    assert!(page.requests().iter().all(|path| !path.contains(&key)));
    assert!(!page.server.said().contains(&key));
    page.finish(&["status of 401"]);
}

#[test]
fn without_required_keys_the_key_field_is_hidden() {
    let page = Page::open();
    assert!(!page.is_seen("#key"));
    page.finish(&[]);
}
