//! Uploads that are already in colour: detected, reported, and never paid for by accident.

use image::ImageFormat;
use serde_json::{Value, json};

use super::algorithmia::before_local;
use crate::fakes::algorithmia::Algorithmia;
use crate::harness::picture::colorfulness;
use crate::harness::{Picture, Server, Setup};

fn in_color(format: ImageFormat) -> Picture {
    Picture::new(Picture::in_color(120, 90, 1), format)
}

fn set_to(setup: Setup, what: &str) -> Setup {
    setup.env("PIXCOLOR_ON_COLOUR", format!("\"{what}\""))
}

#[track_caller]
fn facts(server: &Server, picture: &Picture) -> Value {
    let answer = server.post("/v1/colorize", &[("Accept", "application/json")], &picture.bytes);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

#[test]
fn a_color_upload_is_returned_with_its_own_colors_and_costs_no_credit() {
    let fake = Algorithmia::start();
    let server = before_local(&fake.url(), "").start();
    let picture = in_color(ImageFormat::Jpeg);
    let answer = server.colorize(&picture);
    let off = difference(&answer.picture(), &image::load_from_memory(&picture.bytes).unwrap());
    assert!(off < 3.0, "{off} of 255");
    assert_eq!(answer.header("content-type"), "image/jpeg");
    assert_eq!(answer.header("x-pixcolor-input"), "colour");
    assert_eq!(answer.header("x-pixcolor-credits"), "0");
    assert_eq!(answer.header("x-pixcolor-provider"), "");
    assert_eq!(answer.header("cache-status"), "PixColor; detail=passed");
    assert_eq!(answer.header("content-location"), "");

    let facts = facts(&server, &picture);
    assert_eq!((&facts["input"], &facts["cache"]), (&json!("colour"), &json!("passed")));
    assert_eq!((&facts["provider"], &facts["credits"]), (&Value::Null, &json!("0")));
    // The saving is the minimum cost of a call, because the ledger has no past calls.
    assert_eq!(facts["saved"]["credits"], "1");
    assert_eq!(fake.calls(), 0);
    let saved =
        server.metric(r#"pixcolor_saved_credits_total{provider="algorithmia",reason="already_colour"}"#);
    assert!((saved - 2.0).abs() < 1e-9, "{saved}");
    assert!(server.metric(r#"pixcolor_renditions_total{origin="passed"}"#) > 1.9);

    let (form, body) = picture.multipart(&[]);
    let page = server.post("/", &[("Content-Type", &form)], &body);
    assert!(page.text().contains("In colour already") && page.text().contains("nothing"), "{}", page.text());
    assert_eq!(page.header("x-pixcolor-input"), "colour");
    let url = server.post("/image", &[], picture.data_url().as_bytes());
    let again = Picture { bytes: answer.body, media_type: "image/jpeg" };
    assert_eq!(url.text(), again.data_url());
}

/// The mean difference of two images' samples.
fn difference(one: &image::DynamicImage, other: &image::DynamicImage) -> f64 {
    let (one, other) = (one.to_rgb8(), other.to_rgb8());
    assert_eq!(one.dimensions(), other.dimensions());
    let sum: u64 = one.iter().zip(other.iter()).map(|(one, other)| u64::from(one.abs_diff(*other))).sum();
    sum as f64 / one.len() as f64
}

#[test]
fn a_color_upload_in_another_format_keeps_its_transparency() {
    let server = Server::start();
    let pixels = Picture::in_color(120, 90, 1);
    let mut see_through = image::DynamicImage::ImageRgb8(pixels).to_rgba8();
    see_through.enumerate_pixels_mut().for_each(|(x, _, pixel)| pixel.0[3] = if x < 20 { 100 } else { 255 });
    let picture = Picture::new(see_through.clone(), ImageFormat::Tiff);
    let answer = server.colorize(&picture);
    assert_eq!((answer.header("content-type"), answer.header("x-pixcolor-input")), ("image/png", "colour"));
    assert!(answer.picture().to_rgba8() == see_through, "every pixel must be unchanged");

    let answer = server.post("/v1/colorize?format=webp", &[], &in_color(ImageFormat::Png).bytes);
    assert_eq!(answer.header("content-type"), "image/webp");
    assert!(colorfulness(&answer.picture()) > 20.0);
}

#[test]
fn a_color_upload_is_rejected_with_advice_if_so_configured() {
    let fake = Algorithmia::start();
    let server = set_to(before_local(&fake.url(), ""), "refuse").start();
    let answer = server.colorize(&in_color(ImageFormat::Png));
    let problem = answer.problem(422);
    assert_eq!((&problem["input"], answer.header("x-pixcolor-input")), (&json!("colour"), "colour"));
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("in colour already") && detail.contains("Send a black-and-white"), "{detail}");
    assert_eq!(fake.calls(), 0);
    let (form, body) = in_color(ImageFormat::Png).multipart(&[]);
    let page = server.post("/", &[("Content-Type", &form)], &body);
    assert_eq!((page.status, page.header("x-pixcolor-input")), (422, "colour"));
    assert_eq!(server.colorize(&Picture::png(96, 64, 1)).status, 200);
}

#[test]
fn a_color_upload_is_recolored_if_so_configured_and_reported_each_time() {
    let server = set_to(Setup::new(), "recolour").start();
    let picture = in_color(ImageFormat::Png);
    for cache in ["PixColor; fwd=miss; stored", "PixColor; hit; detail=memory"] {
        let answer = server.colorize(&picture);
        assert_eq!((answer.header("x-pixcolor-provider"), answer.header("cache-status")), ("local", cache));
        assert_eq!(answer.header("x-pixcolor-input"), "colour");
        assert!(answer.body != picture.bytes);
    }
    assert_eq!(facts(&server, &picture)["input"], "colour");
    assert_eq!(server.colorize(&Picture::png(96, 64, 1)).header("x-pixcolor-input"), "");
}

#[test]
fn an_earlier_recolored_result_is_not_returned_after_the_setting_changes() {
    let state = tempfile::tempdir().unwrap();
    let start = |what: &str| {
        let dir = format!("\"{}\"", state.path().display());
        set_to(Setup::new(), what).env("PIXCOLOR_CACHE__DIR", dir).start()
    };
    let picture = in_color(ImageFormat::Png);
    assert_eq!(start("recolour").colorize(&picture).header("x-pixcolor-provider"), "local");
    let passed = start("pass").colorize(&picture).picture();
    assert!(passed.to_rgb8() == image::load_from_memory(&picture.bytes).unwrap().to_rgb8());
    start("refuse").colorize(&picture).problem(422);
    assert!(start("recolour").colorize(&picture).header("cache-status").contains("hit"));
}

#[test]
fn a_single_tint_is_not_color() {
    type Tone = fn(f64) -> [f64; 3];
    let tones: [(&str, Tone); 5] = [
        ("grey in RGB", |v| [v, v, v]),
        ("sepia", |v| [0.12 + 0.88 * v, 0.07 + 0.85 * v, 0.03 + 0.72 * v]),
        ("cyanotype", |v| [0.02 + 0.9 * v * v, 0.1 + 0.85 * v, 0.25 + 0.72 * v.sqrt()]),
        ("selenium", |v| [0.08 + 0.9 * v, 0.05 + 0.92 * v, 0.08 + 0.89 * v]),
        ("yellowed paper", |v| [v * 0.97, v * 0.92, v * 0.7]),
    ];
    let server = Server::start();
    for (name, tone) in tones {
        for format in [ImageFormat::Png, ImageFormat::Jpeg] {
            let answer = server.colorize(&Picture::new(Picture::toned(240, 160, tone), format));
            assert_eq!((answer.status, answer.header("x-pixcolor-input")), (200, ""), "{name} {format:?}");
            assert_eq!(answer.header("x-pixcolor-provider"), "local", "{name} {format:?}");
        }
    }
    for color in ["rocket.jpg", "grace_hopper.jpg"] {
        let file = format!("{}/tests/data/{color}", env!("CARGO_MANIFEST_DIR"));
        let picture = Picture { bytes: std::fs::read(file).unwrap(), media_type: "image/jpeg" };
        assert_eq!(server.colorize(&picture).header("x-pixcolor-input"), "colour", "{color}");
    }
}

#[test]
fn the_command_line_reports_color_uploads() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.png"), in_color(ImageFormat::Png).bytes).unwrap();
    let output =
        crate::harness::server::pixcolor(folder.path()).args(["colorize", "a.png"]).output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success() && said.contains("a.png is in colour already"), "{said}");
}
