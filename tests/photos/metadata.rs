//! Metadata held against `exiftool`: what it reads in an upload, it reads in the rendition, except for what describes
//! the upload's own pixels.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use image::{DynamicImage, ImageFormat};
use pixcolor::photo::{
    Chroma, DecodeOptions, EncodeOptions, Limits, Mark, MetadataPolicy, OutputFormat, Photo, encode,
    rendition_tags,
};
use serde_json::Value;

use crate::make;

/// The picture as it is stored; its orientation is 6, so upright it is higher than wide.
const SIZE: (u32, u32) = (64, 48);

const UPRIGHT: (u32, u32) = (48, 64);

const OUTPUTS: [(OutputFormat, &str); 4] = [
    (OutputFormat::Jpeg, "jpg"),
    (OutputFormat::Png, "png"),
    (OutputFormat::WebP, "webp"),
    (OutputFormat::Tiff, "tif"),
];

/// A word in every name of a place.
const PLACE: &str = "Zzyzxville";

type Tags = BTreeMap<String, Value>;

fn exiftool(arguments: &[&str], files: &[&Path]) -> Vec<u8> {
    let output = Command::new("exiftool").args(arguments).args(files).output();
    let output =
        output.unwrap_or_else(|error| panic!("exiftool of Debian's libimage-exiftool-perl: {error}"));
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "exiftool {arguments:?}: {words}");
    output.stdout
}

/// Everything that exiftool reads in each file.
fn tags(files: &[&Path]) -> Vec<Tags> {
    let json = exiftool(&["-j", "-G1", "-a", "-u", "-n", "-struct"], files);
    serde_json::from_slice(&json).unwrap()
}

/// A directory of a TIFF at a position, with its values after it: tag, type, count, and the value.
fn directory(entries: &[(u16, u16, u32, Vec<u8>)], at: usize, big: bool) -> Vec<u8> {
    let two = |number: u16| if big { number.to_be_bytes() } else { number.to_le_bytes() };
    let four = |number: u32| if big { number.to_be_bytes() } else { number.to_le_bytes() };
    let mut table = two(entries.len() as u16).to_vec();
    let mut values = Vec::new();
    for (tag, kind, count, value) in entries {
        table.extend([two(*tag), two(*kind)].concat());
        table.extend(four(*count));
        if value.len() <= 4 {
            table.extend(value);
            table.extend(vec![0; 4 - value.len()]);
        } else {
            table.extend(four((at + 2 + entries.len() * 12 + 4 + values.len()) as u32));
            values.extend(value);
        }
    }
    [table, vec![0; 4], values].concat()
}

/// A JPEG whose EXIF data has a maker note of Canon's, in which positions count from the TIFF header.
fn with_maker_note(big: bool) -> Vec<u8> {
    const EXIF_AT: usize = NOTE_AT - 18;
    const NOTE_AT: usize = 200;
    let four = |number: u32| if big { number.to_be_bytes().to_vec() } else { number.to_le_bytes().to_vec() };
    let text = |text: &str, length: usize| {
        let mut bytes = text.as_bytes().to_vec();
        bytes.resize(length, 0);
        bytes
    };
    let note = [
        (6, 2, 32, text("Canon EOS DIGITAL REBEL", 32)),
        (7, 2, 24, text("Firmware Version 1.1.1", 24)),
        (9, 2, 32, text("The owner", 32)),
        (12, 4, 1, four(560_018_150)),
    ];
    let note = directory(&note, NOTE_AT, big);
    let exif = [(0x927C, 7, note.len() as u32, note.clone())];
    // The only value comes right after its directory.
    let exif = directory(&exif, EXIF_AT, big);
    let primary = [
        (271, 2, 6, text("Canon", 6)),
        (272, 2, 24, text("Canon EOS DIGITAL REBEL", 24)),
        (0x8769, 4, 1, four(EXIF_AT as u32)),
    ];
    let mut blob = if big { b"MM\0\x2A\0\0\0\x08".to_vec() } else { b"II\x2A\0\x08\0\0\0".to_vec() };
    blob.extend(directory(&primary, 8, big));
    assert!(blob.len() <= EXIF_AT);
    blob.resize(EXIF_AT, 0);
    blob.extend(exif);
    let picture = make::file(&DynamicImage::ImageRgb8(make::scene(SIZE.0, SIZE.1)), ImageFormat::Jpeg);
    let segment = make::segment(0xE1, &[b"Exif\0\0", blob.as_slice()].concat());
    [&picture[..2], &segment, &picture[2..]].concat()
}

/// An XMP packet with a hundred properties of its own, and places in structures.
fn packet() -> String {
    let attributes: String = (0..50).map(|i| format!(" own:a{i}=\"&lt;value {i}\"")).collect();
    let elements: String =
        (50..100).map(|i| format!("<own:a{i}><rdf:Seq><rdf:li>{i}</rdf:li></rdf:Seq></own:a{i}>")).collect();
    format!(
        r#"<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
        <rdf:Description rdf:about="" xmlns:own="http://example.com/own/"{attributes}>{elements}</rdf:Description>
        </rdf:RDF></x:xmpmeta>"#
    )
}

/// The arguments with which exiftool adds metadata of every kind.
fn metadata(folder: &Path) -> Vec<String> {
    let xmp = folder.join("own.xmp");
    std::fs::write(&xmp, packet()).unwrap();
    let thumbnail = folder.join("thumbnail.jpg");
    std::fs::write(&thumbnail, make::small_jpeg()).unwrap();
    let mut arguments =
        vec![format!("-xmp<={}", xmp.display()), format!("-ThumbnailImage<={}", thumbnail.display())];
    let place = |tag: &str| format!("-{tag}={PLACE}");
    arguments.extend(
        [
            "-IFD0:Orientation#=6",
            "-IFD0:XResolution=300",
            "-IFD0:YResolution=150",
            "-IFD0:ResolutionUnit#=2",
            "-IFD0:ImageDescription=A d\u{E9}scription",
            "-IFD0:Artist=An artist",
            "-IFD0:Software=Some software",
            "-IFD0:XPTitle=\u{3C0}",
            "-ExifIFD:DateTimeOriginal=1926:05:01 12:00:00",
            "-ExifIFD:ExposureTime=1/60",
            "-ExifIFD:UserComment=\u{3C0} comment",
            "-ExifIFD:ColorSpace#=65535",
            "-ExifIFD:ExifImageWidth#=64",
            "-ExifIFD:ExifImageHeight#=48",
            "-ExifIFD:ShutterSpeedValue=1/60",
            "-ExifIFD:LensInfo=18 55 3.5 5.6",
            "-ExifIFD:BrightnessValue=-1.5",
            "-ExifIFD:Gamma=2.2",
            "-InteropIFD:InteropIndex=R03",
            "-GPS:GPSLatitude=35.14",
            "-GPS:GPSLatitudeRef=N",
            "-GPS:GPSLongitude=116.1",
            "-GPS:GPSLongitudeRef=W",
            "-GPS:GPSAltitude=287",
            "-GPS:GPSProcessingMethod=A method",
            "-IPTC:CodedCharacterSet=UTF8",
            "-IPTC:ObjectName=T\u{EF}tle",
            "-IPTC:Keywords=one",
            "-IPTC:Keywords=two",
            "-IPTC:By-line=A photographer",
            "-IPTC:DateCreated=1926:05:01",
            "-IPTC:Caption-Abstract=A caption",
            "-XMP-dc:Title=T\u{EF}tle",
            "-XMP-dc:Subject=one",
            "-XMP-dc:Subject=two",
            "-XMP-tiff:Orientation#=6",
            "-XMP-tiff:XResolution=300",
            "-XMP-tiff:YResolution=150",
            "-XMP-exif:ExifImageWidth=64",
            "-XMP-exif:GPSLatitude=35.14",
            "-XMP-exif:ColorSpace#=65535",
            "-XMP-xmp:CreatorTool=Some software",
        ]
        .map(str::to_owned),
    );
    arguments.extend(
        [
            "IPTC:City",
            "IPTC:Sub-location",
            "IPTC:Province-State",
            "IPTC:Country-PrimaryLocationName",
            "IPTC:ContentLocationName",
            "XMP-photoshop:City",
            "XMP-photoshop:State",
            "XMP-photoshop:Country",
            "XMP-iptcCore:Location",
            "XMP-iptcExt:LocationShownCity",
            "XMP-iptcExt:LocationCreatedSublocation",
        ]
        .map(place),
    );
    arguments
}

/// Uploads with the metadata, in every format that has any.
fn uploads(folder: &Path) -> Vec<PathBuf> {
    let scene = DynamicImage::ImageRgb8(make::scene(SIZE.0, SIZE.1));
    let arguments = metadata(folder);
    let arguments: Vec<&str> =
        ["-q", "-m", "-overwrite_original"].into_iter().chain(arguments.iter().map(String::as_str)).collect();
    let path = |name: &str| folder.join(name);
    let camera = [path("little.jpg"), path("big.jpg")];
    std::fs::write(&camera[0], with_maker_note(false)).unwrap();
    std::fs::write(&camera[1], with_maker_note(true)).unwrap();
    let others = [path("upload.png"), path("upload.webp"), path("little.tif"), path("big.tif")];
    std::fs::write(&others[0], make::file(&scene, ImageFormat::Png)).unwrap();
    std::fs::write(&others[1], make::file(&scene, ImageFormat::WebP)).unwrap();
    std::fs::write(&others[2], make::file(&scene, ImageFormat::Tiff)).unwrap();
    let swapped = Command::new("tiffcp").arg("-B").args(&others[2..]).output().unwrap();
    assert!(swapped.status.success(), "{swapped:?}");
    let copy = [
        "-q",
        "-overwrite_original",
        "-tagsFromFile",
        camera[0].to_str().unwrap(),
        "-Make",
        "-Model",
        "-MakerNotes",
    ];
    exiftool(&copy, &others.each_ref().map(PathBuf::as_path));
    let all: Vec<PathBuf> = camera.into_iter().chain(others).collect();
    exiftool(&arguments, &all.iter().map(PathBuf::as_path).collect::<Vec<_>>());
    all
}

/// A rendition of an upload.
fn rendition(upload: &[u8], format: OutputFormat, policy: MetadataPolicy, mark: Option<&Mark>) -> Vec<u8> {
    let photo = Photo::decode(upload, &Limits::default()).unwrap();
    let size = (photo.width(), photo.height());
    assert_eq!(size, UPRIGHT);
    let tags = rendition_tags(upload, &DecodeOptions::default(), policy, mark, size);
    let chroma = Chroma::new(1, 1, vec![0.0], vec![0.0]).unwrap();
    encode(&photo, &chroma, &EncodeOptions { tags, ..EncodeOptions::plain(format, 90) }).unwrap().bytes
}

/// Renditions of a policy, in the order of the output formats.
fn renditions(upload: &Path, policy: MetadataPolicy, mark: Option<&Mark>) -> Vec<PathBuf> {
    let bytes = std::fs::read(upload).unwrap();
    let written = OUTPUTS.map(|(format, extension)| {
        let name = format!("{}.{policy}.{extension}", upload.file_name().unwrap().to_str().unwrap());
        let path = upload.with_file_name(name);
        std::fs::write(&path, rendition(&bytes, format, policy, mark)).unwrap();
        path
    });
    written.to_vec()
}

/// The metadata among a file's tags: without the format's own fields, and those of the image data.
fn compared(tags: &Tags) -> Tags {
    let is_metadata = |name: &str| match name.split_once(':') {
        Some(("IFD0", tag)) => {
            !tag.starts_with("Strip")
                && !matches!(
                    tag,
                    "ImageWidth"
                        | "ImageHeight"
                        | "BitsPerSample"
                        | "Compression"
                        | "PhotometricInterpretation"
                        | "SamplesPerPixel"
                        | "RowsPerStrip"
                        | "PlanarConfiguration"
                        | "SampleFormat"
                        | "Predictor"
                        | "YCbCrPositioning"
                        | "SubfileType"
                        | "FillOrder"
                )
        }
        Some((group, _)) => {
            matches!(group, "ExifIFD" | "GPS" | "InteropIFD" | "Canon" | "IPTC")
                || group.starts_with("XMP-")
                || name == "ExifTool:Warning"
        }
        None => false,
    };
    tags.iter()
        .filter(|(name, _)| is_metadata(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// What a rendition must contain if everything is kept.
fn wanted(upload: &Tags) -> Tags {
    let mut wanted = compared(upload);
    let mut set = |name: &str, value: Value| {
        if let Some(old) = wanted.get_mut(name) {
            *old = value;
        }
    };
    set("IFD0:Orientation", 1.into());
    set("XMP-tiff:Orientation", 1.into());
    set("ExifIFD:ExifImageWidth", UPRIGHT.0.into());
    set("ExifIFD:ExifImageHeight", UPRIGHT.1.into());
    set("XMP-exif:ExifImageWidth", UPRIGHT.0.into());
    set("ExifIFD:ColorSpace", 1.into());
    set("XMP-exif:ColorSpace", 1.into());
    set("InteropIFD:InteropIndex", "R98".into());
    for group in ["IFD0", "XMP-tiff"] {
        set(&format!("{group}:XResolution"), 150.into());
        set(&format!("{group}:YResolution"), 300.into());
    }
    wanted.remove("ExifIFD:Gamma");
    // A thumbnail is a warning's only cause in these uploads.
    wanted.remove("ExifTool:Warning");
    wanted
}

#[track_caller]
fn same(name: &Path, got: &Tags, wanted: &Tags) {
    let names = got.keys().chain(wanted.keys());
    let different: std::collections::BTreeSet<String> = names
        .filter(|name| got.get(*name) != wanted.get(*name))
        .map(|name| format!("{name}: {:?} instead of {:?}", got.get(name), wanted.get(name)))
        .collect();
    assert!(different.is_empty(), "{}: {different:#?}", name.display());
}

#[test]
fn every_format_keeps_what_exiftool_reads() {
    let folder = tempfile::tempdir().unwrap();
    for upload in uploads(folder.path()) {
        let paths = renditions(&upload, MetadataPolicy::Keep, None);
        let files: Vec<&Path> = [&upload].into_iter().chain(&paths).map(PathBuf::as_path).collect();
        let read = tags(&files);
        let all = wanted(&read[0]);
        assert!(all.len() > 120, "{}: {}", upload.display(), all.len());
        for name in ["Canon:OwnerName", "GPS:GPSAltitude", "XMP-own:A99", "ExifIFD:UserComment"] {
            assert!(all.contains_key(name), "{}: {name}", upload.display());
        }
        for (got, path) in read[1..].iter().zip(&paths) {
            let (mut got, mut wanted) = (compared(got), all.clone());
            if path.extension().unwrap() == "webp" {
                // Such an upload has none, and such a rendition has it as XMP.
                wanted.retain(|name, _| !name.starts_with("IPTC:"));
                got.retain(|name, _| wanted.contains_key(name) || !name.starts_with("XMP-"));
            }
            same(path, &got, &wanted);
        }
    }
}

#[test]
fn no_place_is_left_without_location() {
    let folder = tempfile::tempdir().unwrap();
    for upload in uploads(folder.path()) {
        let paths = renditions(&upload, MetadataPolicy::KeepWithoutLocation, None);
        let files: Vec<&Path> = [&upload].into_iter().chain(&paths).map(PathBuf::as_path).collect();
        let read = tags(&files);
        let names_place = |name: &str, value: &Value| {
            value.to_string().contains(PLACE)
                || name.starts_with("GPS:")
                || name.contains("GPS")
                || name.starts_with("Canon:")
        };
        let mut kept = wanted(&read[0]);
        let before = kept.len();
        kept.retain(|name, value| !names_place(name, value));
        assert!(before - kept.len() > 10, "{}", upload.display());
        for (got, path) in read[1..].iter().zip(&paths) {
            let (mut got, mut wanted) = (compared(got), kept.clone());
            if path.extension().unwrap() == "webp" {
                wanted.retain(|name, _| !name.starts_with("IPTC:"));
                got.retain(|name, _| wanted.contains_key(name) || !name.starts_with("XMP-"));
            }
            same(path, &got, &wanted);
            let bytes = std::fs::read(path).unwrap();
            for planted in [PLACE, "A method", "The owner"] {
                assert!(
                    !bytes.windows(planted.len()).any(|part| part == planted.as_bytes()),
                    "{}: {planted}",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn every_rendition_says_that_a_network_colored_it() {
    let folder = tempfile::tempdir().unwrap();
    let mark = Mark { model: "siggraph17 <1>".to_owned(), version: Some("2.0".to_owned()) };
    let uploads = uploads(folder.path());
    for (upload, policy) in
        uploads.iter().zip([MetadataPolicy::Keep, MetadataPolicy::Strip].into_iter().cycle())
    {
        let paths = renditions(upload, policy, Some(&mark));
        let marked = tags(&paths.iter().map(PathBuf::as_path).collect::<Vec<_>>());
        for (got, path) in marked.iter().zip(&paths) {
            let source =
                "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia";
            let tool = concat!("PixColor ", env!("CARGO_PKG_VERSION"));
            for (name, wanted) in [
                ("XMP-iptcExt:DigitalSourceType", source),
                ("XMP-xmp:CreatorTool", tool),
                ("XMP-iptcExt:AISystemUsed", &mark.model),
                ("XMP-iptcExt:AISystemVersionUsed", "2.0"),
            ] {
                let value =
                    got.get(name).map(|value| value.as_str().map_or(value.to_string(), str::to_owned));
                assert_eq!(
                    value.map(|value| value.replace("2.0", "2")),
                    Some(wanted.replace("2.0", "2")),
                    "{}: {name}",
                    path.display()
                );
            }
            assert_eq!(got.get("ExifTool:Warning"), None, "{}", path.display());
            let has_camera = got.keys().any(|name| name.starts_with("ExifIFD:"));
            assert_eq!(has_camera, policy == MetadataPolicy::Keep, "{}", path.display());
        }
    }
}

#[test]
fn the_resolution_is_where_each_format_states_it() {
    let folder = tempfile::tempdir().unwrap();
    for upload in uploads(folder.path()) {
        let paths = renditions(&upload, MetadataPolicy::Keep, None);
        let read = tags(&paths.iter().map(PathBuf::as_path).collect::<Vec<_>>());
        let number = |index: usize, name: &str| read[index].get(name).and_then(Value::as_f64);
        let name = upload.display();
        assert_eq!(
            [number(0, "JFIF:XResolution"), number(0, "JFIF:YResolution")],
            [Some(150.0), Some(300.0)],
            "{name}"
        );
        let meters = [number(1, "PNG-pHYs:PixelsPerUnitX"), number(1, "PNG-pHYs:PixelsPerUnitY")];
        assert_eq!(meters, [Some(5906.0), Some(11_811.0)], "{name}");
        for index in [2, 3] {
            let sides = [number(index, "IFD0:XResolution"), number(index, "IFD0:YResolution")];
            assert_eq!(sides, [Some(150.0), Some(300.0)], "{name}");
        }
    }
}

#[test]
fn renditions_have_an_srgb_profile() {
    let folder = tempfile::tempdir().unwrap();
    let upload = folder.path().join("plain.jpg");
    std::fs::write(&upload, with_maker_note(false)).unwrap();
    exiftool(&["-q", "-overwrite_original", "-Orientation#=6"], &[&upload]);
    let paths = renditions(&upload, MetadataPolicy::Keep, None);
    let read = tags(&paths.iter().map(PathBuf::as_path).collect::<Vec<_>>());
    for index in [0, 2, 3] {
        let description = read[index].get("ICC_Profile:ProfileDescription").and_then(Value::as_str);
        assert_eq!(description, Some("sRGB IEC61966-2.1"), "{}", paths[index].display());
    }
    assert!(read[1].contains_key("PNG:SRGBRendering"), "{:?}", read[1]);
}
