use std::io::Cursor;

use proptest::prelude::*;
use tiff::encoder::{TiffEncoder, colortype};

use super::exif::{Entries, Value, tag};
use super::*;
use crate::photo::ifd;

const SIZE: (u32, u32) = (48, 32);

fn tags(bytes: &[u8], policy: MetadataPolicy) -> Tags {
    rendition_tags(bytes, &DecodeOptions::default(), policy, None, SIZE)
}

fn mark() -> Mark {
    Mark { model: "model".to_owned(), version: None }
}

fn text(text: &str) -> Value {
    Value { kind: exif::ASCII, bytes: [text.as_bytes(), &[0]].concat() }
}

/// EXIF data with every directory. Its maker note is at position 700.
fn sample(little_endian: bool) -> Exif {
    let long = |number| Value::long(number, little_endian);
    let short = |number| Value::short(number, little_endian);
    let rational = |n| Value::rational((n, 1), little_endian);
    Exif {
        little_endian,
        primary: Entries::from([
            (271, text("Canon")),
            (tag::ORIENTATION, short(6)),
            (tag::X_RESOLUTION, rational(300)),
            (tag::Y_RESOLUTION, rational(150)),
            (tag::RESOLUTION_UNIT, short(2)),
        ]),
        exif: Entries::from([
            (0x829A, rational(7)),
            (tag::MAKER_NOTE, Value::undefined(b"a note that is not relative".to_vec())),
            (
                0x9286,
                Value::undefined(
                    [b"UNICODE\0".as_slice(), if little_endian { b"a\0" } else { b"\0a" }].concat(),
                ),
            ),
            (tag::COLOR_SPACE, short(0xFFFF)),
            (tag::PIXEL_X_DIMENSION, long(32)),
            (tag::PIXEL_Y_DIMENSION, long(48)),
        ]),
        gps: Entries::from([(0, Value { kind: exif::BYTE, bytes: vec![2, 3, 0, 0] }), (2, rational(35))]),
        interop: Entries::from([(tag::INTEROP_INDEX, text("R03"))]),
        maker_note_at: Some(700),
    }
}

/// A JPEG's segments with these bodies.
fn jpeg(bodies: &[(u8, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0xFF, 0xD8];
    for (marker, body) in bodies {
        bytes.extend([0xFF, *marker]);
        bytes.extend((body.len() as u16 + 2).to_be_bytes());
        bytes.extend(*body);
    }
    bytes.extend([0xFF, 0xD9]);
    bytes
}

fn jpeg_with(exif: &Exif) -> Vec<u8> {
    jpeg(&[(0xE1, &[b"Exif\0\0".as_slice(), &exif.to_blob()].concat())])
}

fn exif_of(jpeg: &[u8]) -> Exif {
    Upload::of(jpeg, &DecodeOptions::default()).exif.unwrap()
}

/// A JPEG with the segments of a rendition.
fn rewritten(tags: &Tags) -> Vec<u8> {
    let segments = tags.jpeg_segments();
    jpeg(&segments.iter().map(|(marker, body)| (*marker, body.as_slice())).collect::<Vec<_>>())
}

#[test]
fn exif_is_read_as_it_was_written() {
    for little_endian in [false, true] {
        let exif = sample(little_endian);
        let blob = exif.to_blob();
        assert_eq!(Exif::of_blob(&blob), Some(exif.clone()));
        assert!(blob[700..].starts_with(b"a note"), "the maker note is at its position");
        assert_eq!(exif.in_order(!little_endian), sample(!little_endian));
    }
}

#[test]
fn exif_describes_the_rendition() {
    let upload = sample(true);
    let kept = exif_of(&rewritten(&tags(&jpeg_with(&upload), MetadataPolicy::Keep)));
    let mut wanted = upload.clone();
    let short = |number| Value::short(number, true);
    wanted.primary.insert(tag::ORIENTATION, short(1));
    wanted.primary.insert(tag::X_RESOLUTION, Value::rational((150, 1), true));
    wanted.primary.insert(tag::Y_RESOLUTION, Value::rational((300, 1), true));
    wanted.exif.insert(tag::COLOR_SPACE, short(1));
    wanted.exif.insert(tag::PIXEL_X_DIMENSION, Value::long(48, true));
    wanted.exif.insert(tag::PIXEL_Y_DIMENSION, Value::long(32, true));
    wanted.interop.insert(tag::INTEROP_INDEX, text("R98"));
    assert_eq!(kept, wanted);
    let elsewhere = exif_of(&rewritten(&tags(&jpeg_with(&upload), MetadataPolicy::KeepWithoutLocation)));
    wanted.gps.clear();
    wanted.exif.remove(&tag::MAKER_NOTE);
    assert_eq!(elsewhere, Exif { maker_note_at: None, ..wanted });
}

#[test]
fn a_client_s_rotation_counts_for_the_resolution() {
    let upload = jpeg_with(&sample(true));
    let options = DecodeOptions { rotation: Rotation::ThreeQuarters, ..DecodeOptions::default() };
    let kept = exif_of(&rewritten(&rendition_tags(&upload, &options, MetadataPolicy::Keep, None, SIZE)));
    assert_eq!(kept.primary.get(&tag::X_RESOLUTION), sample(true).primary.get(&tag::X_RESOLUTION));
}

#[test]
fn strip_leaves_nothing_but_the_mark() {
    let upload = jpeg_with(&sample(true));
    assert_eq!(tags(&upload, MetadataPolicy::Strip), Tags::default());
    let marked =
        rendition_tags(&upload, &DecodeOptions::default(), MetadataPolicy::Strip, Some(&mark()), SIZE);
    assert!(marked.xmp.is_some());
    assert_eq!(Tags { xmp: None, ..marked }, Tags::default());
    let header = (0xE0, b"JFIF\0\x01\x02\0\0\x01\0\x01\0\0".to_vec());
    assert_eq!(Tags::default().jpeg_segments(), [header]);
}

#[test]
fn the_mark_is_written_even_if_the_upload_s_xmp_is_broken() {
    let upload = jpeg(&[(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta")]);
    let marked =
        rendition_tags(&upload, &DecodeOptions::default(), MetadataPolicy::Keep, Some(&mark()), SIZE);
    let mut own = Packet::default();
    own.add_mark(&mark());
    assert_eq!(marked.xmp, Some(own));
}

#[test]
fn data_that_is_too_long_for_a_jpeg_loses_its_largest_values() {
    let mut exif = sample(true);
    exif.primary.insert(270, text(&"d".repeat(60_000)));
    exif.exif.insert(tag::MAKER_NOTE, Value::undefined(vec![7; 20_000]));
    let written = exif_of(&rewritten(&Tags { exif: Some(exif.clone()), ..Tags::default() }));
    assert!(written.primary.contains_key(&270) && !written.exif.contains_key(&tag::MAKER_NOTE));
    exif.primary.insert(270, text(&"d".repeat(70_000)));
    let written = exif_of(&rewritten(&Tags { exif: Some(exif), ..Tags::default() }));
    assert!(!written.primary.contains_key(&270) && written.gps.len() == 2);
    let mut iptc = Vec::new();
    for (number, length) in [(120, 32_000_u16), (25, 30_000), (122, 5_000), (5, 10)] {
        iptc.extend([0x1C, 2, number]);
        iptc.extend(length.to_be_bytes());
        iptc.extend(vec![b'x'; length.into()]);
    }
    let iptc = Iptc::of(&iptc);
    let upload = rewritten(&Tags { iptc: Some(iptc.clone()), ..Tags::default() });
    let written = Iptc::of(&Upload::of(&upload, &DecodeOptions::default()).iptc);
    assert_eq!([120, 25, 5].map(|number| written.texts(number).len()), [0, 1, 1]);
}

#[test]
fn iptc_that_names_places_is_dropped() {
    let mut sets = Vec::new();
    for number in [5, 26, 27, 90, 92, 95, 100, 101, 120, 200] {
        sets.extend([0x1C, 2, number, 0, 1, number]);
    }
    // A length of four bytes, and a data set that is cut off.
    sets.extend([0x1C, 2, 25, 0x80, 4, 0, 0, 0, 1, b'k', 0x1C, 2, 40, 0, 9, b'x']);
    let mut iptc = Iptc::of(&sets);
    assert_eq!(Iptc::of(&iptc.to_bytes()), iptc);
    assert_eq!([90, 25, 200, 40].map(|number| iptc.texts(number).len()), [1, 1, 0, 0]);
    iptc.drop_location();
    assert_eq!(
        iptc.to_bytes(),
        [[0x1C, 2, 5, 0, 1, 5], [0x1C, 2, 120, 0, 1, 120], [0x1C, 2, 25, 0, 1, b'k']].concat()
    );
}

#[test]
fn the_resolution_is_the_same_in_every_unit() {
    let of_meters = |x| Resolution::of_meters(x, x).unwrap();
    for inches in [72, 96, 300, 600, 1200, 2400] {
        let resolution = Resolution::of_jfif(1, inches, inches).unwrap();
        let (meters, _) = resolution.to_meters().unwrap();
        assert_eq!(of_meters(meters), resolution);
        assert_eq!(resolution.to_jfif(), Some((1, inches, inches)));
        let entries = Entries::from(resolution.to_tags(true));
        assert_eq!(Resolution::of_tags(&entries, true), Some(resolution));
    }
    assert_eq!(of_meters(12_345).to_jfif(), Some((2, 123, 123)));
    assert_eq!(of_meters(12_345).to_meters(), Some((12_345, 12_345)));
    for nothing in [Resolution::of_jfif(0, 1, 1), Resolution::of_jfif(1, 0, 0), Resolution::of_meters(0, 0)] {
        assert_eq!(nothing, None);
    }
    let pixels = Resolution::of_jfif(0, 2, 1).unwrap();
    assert_eq!((pixels.to_jfif(), pixels.turned().to_jfif()), (Some((0, 2, 1)), Some((0, 1, 2))));
    assert_eq!(Resolution { x: (100_000, 1), ..pixels }.to_jfif(), None);
}

#[test]
fn a_tiff_contains_all_metadata() {
    let mut upload = sample(false);
    upload.primary.insert(33_000, Value { kind: 12, bytes: 2.5_f64.to_be_bytes().to_vec() });
    let mut tags = Tags {
        exif: Some(upload.clone()),
        iptc: Some(Iptc::of(&[0x1C, 2, 5, 0, 1, b'x'])),
        ..Tags::default()
    };
    tags.xmp.get_or_insert_default().add_mark(&mark());
    for big in [false, true] {
        let file = tiff(&tags, big);
        let read = super::read::Upload::of(&file, &DecodeOptions::default());
        assert_eq!(read.exif.as_ref(), Some(&upload.in_order(cfg!(target_endian = "little"))));
        assert!(file[700..].starts_with(b"a note"));
        assert_eq!(Some(Iptc::of(&read.iptc)), tags.iptc);
        assert_eq!(Packet::of(&read.xmp, false), tags.xmp);
        let profile = ifd::pages(&file).page(1).unwrap().field(tag::ICC_PROFILE.into()).unwrap();
        assert_eq!(profile.values(), Some(profile::srgb()));
    }
    let plain = tiff(&Tags { resolution: Resolution::of_jfif(1, 300, 150), ..Tags::default() }, false);
    let read = Upload::of(&plain, &DecodeOptions::default());
    assert_eq!(read.resolution, Resolution::of_jfif(1, 300, 150));
}

/// A TIFF of one pixel.
fn tiff(tags: &Tags, big: bool) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    if big {
        let mut encoder = TiffEncoder::new_big(&mut file).unwrap();
        let mut image = encoder.new_image::<colortype::RGB8>(1, 1).unwrap();
        tags.write_tiff(image.encoder()).unwrap();
        image.write_data(&[1, 2, 3]).unwrap();
    } else {
        let mut encoder = TiffEncoder::new(&mut file).unwrap();
        let mut image = encoder.new_image::<colortype::RGB8>(1, 1).unwrap();
        tags.write_tiff(image.encoder()).unwrap();
        image.write_data(&[1, 2, 3]).unwrap();
    }
    file.into_inner()
}

#[test]
fn a_maker_note_that_cannot_stay_is_dropped_unless_it_can_be_moved() {
    let mut exif = sample(true);
    exif.maker_note_at = Some(1 << 20);
    assert!(!Exif::of_blob(&exif.to_blob()).unwrap().exif.contains_key(&tag::MAKER_NOTE));
    exif.exif.insert(tag::MAKER_NOTE, Value::undefined(b"Apple iOS\0\0\x01MM".to_vec()));
    assert!(Exif::of_blob(&exif.to_blob()).unwrap().exif.contains_key(&tag::MAKER_NOTE));
}

#[test]
fn the_profile_is_srgb() {
    let profile = moxcms::ColorProfile::new_from_slice(profile::srgb()).unwrap();
    assert_eq!(profile.color_space, moxcms::DataColorSpace::Rgb);
    assert!(profile::srgb().len() < 5000);
}

#[test]
fn a_directory_whose_values_overlap_is_read_in_bounds() {
    // 4,000 entries that all claim the same 60,000 bytes.
    let mut bytes = b"II\x2A\0\x08\0\0\0\xA0\x0F".to_vec();
    for number in 0..4000_u16 {
        bytes.extend((28_000 + number).to_le_bytes());
        bytes.extend([7, 0]);
        bytes.extend(60_000_u32.to_le_bytes());
        bytes.extend(8_u32.to_le_bytes());
    }
    bytes.resize(100_000, 0);
    let exif = Exif::of_blob(&bytes).unwrap();
    assert!((1..40).contains(&exif.primary.len()), "{}", exif.primary.len());
}

/// Real metadata in every format.
fn files() -> Vec<Vec<u8>> {
    let mut all = Tags {
        exif: Some(sample(true)),
        iptc: Some(Iptc::of(&[0x1C, 2, 5, 0, 1, b'x'])),
        resolution: Resolution::of_jfif(1, 300, 150),
        profile: true,
        ..Tags::default()
    };
    all.xmp.get_or_insert_default().add_mark(&mark());
    let mut png = Vec::new();
    let mut encoder = png::Encoder::new(&mut png, 1, 1);
    all.add_to_png(&mut encoder).unwrap();
    let mut writer = encoder.write_header().unwrap();
    all.write_to_png(&mut writer).unwrap();
    writer.write_image_data(&[0]).unwrap();
    writer.finish().unwrap();
    let planes = webpx::YuvPlanes::new(16, 16, false);
    let config = all.add_to_webp(webpx::EncoderConfig::new());
    let encoder = webpx::Encoder::new_yuv(webpx::YuvPlanesRef::from(&planes)).config(config);
    let webp = encoder.encode(webpx::Unstoppable).unwrap();
    vec![rewritten(&all), png, webp, tiff(&all, false), tiff(&all, true)]
}

#[test]
fn every_format_is_read_as_it_was_written() {
    for file in files() {
        let read = tags(&file, MetadataPolicy::Keep);
        let exif = read.exif.unwrap();
        assert_eq!((exif.exif.len(), exif.gps.len(), exif.interop.len()), (6, 2, 1), "{:?}", &file[..4]);
        assert!(read.xmp.is_some() && read.resolution.is_some(), "{:?}", &file[..4]);
        assert_eq!(read.iptc.is_some(), !file.starts_with(b"RIFF"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn arbitrary_bytes_never_panic(start in 0_usize..6, bytes: Vec<u8>) {
        let starts: [&[u8]; 6] = [
            b"\xFF\xD8\xFF\xE1\0\x40Exif\0\0II\x2A\0\x08\0\0\0", b"\x89PNG\r\n\x1A\n", b"RIFF\0\0\0\0WEBP",
            b"II\x2A\0\x08\0\0\0", b"MM\0\x2B\0\x08\0\0\0\0\0\0\0\0\0\x10", b"",
        ];
        kept_tags(&[starts[start], &bytes].concat(), &DecodeOptions::default(), false, SIZE);
        Iptc::of(&bytes).shrink(10);
        photoshop::iptc(&[b"8BIM", bytes.as_slice()].concat());
    }

    #[test]
    fn mutated_files_never_panic(
        file in 0_usize..5, changes: Vec<(prop::sample::Index, u8)>, cut: prop::sample::Index,
    ) {
        let mut bytes = files().swap_remove(file);
        for (index, byte) in changes {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        for bytes in [&bytes[..], &bytes[..cut.index(bytes.len())]] {
            let tags = kept_tags(bytes, &DecodeOptions::default(), true, SIZE);
            rewritten(&tags);
            tiff(&tags, false);
            let again = kept_tags(&rewritten(&tags), &DecodeOptions::default(), true, SIZE);
            prop_assert_eq!(again.iptc, tags.iptc);
        }
    }
}
