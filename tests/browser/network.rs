//! The page when the network or the gateway fails.

use crate::harness::Picture;
use crate::page::Page;

#[test]
fn the_page_goes_on_when_the_browser_is_online_again() {
    let page = Page::open();
    page.offline(true);
    page.choose_picture("photo.png", &Picture::png(64, 64, 1));
    page.until("document.querySelector('#wait-all').checkVisibility()");
    assert!(page.text("#wait-all").contains("cannot be reached"), "{}", page.text("#wait-all"));
    page.offline(false);
    page.until_done();
    page.finish(&["ERR_INTERNET_DISCONNECTED"]);
}

#[test]
fn the_open_page_works_with_a_restarted_gateway() {
    let mut page = Page::open();
    let picture = Picture::jpeg(60, 40, 1);
    page.choose_picture("before.jpg", &picture);
    page.until_done();
    page.restart_server();
    page.browser.click(".remove");
    page.choose_picture("after.jpg", &picture);
    page.until("lab.dataset.phase === 'done' && download.download === 'after-coloured.jpg'");
    assert!(page.text("#facts").contains("coloured before"), "{}", page.text("#facts"));
    page.finish(&[]);
}
