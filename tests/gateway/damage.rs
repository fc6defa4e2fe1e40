//! Damaged but decodable files: coloured as far as possible with a warning, or rejected.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use image::ImageFormat;
use serde_json::{Value, json};

use super::algorithmia::before_local;
use super::cache::by_fingerprint;
use crate::fakes::algorithmia::{Algorithmia, Behavior};
use crate::harness::server::pixcolor;
use crate::harness::{Answer, Picture, Server, Setup};

/// A JPEG without the last third of its bytes.
fn damaged(seed: u32) -> Picture {
    cut(Picture::jpeg(160, 120, seed))
}

fn cut(mut picture: Picture) -> Picture {
    picture.bytes.truncate(picture.bytes.len() * 2 / 3);
    picture
}

fn set_to(setup: Setup, what: &str) -> Setup {
    setup.env("PIXCOLOR_ON_DAMAGE", format!("\"{what}\""))
}

/// The sentence in which a response says what is missing.
#[track_caller]
fn missing(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    assert_eq!(answer.header("x-pixcolor-warning"), "damaged", "{:?}", answer.headers);
    let sentence = answer.header("x-pixcolor-damage");
    assert!(sentence.ends_with('.') && sentence.contains(' '), "{sentence}");
    sentence.to_owned()
}

#[track_caller]
fn warnings(server: &Server, picture: &Picture) -> Value {
    let answer = server.post("/v1/colorize", &[("Accept", "application/json")], &picture.bytes);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["warnings"].clone()
}

#[test]
fn a_damaged_photo_is_colored_and_every_response_says_what_is_missing() {
    let server = Server::start();
    let picture = damaged(1);
    let made = server.colorize(&picture);
    let sentence = missing(&made);
    assert_eq!(made.header("cache-status"), "PixColor; fwd=miss; stored");
    let colored = made.picture();
    assert_eq!((colored.width(), colored.height()), (160, 120));

    let kept = server.colorize(&picture);
    assert_eq!(kept.header("cache-status"), "PixColor; hit; detail=memory");
    assert_eq!(missing(&kept), sentence);
    let merged = server.post("/v1/colorize?format=png", &[], &picture.bytes);
    assert_eq!(merged.header("cache-status"), "PixColor; hit; detail=merged-memory");
    assert_eq!(missing(&merged), sentence);
    let found = server.get(&by_fingerprint(&picture));
    assert_eq!(missing(&found), sentence);
    let known = server.get_with(&by_fingerprint(&picture), &[("If-None-Match", found.header("etag"))]);
    assert_eq!((known.status, known.header("x-pixcolor-warning")), (304, "damaged"));
    assert_eq!(warnings(&server, &picture), json!([{ "type": "damaged", "detail": sentence }]));
    assert_eq!(missing(&server.post("/image", &[], picture.data_url().as_bytes())), sentence);

    let (form, body) = picture.multipart(&[]);
    let page = server.post("/", &[("Content-Type", &form)], &body);
    assert_eq!(missing(&page), sentence);
    assert!(
        page.text().contains("The file is damaged.") && page.text().contains(&sentence),
        "{}",
        page.text()
    );
    assert!(server.said().contains("\"warning\":\"damaged\""), "{}", server.said());
}

#[test]
fn an_intact_photo_has_no_warning() {
    let server = Server::start();
    let picture = Picture::jpeg(160, 120, 1);
    for _ in 0..2 {
        let answer = server.colorize(&picture);
        assert_eq!((answer.status, answer.header("x-pixcolor-warning")), (200, ""));
        assert_eq!(answer.header("x-pixcolor-damage"), "");
    }
    assert_eq!(warnings(&server, &picture), json!([]));
    let (form, body) = picture.multipart(&[]);
    let page = server.post("/", &[("Content-Type", &form)], &body);
    assert!(page.status == 200 && !page.text().contains("damaged"), "{}", page.text());
}

#[test]
fn a_follower_gets_the_warning_too() {
    let fake = Algorithmia::start();
    fake.always(Behavior::Slow(Duration::from_millis(700)));
    let server = before_local(&fake.url(), "").start();
    let picture = damaged(2);
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..3).map(|_| scope.spawn(|| server.colorize(&picture))).collect();
        asked.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    answers.iter().for_each(|answer| drop(missing(answer)));
    let shared = |answer: &&Answer| answer.header("cache-status").contains("collapsed");
    assert_eq!((answers.iter().filter(shared).count(), fake.calls()), (2, 1));
}

#[test]
fn a_damaged_color_photo_is_returned_with_the_warning() {
    let server = Server::start();
    let file = format!("{}/tests/data/grace_hopper.jpg", env!("CARGO_MANIFEST_DIR"));
    let answer =
        server.colorize(&cut(Picture { bytes: std::fs::read(file).unwrap(), media_type: "image/jpeg" }));
    missing(&answer);
    assert_eq!(answer.header("x-pixcolor-input"), "colour");
    assert_eq!(answer.header("cache-status"), "PixColor; detail=passed");
}

#[test]
fn a_damaged_upload_is_rejected_with_advice_if_so_configured() {
    let fake = Algorithmia::start();
    let server = set_to(before_local(&fake.url(), ""), "refuse").start();
    let picture = damaged(3);
    let problem = server.colorize(&picture).problem(422);
    assert_eq!(problem["type"], "urn:pixcolor:problem:damaged-picture");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("damaged") && detail.contains("Send an undamaged copy"), "{detail}");
    let (form, body) = picture.multipart(&[]);
    let page = server.post("/", &[("Content-Type", &form)], &body);
    assert!(page.status == 422 && page.text().contains("The picture is damaged"), "{}", page.text());
    assert_eq!(fake.calls(), 0);
    assert_eq!(server.colorize(&Picture::jpeg(160, 120, 3)).status, 200);
}

#[test]
fn a_cached_damaged_photo_is_not_returned_after_damage_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let start = |what: &str| {
        let dir = format!("\"{}\"", folder.path().display());
        set_to(Setup::new(), what).env("PIXCOLOR_CACHE__DIR", dir).start()
    };
    let picture = damaged(4);
    missing(&start("accept").colorize(&picture));
    let server = start("refuse");
    server.get(&by_fingerprint(&picture)).problem(404);
    server.colorize(&picture).problem(422);
    drop(server);
    let again = start("accept").colorize(&picture);
    assert!(again.header("cache-status").contains("hit"), "{again:?}");
    missing(&again);
}

#[test]
fn a_change_of_the_configuration_takes_effect_while_the_server_runs() {
    let server = Setup::new().file("config/pixcolor.toml", "on_damage = \"accept\"\n").start();
    let picture = damaged(5);
    missing(&server.colorize(&picture));
    std::fs::write(server.path("config/pixcolor.toml"), "on_damage = \"refuse\"\n").unwrap();
    server.until("damaged files are refused", |server| server.colorize(&picture).status == 422);
}

#[test]
fn the_command_line_says_what_is_missing_and_does_not_fail() {
    let folder = tempfile::tempdir().unwrap();
    let picture = damaged(6);
    std::fs::write(folder.path().join("a.jpg"), &picture.bytes).unwrap();
    let server = Server::start();
    let sentence = missing(&server.colorize(&picture));
    let gateway = server.url("");
    for place in [&[][..], &["--gateway", &gateway]] {
        let mut command = pixcolor(folder.path());
        let output = command.args(["colorize", "a.jpg"]).args(place).output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && out.contains("a-coloured.jpg: coloured by local"), "{out}{err}");
        assert!(err.contains(&format!("a.jpg: the file is damaged. {sentence}")), "{out}{err}");
    }
}

#[test]
fn facades_carry_the_warning_where_their_protocol_allows() {
    let server = Server::start();
    let (picture, whole) = (damaged(7), Picture::new(Picture::in_color(64, 48, 1), ImageFormat::Png));
    let (form, body) = picture.multipart(&[]);
    let openai = server.post("/v1/images/edits", &[("Content-Type", &form)], &body);
    let sentence = missing(&openai);

    let algorithm = "/v1/algo/deeplearning/ColorfulImageColorization/1.1.5";
    let url =
        |picture: &Picture| format!("data:{};base64,{}", picture.media_type, BASE64.encode(&picture.bytes));
    let headers = [("Content-Type", "application/json")];
    let call = json!({ "image": url(&picture) }).to_string();
    let one = server.post(algorithm, &headers, call.as_bytes());
    assert_eq!(missing(&one), sentence);
    let alerts = &one.json()["metadata"]["alerts"];
    assert_eq!(alerts, &json!([format!("Picture 1 is damaged. {sentence}")]));
    let call = json!({ "image": [url(&whole), url(&picture)] }).to_string();
    let list = server.post(algorithm, &headers, call.as_bytes());
    assert_eq!(list.header("x-pixcolor-warning"), "damaged");
    let alerts = &list.json()["metadata"]["alerts"];
    assert_eq!(alerts, &json!([format!("Picture 2 is damaged. {sentence}")]));
}
