//! The metadata of an upload is never sent to providers, and by default it is not returned over HTTP. A rendition
//! contains only a mark in XMP, unless a request asks for more.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::algorithmia::before_local;
use crate::fakes::algorithmia::Algorithmia;
use crate::harness::{Picture, Server, Setup};

/// Metadata that must never leave the gateway.
pub const SECRET: &[u8] = b"taken by Ada at 41.3874 N, 2.1686 E";

/// The mark's value of `DigitalSourceType` (IPTC): a photograph that was changed by a trained algorithm.
const SOURCE_TYPE: &[u8] = b"http://cv.iptc.org/newscodes/digitalsourcetype/";

pub fn has(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|part| part == wanted)
}

/// EXIF data with the secret as its description, an orientation of a quarter turn, and coordinates.
fn exif() -> Vec<u8> {
    const DESCRIPTION: u32 = 8 + 2 + 3 * 12 + 4;
    let gps = DESCRIPTION + SECRET.len() as u32 + 1 + (SECRET.len() as u32 + 1) % 2;
    let entry = |tag: u16, kind: u16, count: u32, value: u32| {
        let (tag, kind) = (tag.to_le_bytes(), kind.to_le_bytes());
        [&tag[..], &kind, &count.to_le_bytes(), &value.to_le_bytes()].concat()
    };
    let mut bytes = [b"II*\0\x08\0\0\0", &3_u16.to_le_bytes()[..]].concat();
    bytes.extend(entry(0x010E, 2, SECRET.len() as u32 + 1, DESCRIPTION));
    bytes.extend(entry(0x0112, 3, 1, 6));
    bytes.extend(entry(0x8825, 4, 1, gps));
    bytes.extend([0; 4]);
    bytes.extend(SECRET);
    bytes.resize(gps as usize, 0);
    bytes.extend(2_u16.to_le_bytes());
    bytes.extend(entry(0x0001, 2, 2, u32::from(b'N')));
    bytes.extend(entry(0x0002, 5, 3, gps + 2 + 2 * 12 + 4));
    bytes.extend([0; 4]);
    bytes.extend([41, 1, 23, 1, 15, 1_u32].iter().flat_map(|number| number.to_le_bytes()));
    bytes
}

/// An XMP packet with the secret.
fn xmp() -> Vec<u8> {
    let secret = std::str::from_utf8(SECRET).unwrap();
    format!(
        "<x:xmpmeta xmlns:x=\"adobe:ns:meta/\"><rdf:RDF \
         xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\"><rdf:Description rdf:about=\"\" \
         xmlns:dc=\"http://purl.org/dc/elements/1.1/\"><dc:source>{secret}</dc:source></rdf:Description>\
         </rdf:RDF></x:xmpmeta>"
    )
    .into_bytes()
}

/// A JPEG with the secret in EXIF, in XMP and in a comment, with coordinates and with an orientation of a quarter turn.
pub fn with_metadata(picture: Picture) -> Picture {
    let segments = [
        crate::make::segment(0xE1, &[b"Exif\0\0", &exif()[..]].concat()),
        crate::make::segment(0xE1, &[b"http://ns.adobe.com/xap/1.0/\0", &xmp()[..]].concat()),
        crate::make::segment(0xFE, SECRET),
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
    ["jpeg", "png", "webp", "tiff"].map(rendition).into()
}

#[test]
fn metadata_is_neither_forwarded_nor_returned() {
    let fake = Algorithmia::start();
    let server = before_local(&fake.url(), "").start();
    for (format, file) in renditions(&server) {
        assert!(!has(&file, SECRET) && !has(&file, b"Exif"), "{format}");
    }
    let input: Value = serde_json::from_slice(&fake.last_call().body).unwrap();
    let url = input["image"].as_str().unwrap();
    let sent = STANDARD.decode(url.split_once(',').unwrap().1).unwrap();
    assert!(image::load_from_memory(&sent).is_ok());
    assert!(!has(&sent, SECRET) && !has(&sent, b"Exif"));
}

#[test]
fn metadata_is_not_returned_with_a_color_photo() {
    let server = Server::start();
    let color = Picture::in_color(160, 120, 5);
    let picture = with_metadata(Picture::new(color.clone(), image::ImageFormat::Jpeg));
    for format in ["jpeg", "png", "webp", "tiff"] {
        let path = format!("/v1/colorize?format={format}");
        let answer = server.post(&path, &[("Content-Type", "image/jpeg")], &picture.bytes);
        assert_eq!(answer.header("x-pixcolor-input"), "colour");
        for forbidden in [SECRET, b"Exif", SOURCE_TYPE] {
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
fn a_color_photo_is_returned_with_the_requested_metadata_and_no_mark() {
    let server = Server::start();
    let picture = with_metadata(Picture::new(Picture::in_color(160, 120, 5), image::ImageFormat::Jpeg));
    for format in ["jpeg", "png", "webp", "tiff"] {
        let path = format!("/v1/colorize?format={format}&metadata=keep");
        let answer = server.post(&path, &[("Content-Type", "image/jpeg")], &picture.bytes);
        assert_eq!(answer.header("x-pixcolor-input"), "colour");
        assert!(has(&answer.body, SECRET) && !has(&answer.body, SOURCE_TYPE), "{format}");
    }
}

#[test]
fn a_rendition_says_that_a_network_colored_it_and_which() {
    let server = Server::start();
    let model = server.colorize(&Picture::png(32, 32, 1)).header("x-pixcolor-model").to_owned();
    assert!(!model.is_empty());
    for (format, file) in renditions(&server) {
        for part in [SOURCE_TYPE, b"PixColor", model.as_bytes()] {
            assert!(has(&file, part), "{format}: {}", String::from_utf8_lossy(part));
        }
        assert!(!has(&file, SECRET), "{format}");
    }
}

#[test]
fn the_mark_can_be_turned_off() {
    let server = Setup::new().env("PIXCOLOR_OUTPUT__MARK", "false").start();
    let model = server.colorize(&Picture::png(32, 32, 1)).header("x-pixcolor-model").to_owned();
    for (format, file) in renditions(&server) {
        for part in [SOURCE_TYPE, b"PixColor", model.as_bytes(), b"xmpmeta"] {
            assert!(!has(&file, part), "{format}: {}", String::from_utf8_lossy(part));
        }
    }
}
