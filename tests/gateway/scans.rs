//! `pixcolor colorize` with what scanners write: TIFF with 16 bits, several pages, metadata, prints on their side, large
//! files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use image::{DynamicImage, ImageBuffer, ImageFormat, Luma};
use serde_json::Value;
use tiff::decoder::Decoder;
use tiff::encoder::{TiffEncoder, colortype};

use crate::harness::Picture;
use crate::harness::server::pixcolor;

#[track_caller]
fn colorize(folder: &Path, args: &[&str]) -> String {
    let output = pixcolor(folder).arg("colorize").args(args).output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "{said}");
    said
}

fn refused(folder: &Path, args: &[&str]) -> String {
    let output = pixcolor(folder).arg("colorize").args(args).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    said
}

/// A 16-bit ramp with waves, so that it has more than 256 grey values.
fn ramp(width: u32, height: u32, page: u32) -> Vec<u16> {
    let value = |i: u32| {
        let (x, y) = ((i % width) as f64 / width as f64, (i / width) as f64 / height as f64);
        (12_000.0 + 40_000.0 * x + 8_000.0 * (6.0 * y + page as f64).sin()) as u16
    };
    (0..width * height).map(value).collect()
}

/// A grey 16-bit TIFF whose pages are 60, 61, 62 ... pixels wide.
fn tiff(path: &Path, pages: u32) {
    let mut file = TiffEncoder::new(fs::File::create(path).unwrap()).unwrap();
    for page in 0..pages {
        file.write_image::<colortype::Gray16>(60 + page, 40, &ramp(60 + page, 40, page)).unwrap();
    }
}

/// Width and bits per sample of each page.
fn pages(path: &Path) -> Vec<(u32, u8)> {
    let mut file = Decoder::new(fs::File::open(path).unwrap()).unwrap();
    let mut pages = Vec::new();
    loop {
        let bits = match file.colortype().unwrap() {
            tiff::ColorType::RGB(bits) => bits,
            other => panic!("{other:?}"),
        };
        pages.push((file.dimensions().unwrap().0, bits));
        if !file.more_images() {
            return pages;
        }
        file.next_image().unwrap();
    }
}

#[test]
fn a_tiff_gives_a_tiff_with_all_its_pages() {
    let folder = tempfile::tempdir().unwrap();
    let result = folder.path().join("album-coloured.tif");
    tiff(&folder.path().join("album.tif"), 5);
    colorize(folder.path(), &["album.tif"]);
    assert_eq!(pages(&result), [(60, 8), (61, 8), (62, 8), (63, 8), (64, 8)]);
    colorize(folder.path(), &["album.tif", "--pages", "4,1-2", "--depth", "16"]);
    assert_eq!(pages(&result), [(63, 16), (60, 16), (61, 16)]);
    colorize(folder.path(), &["album.tif", "--pages", "3", "--format", "png"]);
    assert_eq!(image::open(folder.path().join("album-coloured.png")).unwrap().width(), 62);
    let said = refused(folder.path(), &["album.tif", "--format", "jpeg"]);
    assert!(said.contains("5 pages do not fit into one jpeg") && said.contains("--pages N"), "{said}");
    let said = refused(folder.path(), &["album.tif", "--pages", "5-7", "--force"]);
    assert!(said.contains("there is no page 6"), "{said}");
}

#[test]
fn sixteen_bits_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let gray: ImageBuffer<Luma<u16>, _> = ImageBuffer::from_raw(400, 300, ramp(400, 300, 0)).unwrap();
    DynamicImage::from(gray).save_with_format(folder.path().join("scan.png"), ImageFormat::Png).unwrap();
    fs::write(folder.path().join("photo.jpg"), Picture::jpeg(64, 48, 1).bytes).unwrap();
    for format in ["png", "tiff"] {
        let said = colorize(folder.path(), &["scan.png", "--depth", "16", "--format", format]);
        let name = said.split(": coloured").next().unwrap();
        let picture = image::open(folder.path().join(name)).unwrap();
        assert!(matches!(picture, DynamicImage::ImageRgb16(_)), "{format}");
        let luma: std::collections::BTreeSet<u16> =
            picture.to_luma16().pixels().map(|pixel| pixel.0[0]).collect();
        assert!(luma.len() > 4000, "{format}: {} values", luma.len());
    }
    let said = refused(folder.path(), &["photo.jpg", "--depth", "16"]);
    assert!(said.contains("a jpeg has 8 bits per sample: add `--format tiff`"), "{said}");
    let output =
        pixcolor(folder.path()).args(["colorize", "photo.jpg", "--depth", "16", "--format", "webp"]).output();
    assert_eq!(output.unwrap().status.code(), Some(2));
}

/// What exiftool reads in a file, by group and name.
fn exiftool(path: &Path) -> Value {
    let output = Command::new("exiftool").args(["-j", "-G1", "-a", "-n"]).arg(path).output().unwrap();
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    list[0].clone()
}

/// A JPEG with metadata that exiftool wrote.
fn tagged(folder: &Path) -> PathBuf {
    let path = folder.join("print.jpg");
    fs::write(&path, Picture::jpeg(80, 60, 1).bytes).unwrap();
    let tags = [
        "-EXIF:Artist=Ada",
        "-EXIF:DateTimeOriginal=1931:05:06 12:00:00",
        "-EXIF:Orientation#=6",
        "-EXIF:GPSLatitude=41.3874",
        "-EXIF:GPSLatitudeRef=N",
        "-EXIF:XResolution=600",
        "-EXIF:YResolution=600",
        "-IPTC:Headline=The harbour",
        "-IPTC:City=Barcelona",
        "-XMP-dc:Title=Boats",
        "-XMP-photoshop:City=Barcelona",
    ];
    let status =
        Command::new("exiftool").args(["-q", "-overwrite_original"]).args(tags).arg(&path).status().unwrap();
    assert!(status.success());
    path
}

#[test]
fn metadata_is_kept_without_location_or_stripped_as_asked() {
    let folder = tempfile::tempdir().unwrap();
    tagged(folder.path());
    for (format, extension) in [("jpeg", "jpg"), ("png", "png"), ("webp", "webp"), ("tiff", "tif")] {
        for (policy, kept, located) in
            [("keep", true, true), ("keep-without-location", true, false), ("strip", false, false)]
        {
            let args = ["print.jpg", "-o", policy, "--format", format, "--metadata", policy];
            colorize(folder.path(), &args);
            let path = folder.path().join(policy).join(format!("print-coloured.{extension}"));
            let tags = exiftool(&path);
            let has = |name: &str| tags.as_object().unwrap().keys().any(|key| key.ends_with(name));
            assert_eq!(tags["IFD0:Artist"] == "Ada", kept, "{format} {policy}: {tags}");
            assert_eq!(tags["XMP-dc:Title"] == "Boats", kept, "{format} {policy}: {tags}");
            assert_eq!(has(":Headline"), kept, "{format} {policy}: {tags}");
            assert_eq!(has(":GPSLatitude"), located, "{format} {policy}: {tags}");
            let bytes = fs::read(&path).unwrap();
            assert_eq!(bytes.windows(9).any(|part| part == b"Barcelona"), located, "{format} {policy}");
            if kept {
                assert_eq!(
                    (&tags["IFD0:Orientation"], &tags["IFD0:XResolution"]),
                    (&1.into(), &600.into()),
                    "{tags}"
                );
                assert!(has("ProfileDescription") || format == "png", "{format}: {tags}");
            }
            // The mark does not depend on the policy.
            let source = &tags["XMP-iptcExt:DigitalSourceType"];
            assert!(
                source.as_str().is_some_and(|it| it.ends_with("compositeWithTrainedAlgorithmicMedia")),
                "{tags}"
            );
            assert!(
                tags["XMP-xmp:CreatorTool"].as_str().is_some_and(|it| it.starts_with("PixColor ")),
                "{tags}"
            );
            assert!(!has(":Warning") && !has(":Error"), "{format} {policy}: {tags}");
            let size = image::open(&path).unwrap();
            assert_eq!((size.width(), size.height()), (60, 80), "{format} {policy}");
        }
    }
}

#[test]
fn prints_that_lie_on_their_side_are_rotated_after_their_own_orientation() {
    let folder = tempfile::tempdir().unwrap();
    tagged(folder.path());
    for (degrees, size) in [("90", (80, 60)), ("180", (60, 80)), ("270", (80, 60))] {
        colorize(folder.path(), &["print.jpg", "-o", degrees, "--rotate", degrees]);
        let path = folder.path().join(degrees).join("print-coloured.jpg");
        let picture = image::open(&path).unwrap();
        assert_eq!((picture.width(), picture.height()), size, "{degrees}");
        assert_eq!(exiftool(&path)["IFD0:Orientation"], 1, "{degrees}");
    }
}

#[test]
fn a_file_above_the_limit_of_the_command_line_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.jpg"), Picture::jpeg(320, 240, 1).bytes).unwrap();
    let run = |limit: &str| {
        let mut command = pixcolor(folder.path());
        command.args(["colorize", "a.jpg", "--force"]).env("PIXCOLOR_LIMITS__FILE_BYTES", limit);
        // The limit of uploads is not that of files.
        command.env("PIXCOLOR_LIMITS__UPLOAD_BYTES", "1024");
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(run("1 MiB"), (Some(0), String::new()));
    let (code, said) = run("1024");
    assert!(code == Some(1) && said.contains("`limits.file_bytes` is 1024"), "{said}");
}
