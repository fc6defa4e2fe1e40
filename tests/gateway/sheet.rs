//! `pixcolor sheet`: what a contact sheet shows, and which files it replaces.

use std::path::Path;
use std::process::Output;

use image::{DynamicImage, Rgb, RgbImage};

use crate::harness::Picture;
use crate::harness::picture::colorfulness;
use crate::harness::server::pixcolor;

/// The width and height of the pictures on a sheet: the test pictures are 4 to 3.
const CELL: (u32, u32) = (320, 240);
const MARGIN: u32 = 16;
/// Pixels between an original and its result, and between pairs.
const SEAM: u32 = 4;
const GAP: u32 = 16;
const CAPTION: u32 = 24;

#[track_caller]
fn run(folder: &Path, args: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = pixcolor(folder).args(args).output().unwrap();
    (status.code(), String::from_utf8([stdout, stderr].concat()).unwrap())
}

/// Runs a command that must succeed, and returns what it printed.
#[track_caller]
fn succeed(folder: &Path, args: &[&str]) -> String {
    let (code, said) = run(folder, args);
    assert_eq!(code, Some(0), "{said}");
    said
}

/// A folder with photographs in `scans`.
fn scans(files: &[(&str, Picture)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("scans")).unwrap();
    for (name, picture) in files {
        std::fs::write(folder.path().join("scans").join(name), &picture.bytes).unwrap();
    }
    folder
}

/// The cell of an original (0) or a result (1).
fn cell(sheet: &DynamicImage, pair: u32, half: u32) -> DynamicImage {
    let left = MARGIN + pair * (2 * CELL.0 + SEAM + GAP) + half * (CELL.0 + SEAM);
    sheet.crop_imm(left, MARGIN, CELL.0, CELL.1)
}

#[test]
fn a_sheet_shows_each_original_beside_its_result() {
    let folder = scans(&[("a.jpg", Picture::jpeg(64, 48, 1)), ("b.png", Picture::png(640, 480, 2))]);
    let folder = folder.path();
    succeed(folder, &["colorize", "scans", "-o", "out"]);
    assert_eq!(succeed(folder, &["sheet", "out"]), "sheet.jpg: 2 pairs\n");
    let sheet = image::open(folder.join("sheet.jpg")).unwrap();
    let width = 2 * (2 * CELL.0 + SEAM) + GAP + 2 * MARGIN;
    assert_eq!((sheet.width(), sheet.height()), (width, CELL.1 + CAPTION + 2 * MARGIN));
    for pair in [0, 1] {
        let (original, result) = (cell(&sheet, pair, 0), cell(&sheet, pair, 1));
        let colors = (colorfulness(&original), colorfulness(&result));
        assert!(colors.0 < 2.0 && colors.1 > 6.0, "{colors:?}");
        let (one, other) = (original.to_luma8(), result.to_luma8());
        let distance = one.iter().zip(other.iter()).map(|(one, other)| f64::from(one.abs_diff(*other)));
        let distance = distance.sum::<f64>() / f64::from(CELL.0 * CELL.1);
        assert!(distance < 10.0, "pair {pair} shows different pictures: {distance}");
        let caption = sheet.crop_imm(MARGIN + pair * 660, MARGIN + CELL.1, 644, CAPTION).to_luma8();
        assert!(caption.pixels().any(|pixel| pixel.0[0] < 90), "pair {pair} has no caption");
    }
}

/// A TIFF with 16 bits per sample and two pages; the first is in colour.
fn two_pages() -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let mut encoder = tiff::encoder::TiffEncoder::new(&mut bytes).unwrap();
    for picture in [DynamicImage::from(Picture::in_color(64, 48, 4)), Picture::landscape(64, 48, 4).into()] {
        let pixels = picture.to_rgb16();
        encoder.write_image::<tiff::encoder::colortype::RGB16>(64, 48, &pixels).unwrap();
    }
    bytes.into_inner()
}

#[test]
fn missing_and_damaged_files_are_counted_and_shown_as_grey_cells() {
    let pictures = (1..).map(|seed| Picture::png(64, 48, seed));
    let files: Vec<(&str, Picture)> =
        ["a.png", "b.png", "c.png", "d.png"].into_iter().zip(pictures).collect();
    let folder = scans(&files);
    let folder = folder.path();
    succeed(folder, &["colorize", "scans", "-o", "out"]);
    std::fs::remove_file(folder.join("scans/a.png")).unwrap();
    std::fs::remove_file(folder.join("out/b-coloured.png")).unwrap();
    std::fs::write(folder.join("out/c-coloured.png"), "rubbish").unwrap();
    std::fs::write(folder.join("out/d-coloured.png"), two_pages()).unwrap();
    let said = succeed(folder, &["sheet", "out", "-o", "sheet.png", "--columns", "3"]);
    assert!(said.contains("sheet.png: 3 pairs\n"), "{said}");
    assert!(said.contains("c-coloured.png: "), "{said}");
    let summary = "Results that are gone and left out: 1; originals that were not found: 1; pictures that cannot be \
                   shown: 1\n";
    assert!(said.contains(summary), "{said}");
    let sheet = image::open(folder.join("sheet.png")).unwrap();
    for (pair, half) in [(0, 0), (1, 1)] {
        let blank = cell(&sheet, pair, half).to_rgb8();
        assert!(blank.pixels().all(|pixel| [Rgb([0xD8; 3]), Rgb([0x22; 3])].contains(pixel)));
        assert!(blank.pixels().any(|pixel| *pixel == Rgb([0x22; 3])), "there are words");
    }
    for (pair, half, colored) in [(0, 1, true), (1, 0, false), (2, 0, false), (2, 1, true)] {
        let colors = colorfulness(&cell(&sheet, pair, half));
        assert!(if colored { colors > 6.0 } else { colors < 2.0 }, "cell {half} of pair {pair}: {colors}");
    }
}

#[test]
fn results_beside_their_originals_are_found_and_further_sheets_are_numbered() {
    let names: Vec<String> = (10..51).map(|number| format!("{number}.png")).collect();
    let files: Vec<(&str, Picture)> =
        names.iter().zip(1..).map(|(name, seed)| (name.as_str(), Picture::png(32, 24, seed))).collect();
    let folder = scans(&files);
    let folder = folder.path();
    succeed(folder, &["colorize", "scans", "--quiet"]);
    let said = succeed(folder, &["sheet", "scans", "-o", "page.webp"]);
    assert_eq!(said, "page.webp: 40 pairs\npage-2.webp: 1 pair\n");
    let sizes = ["page.webp", "page-2.webp"].map(|name| {
        let sheet = image::open(folder.join(name)).unwrap();
        (sheet.width(), sheet.height())
    });
    let height = |rows: u32| rows * (CELL.1 + CAPTION) + (rows - 1) * GAP + 2 * MARGIN;
    assert_eq!(sizes, [(2656, height(10)), (2656, height(1))]);
    // The sheets of an earlier run are replaced, and a page that is left of it is mentioned.
    std::fs::remove_file(folder.join("scans/10-coloured.png")).unwrap();
    let said = succeed(folder, &["sheet", "scans", "-o", "page.webp"]);
    assert!(
        said.contains("page.webp: 40 pairs\n") && said.contains("page-2.webp is of an earlier run"),
        "{said}"
    );
}

#[test]
fn wrong_folders_and_names_are_explained_and_other_files_are_not_replaced() {
    let folder = scans(&[("a.png", Picture::png(64, 48, 1))]);
    let folder = folder.path();
    let refused = |args: &[&str], words: &str| {
        let (code, said) = run(folder, args);
        assert!(code == Some(1) && said.contains(words), "{args:?}: {said}");
    };
    refused(&["sheet", "scans"], "scans has no results that `pixcolor colorize` has recorded");
    refused(&["sheet", "nowhere"], "nowhere: No such file");
    refused(&["sheet", "scans/a.png"], "scans/a.png is not a folder");
    succeed(folder, &["colorize", "scans", "-o", "out"]);
    refused(&["sheet", "out", "-o", "sheet.pdf"], ".jpg, .png or .webp");
    RgbImage::new(2, 2).save(folder.join("mine.png")).unwrap();
    refused(&["sheet", "out", "-o", "mine.png"], "mine.png exists and is not a contact sheet");
    assert_eq!(image::open(folder.join("mine.png")).unwrap().width(), 2);
    for extra in [&["--force"][..], &[]] {
        succeed(folder, &[&["sheet", "out", "-o", "mine.png"], extra].concat());
        assert_eq!(image::open(folder.join("mine.png")).unwrap().width(), 2 * CELL.0 + SEAM + 2 * MARGIN);
    }
    std::fs::remove_file(folder.join("out/a-coloured.png")).unwrap();
    refused(&["sheet", "out"], "every result that `colorize` wrote there is gone");
}
