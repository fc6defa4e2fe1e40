//! The metadata of an upload is neither sent to providers nor returned. A rendition contains no metadata except, if so
//! configured, the name of its model.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::algorithmia::before_local;
use crate::fakes::algorithmia::Algorithmia;
use crate::harness::{Picture, Server, Setup};

/// Metadata that must never leave the gateway.
const SECRET: &[u8] = b"taken by Ada at 41.3874 N, 2.1686 E";

fn has(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|part| part == wanted)
}

/// A JPEG with the secret in EXIF, in XMP and in a comment, and with an orientation of a quarter turn.
fn with_metadata(picture: Picture) -> Picture {
    let segment = |marker: u8, name: &[u8]| {
        let length = (2 + name.len() + SECRET.len()) as u16;
        [&[0xFF, marker][..], &length.to_be_bytes(), name, SECRET].concat()
    };
    let segments = [
        segment(0xE1, &[b"Exif\0\0", &crate::make::exif(6)[..]].concat()),
        segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0"),
        segment(0xFE, b""),
    ];
    let bytes = [&picture.bytes[..2], &segments.concat(), &picture.bytes[2..]].concat();
    assert!(has(&bytes, SECRET));
    Picture { bytes, ..picture }
}

/// The rendition of such a JPEG in each format.
fn renditions(server: &Server) -> Vec<(&'static str, Vec<u8>)> {
    let picture = with_metadata(Picture::jpeg(160, 120, 5));
    let rendition = |format| {
        let path = format!("/v1/colorize?format={format}");
        let answer = server.post(&path, &[("Content-Type", "image/jpeg")], &picture.bytes);
        let upright = answer.picture();
        assert_eq!((upright.width(), upright.height()), (120, 160));
        (format, answer.body)
    };
    ["jpeg", "png", "webp"].map(rendition).into()
}

#[test]
fn metadata_is_neither_forwarded_nor_returned() {
    let fake = Algorithmia::start();
    let server = before_local(&fake.url(), "").start();
    for (format, file) in renditions(&server) {
        assert!(!has(&file, SECRET) && !has(&file, b"Exif") && !has(&file, b"coloured by"), "{format}");
    }
    let input: Value = serde_json::from_slice(&fake.last_call().body).unwrap();
    let url = input["image"].as_str().unwrap();
    let sent = STANDARD.decode(url.split_once(',').unwrap().1).unwrap();
    assert!(image::load_from_memory(&sent).is_ok());
    assert!(!has(&sent, SECRET) && !has(&sent, b"Exif"));
}

#[test]
fn metadata_is_not_returned_with_a_color_photo() {
    let server = Setup::new().env("PIXCOLOR_OUTPUT__MARK", "true").start();
    let color = Picture::in_color(160, 120, 5);
    let picture = with_metadata(Picture::new(color.clone(), image::ImageFormat::Jpeg));
    for format in ["jpeg", "png", "webp"] {
        let path = format!("/v1/colorize?format={format}");
        let answer = server.post(&path, &[("Content-Type", "image/jpeg")], &picture.bytes);
        assert_eq!(answer.header("x-pixcolor-input"), "colour");
        for forbidden in [SECRET, b"Exif", b"coloured by"] {
            assert!(!has(&answer.body, forbidden), "{format}");
        }
        // The picture is turned clockwise by a quarter turn and otherwise unchanged.
        let upright = image::imageops::rotate90(&color);
        let got = answer.picture().to_rgb8();
        assert_eq!(got.dimensions(), upright.dimensions());
        let off: u64 = got.iter().zip(upright.iter()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        assert!(off / (got.len() as u64) < 8, "{format}: {off}");
    }
}

#[test]
fn a_rendition_names_its_model_if_so_configured() {
    let server = Setup::new().env("PIXCOLOR_OUTPUT__MARK", "true").start();
    let model = server.colorize(&Picture::png(32, 32, 1)).header("x-pixcolor-model").to_owned();
    assert!(!model.is_empty());
    for (format, file) in renditions(&server) {
        assert!(has(&file, format!("coloured by {model}").as_bytes()), "{format}");
        assert!(!has(&file, SECRET), "{format}");
    }
}
