//! A black-and-white upload in any body format gives a coloured photo.

use std::time::Instant;

use image::{DynamicImage, ImageFormat};
use serde_json::json;

use crate::harness::picture::colorfulness;
use crate::harness::{Answer, Picture, Server};

#[test]
fn a_gray_image_comes_back_colored_at_its_size_and_format() {
    let server = Server::start();
    for (picture, format) in [
        (Picture::png(320, 200, 1), ImageFormat::Png),
        (Picture::jpeg(200, 320, 2), ImageFormat::Jpeg),
        (Picture::webp(128, 96, 3), ImageFormat::WebP),
    ] {
        let original = image::load_from_memory(&picture.bytes).unwrap();
        let answer = server.colorize(&picture);
        let colored = answer.picture();
        assert_eq!(answer.header("content-type"), format.to_mime_type());
        assert_eq!(image::guess_format(&answer.body).unwrap(), format);
        assert_eq!((colored.width(), colored.height()), (original.width(), original.height()));
        assert!(colorfulness(&colored) > 5.0, "{}", colorfulness(&colored));
        assert_eq!(answer.header("x-pixcolor-provider"), "local");
        assert_eq!(answer.header("x-pixcolor-credits"), "0");
        assert_eq!(answer.header("vary"), "Accept");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        let etag = answer.header("etag");
        assert!(etag.len() == 66 && etag.starts_with('"') && etag.ends_with('"'), "{etag}");
    }
}

/// The steps in `Server-Timing`, and the sum of their times in milliseconds.
fn timing(answer: &Answer) -> (Vec<String>, f64) {
    let steps = answer.header("server-timing").split(", ").map(|step| step.split_once(";dur=").unwrap());
    let (names, times): (Vec<_>, Vec<f64>) =
        steps.map(|(name, time)| (name.to_owned(), time.parse::<f64>().unwrap())).unzip();
    (names, times.into_iter().sum())
}

#[test]
fn server_timing_has_all_steps_without_overlap() {
    let server = Server::start();
    let picture = Picture::jpeg(1200, 800, 1);
    let start = Instant::now();
    let answer = server.colorize(&picture);
    let took = start.elapsed().as_secs_f64() * 1e3;
    let (names, sum) = timing(&answer);
    let all =
        ["receive", "queue", "decode", "detect", "reduce", "provider", "guard", "merge", "encode", "store"];
    assert_eq!(names, all);
    // Only sending the response is in no step; how long it waits on a busy machine is unknown.
    assert!(sum <= took * 1.01, "{sum} of {took} ms");

    let again = server.colorize(&picture);
    assert_eq!(timing(&again).0, ["receive", "cache"]);
    let other_format =
        server.post("/v1/colorize?format=png", &[("Content-Type", "image/jpeg")], &picture.bytes);
    let merged = ["receive", "queue", "decode", "detect", "cache", "merge", "encode", "store"];
    assert_eq!(timing(&other_format).0, merged);
}

#[test]
fn the_photos_luminance_is_preserved() {
    let server = Server::start();
    let gray = Picture::landscape(300, 200, 4);
    let colored = server.colorize(&Picture::new(gray.clone(), ImageFormat::Png)).picture().to_rgb8();
    // The linear light of an sRGB level, from 0 to 1.
    let linear = |level: u8| {
        let v = f64::from(level) / 255.0;
        if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
    };
    for (x, y, pixel) in colored.enumerate_pixels() {
        let [r, g, b] = pixel.0.map(linear);
        let luminance = 0.2126 * r + 0.7152 * g + 0.0722 * b;
        let encoded = if luminance <= 0.003_130_8 {
            luminance * 12.92
        } else {
            1.055 * luminance.powf(1.0 / 2.4) - 0.055
        };
        let level = f64::from(gray.get_pixel(x, y).0[0]);
        assert!((encoded * 255.0 - level).abs() < 2.0, "at {x}, {y}: {} became {}", level, encoded * 255.0);
    }
}

#[test]
fn every_body_format_gives_the_same_rendition() {
    let server = Server::start();
    let picture = Picture::png(160, 120, 5);
    let plain = server.colorize(&picture);
    let (form, body) = picture.multipart(&[]);
    let multipart = server.post("/v1/colorize", &[("Content-Type", &form)], &body);
    let body = json!({ "image": picture.data_url() }).to_string();
    let json = server.post("/v1/colorize", &[("Content-Type", "application/json")], body.as_bytes());
    for answer in [&multipart, &json] {
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.body == plain.body);
        assert_eq!(answer.header("etag"), plain.header("etag"));
    }
}

#[test]
fn the_format_comes_from_the_query_then_accept_then_the_upload() {
    let server = Server::start();
    let picture = Picture::jpeg(64, 64, 6);
    let (form, body) = picture.multipart(&[("format", "webp")]);
    for (path, accept, expected) in [
        ("/v1/colorize", "*/*", "image/jpeg"),
        ("/v1/colorize", "image/*", "image/jpeg"),
        ("/v1/colorize", "image/webp", "image/webp"),
        ("/v1/colorize", "image/png;q=0.5, image/webp;q=0.9", "image/webp"),
        ("/v1/colorize?format=png", "image/webp", "image/png"),
        ("/v1/colorize?format=JPG", "image/webp", "image/jpeg"),
    ] {
        let headers = [("Content-Type", picture.media_type), ("Accept", accept)];
        let answer = server.post(path, &headers, &picture.bytes);
        assert_eq!(answer.header("content-type"), expected, "{path} {accept}");
        answer.picture();
    }
    let answer = server.post("/v1/colorize", &[("Content-Type", &form)], &body);
    assert_eq!(answer.header("content-type"), "image/webp");
    server.post("/v1/colorize?format=png&format=webp", &[], &picture.bytes).problem(400);
    let bad = server.post("/v1/colorize?format=gif", &[], &picture.bytes).problem(400);
    assert!(bad["detail"].as_str().unwrap().contains("webp"), "{bad}");
}

#[test]
fn json_has_the_same_facts_and_a_data_url() {
    let server = Server::start();
    let picture = Picture::png(80, 60, 7);
    let headers = [("Content-Type", picture.media_type), ("Accept", "application/json")];
    let answer = server.post("/v1/colorize", &headers, &picture.bytes);
    assert_eq!(answer.header("content-type"), "application/json");
    let facts = answer.json();
    let plain = server.colorize(&picture);
    assert_eq!(facts["provider"], "local");
    assert_eq!(facts["credits"], "0");
    assert_eq!((&facts["width"], &facts["height"]), (&json!(80), &json!(60)));
    assert_eq!(format!("\"{}\"", facts["sha256"].as_str().unwrap()), plain.header("etag"));
    assert!(facts["seconds"]["provider"].as_f64().unwrap() > 0.0);
    assert!(facts["cpu_seconds"].as_f64().unwrap() > 0.0);
    let same = Picture { bytes: plain.body, media_type: "image/png" };
    assert_eq!(facts["image"], same.data_url());
}

#[test]
fn the_2017_page_sends_and_gets_a_data_url() {
    let server = Server::start();
    let picture = Picture::jpeg(96, 64, 8);
    for content_type in ["application/x-www-form-urlencoded; charset=UTF-8", "text/plain", "application/json"]
    {
        let url = picture.data_url();
        let answer = server.post("/image", &[("Content-Type", content_type)], url.as_bytes());
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.header("content-type").starts_with("text/plain"));
        let plain = server.colorize(&picture);
        assert_eq!(answer.text(), Picture { bytes: plain.body, media_type: "image/jpeg" }.data_url());
    }
    server.post("/image", &[], b"hello").problem(400);
}

#[test]
fn a_provider_can_be_named_and_an_unknown_one_is_reported() {
    let server = Server::start();
    let picture = Picture::png(64, 64, 9);
    assert_eq!(server.post("/v1/colorize?provider=local", &[], &picture.bytes).status, 200);
    let problem = server.post("/v1/colorize?provider=nobody", &[], &picture.bytes).problem(400);
    assert!(problem["detail"].as_str().unwrap().contains("local"), "{problem}");
}

/// Status and body that curl gets for an image file.
fn curl(server: &Server, path: &str, file: &str, more: &[&str]) -> (u16, Vec<u8>) {
    let mut curl = std::process::Command::new("curl");
    curl.args(["--silent", "--show-error", "--write-out", "%{stderr}%{http_code}"]).args(more);
    curl.arg("--data-binary").arg(format!("@{}", server.path(file).display())).arg(server.url(path));
    let output = curl.output().expect("curl runs");
    let status = String::from_utf8(output.stderr).unwrap();
    (status.parse().unwrap_or_else(|_| panic!("{status}")), output.stdout)
}

#[test]
fn curl_sends_an_image_without_a_content_type() {
    let server = Server::start();
    // curl declares a body as application/x-www-form-urlencoded; an empty header removes that.
    for (name, format) in [
        ("a.jpg", ImageFormat::Jpeg),
        ("a.png", ImageFormat::Png),
        ("a.webp", ImageFormat::WebP),
        ("a.tif", ImageFormat::Tiff),
        ("a.bmp", ImageFormat::Bmp),
        ("a.gif", ImageFormat::Gif),
    ] {
        let picture = DynamicImage::from(Picture::landscape(64, 48, 1)).to_rgb8();
        let picture = Picture::new(picture, format);
        std::fs::write(server.path(name), &picture.bytes).unwrap();
        let declared = server.colorize(&picture);
        for more in [&[][..], &["-H", "Content-Type:"]] {
            let (status, body) = curl(&server, "/v1/colorize", name, more);
            assert_eq!((status, &body), (200, &declared.body), "{name} {more:?}");
            assert_eq!(curl(&server, "/v1/estimate", name, more).0, 200, "{name} {more:?}");
            assert_eq!(curl(&server, "/", name, more).0, 200, "{name} {more:?}");
            let algorithm = "/v1/algo/deeplearning/ColorfulImageColorization/1.1.5";
            let (status, body) = curl(&server, algorithm, name, more);
            let body = String::from_utf8(body).unwrap();
            assert!(status == 200 && body.contains("\"output\""), "{name} {more:?}: {body}");
        }
    }
}

#[test]
fn a_form_without_an_image_is_rejected_and_another_file_type_is_named() {
    let server = Server::start();
    let heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic".as_slice();
    for (body, says) in [
        (b"image=x&format=png".as_slice(), "curl: --data-binary @photo.jpg"),
        (b"image=%FF%D8%FF", "curl: -F image=@photo.jpg"),
        (heic, "a HEIC photograph"),
    ] {
        std::fs::write(server.path("body"), body).unwrap();
        for path in ["/v1/colorize", "/v1/estimate"] {
            let (status, answer) = curl(&server, path, "body", &[]);
            let answer = String::from_utf8(answer).unwrap();
            assert!(status == 415 && answer.contains(says), "{path}: {status} {answer}");
        }
    }
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let refused = server.post("/v1/algo/deeplearning/ColorfulImageColorization/1.1.5", &form, b"image=x");
    assert!(refused.text().contains("Content-Type"), "{}", refused.text());
}
