//! The page's main path in WebKit, the engine of Safari.

use crate::batch::{thirty_files, troubled};
use crate::harness::wait::until;
use crate::harness::{Picture, Setup};
use crate::page::Page;

/// The requests among these that send a photograph.
fn uploads(requests: &[String]) -> usize {
    requests.iter().filter(|path| path.starts_with("/v1/colorize")).count()
}

#[test]
fn a_chosen_file_is_colored_and_downloaded_in_webkit() {
    let page = Page::webkit(Setup::new());
    page.choose_picture("grandmother.jpg", &Picture::jpeg(900, 600, 1));
    page.until_done();
    assert!(page.colorfulness("original") < 1.0);
    assert!(page.colorfulness("result") > 5.0);
    page.shot("webkit-done");
    assert_eq!(uploads(&page.requests()), 1);

    page.browser.click("#download");
    let file = page.browser.downloaded("grandmother-coloured.jpg");
    // The browser creates the file before it writes the content.
    let picture = || image::load_from_memory(&std::fs::read(&file).ok()?).ok();
    until("the download is whole and has the name of the original", || picture().is_some());
    assert_eq!(picture().map(|picture| (picture.width(), picture.height())), Some((900, 600)));
    page.finish(&[]);
}

#[test]
fn a_cached_photograph_is_not_sent_again_in_webkit() {
    let page = Page::webkit(Setup::new());
    let picture = Picture::jpeg(600, 400, 3);
    page.choose_picture("first.jpg", &picture);
    page.until_done();
    assert_eq!(uploads(&page.requests()), 1);

    page.visit();
    page.choose_picture("second.jpg", &picture);
    page.until("lab.dataset.phase === 'done' && download.download === 'second-coloured.jpg'");
    let requests = page.requests();
    assert_eq!(uploads(&requests), 0, "{requests:?}");
    assert!(requests.iter().any(|path| path.starts_with("/v1/results/sha256/")), "{requests:?}");
    assert!(page.text("#facts").contains("coloured before"), "{}", page.text("#facts"));
    assert!(page.colorfulness("result") > 5.0);
    page.finish(&[]);
}

#[test]
fn many_files_are_colored_with_trouble_in_the_middle_in_webkit() {
    thirty_files(Page::webkit(troubled()), |_| ());
}
