//! The options of a result: metadata, depth, rotation, page and format, in the query, in a form and in JSON.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::algorithmia::before_local;
use super::metadata::{SECRET, has, with_metadata};
use crate::fakes::algorithmia::Algorithmia;
use crate::harness::{Answer, Picture, Server, Setup};
use crate::make;

const JSON: (&str, &str) = ("Content-Type", "application/json");

/// The paths of a result by the fingerprint of its upload.
fn by_fingerprint(upload: &[u8]) -> String {
    let digest: String = Sha256::digest(upload).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("/v1/results/sha256/{digest}")
}

/// The same request with an option in the query, as a field of a form and as a member of JSON.
fn in_each_place(server: &Server, picture: &Picture, name: &str, value: &str) -> [Answer; 3] {
    let query = format!("/v1/colorize?{name}={value}");
    let (form, body) = picture.multipart(&[(name, value)]);
    let mut json = json!({ "image": picture.data_url() });
    json[name] = value.parse::<u32>().map_or_else(|_| json!(value), |number| json!(number));
    [
        server.post(&query, &[("Content-Type", picture.media_type)], &picture.bytes),
        server.post("/v1/colorize", &[("Content-Type", &form)], &body),
        server.post("/v1/colorize", &[JSON], json.to_string().as_bytes()),
    ]
}

/// A TIFF with pages of these sizes.
fn tiff(sizes: &[(u32, u32)]) -> Picture {
    let pages: Vec<_> = sizes
        .iter()
        .zip(1..)
        .map(|(&(width, height), seed)| {
            let data = Picture::landscape(width, height, seed).into_raw();
            (make::strip(width, height, 8, 1, 1, 1, &data), data)
        })
        .collect();
    let pages: Vec<_> = pages.iter().map(|(tags, data)| (tags.as_slice(), data.as_slice())).collect();
    Picture { bytes: make::pages(&pages, 0), media_type: "image/tiff" }
}

#[test]
fn each_option_is_read_from_the_query_a_form_and_json() {
    let server = Server::start();
    let picture = with_metadata(Picture::jpeg(80, 60, 1));
    let plain = server.colorize(&picture);
    for (name, value) in [("rotate", "90"), ("metadata", "keep"), ("format", "tiff"), ("format", "tif")] {
        let answers = in_each_place(&server, &picture, name, value);
        for answer in &answers {
            assert_eq!(answer.status, 200, "{name}={value}: {}", String::from_utf8_lossy(&answer.body));
            assert!(answer.body == answers[0].body, "{name}={value}");
            assert_ne!(answer.header("etag"), plain.header("etag"), "{name}={value}");
        }
    }
    for same in [("rotate", "0"), ("metadata", "strip"), ("depth", "8"), ("page", "1")] {
        for answer in in_each_place(&server, &picture, same.0, same.1) {
            assert_eq!(answer.header("etag"), plain.header("etag"), "{same:?} is the default");
        }
    }
    let (form, body) = picture.multipart(&[("rotate", "90")]);
    let query = server.post("/v1/colorize?rotate=0", &[("Content-Type", &form)], &body);
    assert_eq!(query.header("etag"), plain.header("etag"), "the query takes precedence");
}

#[test]
fn a_wrong_value_is_refused_wherever_it_is_sent() {
    let server = Server::start();
    let picture = Picture::png(32, 24, 1);
    let by_fingerprint = by_fingerprint(&picture.bytes);
    for (name, values, words) in [
        ("metadata", ["all", "KEEP", "none"], "keep, keep-without-location or strip"),
        ("depth", ["12", "0", "32"], "8 or 16"),
        ("rotate", ["45", "360", "450"], "0, 90, 180 or 270"),
        ("page", ["0", "-1", "two"], "a whole number"),
        ("format", ["gif", "bmp", "jxl"], "`png`, `jpeg`, `webp` or `tiff`"),
    ] {
        for value in values {
            let mut all = Vec::from(in_each_place(&server, &picture, name, value));
            all.push(server.get(&format!("{by_fingerprint}?{name}={value}")));
            all.push(server.post(&format!("/v1/estimate?{name}={value}"), &[JSON], b"{}"));
            for (place, answer) in all.iter().enumerate() {
                let problem = answer.problem(400);
                let detail = problem["detail"].as_str().unwrap();
                // JSON may refuse the type of a member before its value.
                let explained = detail.contains(words) && detail.contains(name);
                assert!(explained || place == 2, "{name}={value}: {detail}");
            }
        }
        let twice = format!("/v1/colorize?{name}=a&{name}=b");
        let problem = server.post(&twice, &[], &picture.bytes).problem(400);
        assert!(problem["detail"].as_str().unwrap().contains("more than once"), "{problem}");
    }
}

#[test]
fn sixteen_bits_are_refused_for_formats_that_have_eight() {
    let server = Server::start();
    let jpeg = Picture::jpeg(32, 24, 1);
    let refused = |answer: &Answer, name: &str| {
        let problem = answer.problem(422);
        assert_eq!(problem["type"], "urn:pixcolor:problem:unsupported-depth");
        let words = format!("{name} has 8 bits per sample: add `format=png` or `format=tiff`.");
        assert_eq!(problem["detail"], words);
    };
    for answer in in_each_place(&server, &jpeg, "depth", "16") {
        refused(&answer, "JPEG");
    }
    let webp = server.post("/v1/colorize?depth=16", &[("Accept", "image/webp")], &jpeg.bytes);
    refused(&webp, "WebP");
    let path = by_fingerprint(&jpeg.bytes);
    refused(&server.get(&format!("{path}?depth=16&format=jpeg")), "JPEG");
    refused(&server.post("/v1/estimate?depth=16&format=webp", &[JSON], b"{}"), "WebP");
    refused(&server.post("/v1/estimate?depth=16", &[], &jpeg.bytes), "JPEG");
    server.get(&format!("{path}?depth=16")).problem(404);
}

#[test]
fn a_deep_result_has_sixteen_bits_per_sample() {
    let server = Server::start();
    let jpeg = Picture::jpeg(80, 60, 1);
    for format in ["png", "tiff"] {
        let path = format!("/v1/colorize?depth=16&format={format}");
        let deep = server.post(&path, &[], &jpeg.bytes);
        assert_eq!(deep.header("content-type"), format!("image/{format}"));
        assert_eq!(deep.picture().color(), image::ColorType::Rgb16, "{format}");
        let plain = server.post(&format!("/v1/colorize?format={format}"), &[], &jpeg.bytes);
        assert_eq!(plain.picture().color(), image::ColorType::Rgb8, "{format}");
        let stored = server.get(deep.header("content-location"));
        assert_eq!(stored.header("content-type"), format!("image/{format}"));
        assert!(stored.body == deep.body);
    }
    let accepted = server.post("/v1/colorize", &[("Accept", "image/tiff")], &jpeg.bytes);
    assert_eq!(accepted.header("content-type"), "image/tiff");
    let json = server.post("/v1/colorize?format=tiff", &[("Accept", "application/json")], &jpeg.bytes).json();
    assert_eq!((&json["format"], &json["pages"]), (&json!("tiff"), &json!(1)));
    assert!(json["image"].as_str().unwrap().starts_with("data:image/tiff;base64,"));
}

#[test]
fn a_rotated_result_is_turned_clockwise_after_the_exif_orientation() {
    let server = Server::start();
    // The orientation is a quarter turn, so that the upright picture is 60 x 80 pixels.
    let picture = with_metadata(Picture::jpeg(80, 60, 1));
    let turned = |degrees: u32| {
        let path = format!("/v1/colorize?format=png&rotate={degrees}");
        server.post(&path, &[], &picture.bytes).picture().to_luma8()
    };
    let upright = turned(0);
    assert_eq!(upright.dimensions(), (60, 80));
    for (degrees, expected) in [
        (90, image::imageops::rotate90(&upright)),
        (180, image::imageops::rotate180(&upright)),
        (270, image::imageops::rotate270(&upright)),
    ] {
        let got = turned(degrees);
        assert_eq!(got.dimensions(), expected.dimensions(), "{degrees}");
        let off: u64 = got.iter().zip(expected.iter()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        // A rotated photo gets other colours, of other weights in its grey levels.
        assert!(off / (got.len() as u64) < 10, "{degrees}: {off}");
    }
}

#[test]
fn a_page_is_chosen_and_the_answer_says_how_many_there_are() {
    let server = Server::start();
    let picture = tiff(&[(80, 60), (48, 64), (32, 32)]);
    for (page, size) in [(1, (80, 60)), (2, (48, 64)), (3, (32, 32))] {
        let path = format!("/v1/colorize?page={page}");
        for status in ["fwd=miss; stored", "hit; detail=memory"] {
            let answer = server.post(&path, &[], &picture.bytes);
            let made = answer.picture();
            assert_eq!((made.width(), made.height()), size, "page {page}");
            assert_eq!(answer.header("x-pixcolor-pages"), "3", "page {page}");
            assert_eq!(answer.header("cache-status"), format!("PixColor; {status}"), "page {page}");
            assert_eq!(answer.header("content-type"), "image/png", "a TIFF becomes a PNG unless asked");
        }
        let found = server.get(&format!("{}?page={page}", by_fingerprint(&picture.bytes)));
        assert_eq!((found.status, found.header("x-pixcolor-pages")), (200, "3"));
        let json = server.post(&path, &[("Accept", "application/json")], &picture.bytes).json();
        assert_eq!(json["pages"], 3);
    }
    let estimate = server.post("/v1/estimate?page=2", &[], &picture.bytes).json();
    assert_eq!((&estimate["width"], &estimate["height"]), (&json!(48), &json!(64)));
    assert_eq!(estimate["providers"][0]["cache"], "hit");
    for path in ["/v1/colorize?page=4", "/v1/estimate?page=4"] {
        let problem = server.post(path, &[], &picture.bytes).problem(422);
        assert_eq!(problem["type"], "urn:pixcolor:problem:no-such-page");
        assert_eq!(problem["detail"], "The file has 3 pages; there is no page 4.");
    }
    let problem = server.post("/v1/colorize?page=99999999999999999999", &[], &picture.bytes).problem(422);
    assert_eq!(problem["type"], "urn:pixcolor:problem:no-such-page");
}

#[test]
fn a_picture_of_one_page_has_no_other_and_no_header() {
    let server = Server::start();
    let picture = Picture::png(32, 24, 1);
    assert_eq!(server.colorize(&picture).header("x-pixcolor-pages"), "");
    for answer in in_each_place(&server, &picture, "page", "2") {
        let problem = answer.problem(422);
        assert_eq!(problem["type"], "urn:pixcolor:problem:no-such-page");
        assert_eq!(problem["detail"], "The file has 1 page; there is no page 2.");
    }
}

/// The value of `cache` of the first provider of an estimate.
fn estimated(server: &Server, query: &str, upload: &[u8]) -> Value {
    server.post(&format!("/v1/estimate?{query}"), &[], upload).json()["providers"][0]["cache"].clone()
}

#[test]
fn every_combination_is_cached_by_itself_and_the_provider_is_called_once() {
    let fake = Algorithmia::start();
    let server = before_local(&fake.url(), "").env("PIXCOLOR_CACHE__ENABLED", "true").start();
    let picture = with_metadata(Picture::jpeg(80, 60, 1));
    let queries = [
        "format=png",
        "format=png&metadata=keep",
        "format=png&metadata=keep-without-location",
        "format=png&depth=16",
        "format=png&depth=16&metadata=keep",
        "format=tiff",
        "format=tiff&depth=16",
        "metadata=keep",
    ];
    let mut tags = std::collections::BTreeSet::new();
    for (turn, query) in queries.iter().enumerate() {
        let expected = if turn == 0 { "miss" } else { "merged" };
        assert_eq!(estimated(&server, query, &picture.bytes), expected, "{query}");
        let answer = server.post(&format!("/v1/colorize?{query}"), &[], &picture.bytes);
        assert_eq!(answer.status, 200, "{query}");
        assert_eq!(answer.header("x-pixcolor-provider"), "algorithmia");
        assert!(turn == 0 || answer.header("x-pixcolor-credits") == "0", "{query}");
        tags.insert(answer.header("etag").to_owned());
        assert_eq!(estimated(&server, query, &picture.bytes), "hit", "{query}");
    }
    assert_eq!((tags.len(), fake.calls()), (queries.len(), 1));
    for query in queries {
        let again = server.post(&format!("/v1/colorize?{query}"), &[], &picture.bytes);
        assert_eq!(again.header("cache-status"), "PixColor; hit; detail=memory", "{query}");
        let found = server.get(&format!("{}?{query}", by_fingerprint(&picture.bytes)));
        assert!(found.status == 200 && found.body == again.body, "{query}");
    }
    assert_eq!(fake.calls(), 1);
    // A rotated photo has other pixels: the provider sees another picture.
    for _ in 0..2 {
        let rotated = server.post("/v1/colorize?rotate=180", &[], &picture.bytes);
        assert_eq!((rotated.status, fake.calls()), (200, 2));
    }
    // Deleting the upload deletes all of them.
    let digest = by_fingerprint(&picture.bytes);
    server.command(&["cache", "rm", digest.rsplit('/').next().unwrap()]);
}

#[test]
fn the_configuration_sets_the_default_of_metadata_for_every_address() {
    let picture = with_metadata(Picture::jpeg(80, 60, 1));
    let default = Server::start();
    let keeping = Setup::new().env("PIXCOLOR_METADATA", "\"keep\"").start();
    for (server, kept) in [(&default, false), (&keeping, true)] {
        assert_eq!(has(&server.colorize(&picture).body, SECRET), kept);
        let stripped = server.post("/v1/colorize?metadata=strip", &[], &picture.bytes);
        assert!(!has(&stripped.body, SECRET));
        let kept = server.post("/v1/colorize?metadata=keep", &[], &picture.bytes);
        assert!(has(&kept.body, SECRET));
    }
}
