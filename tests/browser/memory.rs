//! The page's memory does not grow with the number of photographs.

use std::time::Duration;

use image::ImageFormat;

use crate::harness::wait::within;
use crate::harness::{Picture, Setup};
use crate::page::Page;

const MB: u64 = 1_000_000;

#[test]
fn photographs_that_were_replaced_take_no_memory() {
    let page = Page::open();
    let color = |seed: u32| {
        page.choose_picture(&format!("{seed}.jpg"), &Picture::jpeg(1200, 800, seed));
        page.until(&format!("lab.dataset.phase === 'done' && download.download === '{seed}-coloured.jpg'"));
    };
    color(1);
    let before = (page.heap_bytes(), page.browser.memory());
    for seed in 2..=9 {
        color(seed);
    }
    let after = (page.heap_bytes(), page.browser.memory());
    assert!(after.0 < before.0 + MB, "JavaScript's heap: {before:?} {after:?}");
    page.finish(&[]);
}

/// The heap of JavaScript and the memory of the tab stay far below the size of the photographs.
#[test]
#[ignore = "takes minutes"]
fn two_hundred_photographs_of_12_megapixels_do_not_fill_the_memory() {
    let page = Page::of(Setup::new().env("PIXCOLOR_QUOTA__ENABLED", "false"));
    let large = Picture::new(Picture::landscape(4000, 3000, 1), ImageFormat::Jpeg);
    let files: Vec<_> = (0..200u8)
        .map(|count| {
            // Bytes after the end change the file, and not the picture.
            let mut bytes = large.bytes.clone();
            bytes.push(count);
            page.file(&format!("{count:03}.jpg"), bytes)
        })
        .collect();
    page.choose_many(&files[..5]);
    page.until_tiles(5, 0);
    let (before, few) = (page.heap_bytes(), page.browser.memory().pages);
    page.choose_many(&files[5..]);
    let all = "document.querySelectorAll('[data-state=done]').length === 200";
    within(Duration::from_secs(1500), || page.text("#progress"), || page.browser.value(all) == true);
    let (after, many) = (page.heap_bytes(), page.browser.memory().pages);
    println!("heap {before} -> {after} bytes, tab {few} -> {many} bytes");
    assert!(after < before + (20 << 20), "the heap grew from {before} to {after} bytes");
    assert!(many < few + (300 << 20), "the tab grew from {few} to {many} bytes");
    page.finish(&[]);
}
