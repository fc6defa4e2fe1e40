//! The inputs of the algorithm: data URL, file, address, list, bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::{ALGORITHM, Files, error, image, key, output, path, pipe, post_json, storing};
use crate::fakes::http::{Reply, Server as Host};
use crate::harness::picture::colorfulness;
use crate::harness::{Picture, Server, Setup};

/// Fetches a result and checks that it is a colour PNG.
#[track_caller]
fn made(server: &Server, path: &str) -> image::DynamicImage {
    let file = server.get(path);
    assert_eq!(file.header("x-data-type"), "file");
    assert_eq!(file.header("content-type"), "image/png");
    let picture = file.picture();
    assert!(colorfulness(&picture) > 3.0, "it is grey");
    picture
}

#[test]
fn a_picture_is_accepted_as_bytes_and_as_a_data_url_in_json_or_text() {
    let server = Server::start();
    let picture = Picture::jpeg(120, 80, 3);
    let by_json = output(&pipe(&server, &image(&picture)));
    let colored = made(&server, &by_json);
    assert_eq!((colored.width(), colored.height()), (120, 80));
    let octets = ("Content-Type", "application/octet-stream");
    let answers = [
        server.post(ALGORITHM, &[octets], &picture.bytes),
        server.post(ALGORITHM, &[("Content-Type", "image/jpeg")], &picture.bytes),
        server.post(ALGORITHM, &[("Content-Type", "text/plain")], picture.data_url().as_bytes()),
        server.post(
            ALGORITHM,
            &[("Content-Type", "application/text; charset=utf-8")],
            picture.data_url().as_bytes(),
        ),
        pipe(&server, &json!(picture.data_url())),
        pipe(&server, &json!({ "image": picture.data_url(), "unknown": 1 })),
    ];
    for answer in &answers {
        // The same picture is a cache hit.
        assert!(answer.header("cache-status").starts_with("PixColor; hit"), "{:?}", answer.headers);
        assert_eq!(answer.header("x-pixcolor-credits"), "0");
        let path = output(answer);
        assert_eq!(path[path.len() - 40..], by_json[by_json.len() - 40..]);
        made(&server, &path);
    }
    // The API returns the same bytes.
    let same = server.post("/v1/colorize?format=png", &[], &picture.bytes);
    assert_eq!(same.body, server.get(&by_json).body);
}

#[test]
fn a_result_can_be_an_input() {
    let server = Server::start();
    let gray = Picture::png(96, 64, 4);
    let first = pipe(&server, &image(&gray));
    let same = pipe(&server, &json!({ "image": first.json()["result"]["output"] }));
    made(&server, &output(&same));
    // A picture in colour is returned without recolouring. Its result is stored for a day, although it is not cached.
    let colored = Picture::new(Picture::in_color(96, 64, 4), image::ImageFormat::Png);
    let mut input = image(&colored);
    for kept in 1..=2 {
        let answer = pipe(&server, &input);
        assert_eq!(answer.header("x-pixcolor-input"), "colour");
        let pixels = |bytes: &[u8]| image::load_from_memory(bytes).unwrap().to_rgb8();
        assert!(pixels(&server.get(&output(&answer)).body) == pixels(&colored.bytes));
        let temp = std::fs::read_dir(server.path(".local/state/pixcolor/data/temp")).unwrap();
        assert!(temp.count() >= kept);
        input = json!({ "image": answer.json()["result"]["output"] });
    }
}

#[test]
fn a_list_returns_a_list_and_one_bad_picture_fails_the_call() {
    let server = Server::start();
    let pictures = [Picture::png(64, 48, 1), Picture::png(80, 60, 2)];
    let urls = json!(pictures.iter().map(Picture::data_url).collect::<Vec<_>>());
    for input in [json!({ "image": urls }), urls.clone()] {
        let answer = pipe(&server, &input);
        let list = answer.json()["result"]["output"].as_array().unwrap().clone();
        let sizes = list.iter().map(|uri| made(&server, &path(uri.as_str().unwrap())).width());
        assert_eq!(sizes.collect::<Vec<_>>(), [64, 80]);
    }
    let one_bad = json!({ "image": [pictures[0].data_url(), "data:image/png;base64,AAAA"] });
    let message = error(&pipe(&server, &one_bad), 200);
    assert!(message.starts_with("This is not a picture"), "{message}");
    for bad in [json!({ "image": [] }), json!({ "image": vec!["data:,"; 65] })] {
        assert_eq!(error(&pipe(&server, &bad), 200), "Send 1 to 64 pictures.");
    }
}

#[test]
fn inputs_and_results_can_be_stored_files() {
    let server = storing().start();
    let (bob, ann) = (key(&server, "bob"), key(&server, "ann"));
    let bob = [("Authorization", bob.as_str())];
    let ann = [("Authorization", ann.as_str())];
    let picture = Picture::png(96, 64, 9);
    assert_eq!(post_json(&server, "/v1/data/.my", &bob, &json!({ "name": "photos" })).status, 200);
    let put = server.put("/v1/data/.my/photos/in.png", &bob, &picture.bytes);
    assert_eq!(put.json(), json!({ "result": "data://.my/photos/in.png" }));

    let input = json!({ "image": "data://.my/photos/in.png", "location": "data://bob/photos/out.png" });
    let answer = post_json(&server, ALGORITHM, &bob, &input);
    assert_eq!(answer.json()["result"]["output"], "data://.my/photos/out.png");
    let out = server.get_with("/v1/data/.my/photos/out.png", &bob);
    assert_eq!((out.header("x-data-type"), out.header("content-type")), ("file", "application/octet-stream"));
    assert!(colorfulness(&out.picture()) > 3.0);

    let theirs =
        error(&post_json(&server, ALGORITHM, &ann, &json!({ "image": "data://bob/photos/in.png" })), 200);
    assert!(theirs.contains("There is no such file"), "{theirs}");
    for (location, words) in [
        ("data://bob/photos/mine.png", "no such account"),
        ("data://.my/nowhere/x.png", "create it first"),
        ("data://.my/photos", "A `location` is a file"),
        ("s3://bucket/x.png", "Only files at data://"),
        ("data://.my/../../x", "one level deep"),
    ] {
        let input = json!({ "image": picture.data_url(), "location": location });
        let message = error(&post_json(&server, ALGORITHM, &ann, &input), 200);
        assert!(message.contains(words), "{location}: {message}");
    }
    let uneven = json!({ "image": picture.data_url(), "location": [] });
    assert!(error(&post_json(&server, ALGORITHM, &bob, &uneven), 200).contains("Give each picture"));
}

#[test]
fn addresses_are_fetched_only_from_configured_hosts() {
    let picture = Picture::png(96, 64, 7);
    let (bytes, asked) = (picture.bytes.clone(), Arc::new(AtomicUsize::new(0)));
    let counted = asked.clone();
    let host = Host::start(move |request| {
        counted.fetch_add(1, Ordering::SeqCst);
        assert_eq!(request.header("authorization"), None, "no key is sent to this host");
        match request.path() {
            "/photo.png" => Reply::new(200, "image/png", bytes.clone()),
            "/inside" => Reply::new(302, "text/plain", "").with("Location", "http://169.254.169.254/"),
            "/endless" => Reply { endless: true, ..Reply::new(200, "image/png", vec![0; 65_536]) },
            _ => Reply::new(404, "text/plain", "no"),
        }
    });
    let at = |path: &str| json!({ "image": format!("{}{path}", host.url()) });

    let off = Server::start();
    assert!(error(&pipe(&off, &at("/photo.png")), 200).contains("does not fetch pictures from URLs"));
    let public = Setup::new().env("PIXCOLOR_FACADES__ALGORITHMIA__HOSTS", "[\"*\"]").start();
    for input in
        [at("/photo.png"), json!("http://localhost/x"), json!("http://[::1]/x"), json!("http://0x7f.1/x")]
    {
        let message = error(&pipe(&public, &input), 200);
        assert!(message.contains("not fetched from this address"), "{input}: {message}");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 0);

    let name = host.url().replace("http://", "");
    let listed = Setup::new()
        .env("PIXCOLOR_FACADES__ALGORITHMIA__HOSTS", format!("[\"{name}\"]"))
        .env("PIXCOLOR_FACADES__ALGORITHMIA__ALLOW_PRIVATE", "true")
        .start();
    made(&listed, &output(&pipe(&listed, &at("/photo.png"))));
    for (path, words) in [
        ("/inside", "not fetched from this address"),
        ("/endless", "larger than"),
        ("/nothing", "status 404"),
    ] {
        let message = error(&pipe(&listed, &at(path)), 200);
        assert!(message.contains(words), "{path}: {message}");
    }
    let elsewhere = pipe(&listed, &json!("http://127.0.0.1:1/x.png"));
    assert!(error(&elsewhere, 200).contains("not fetched from this address"));

    let both = Setup::new()
        .file("config/pixcolor.toml", "[facades.algorithmia]\nhosts = [\"*\"]\nallow_private = true\n");
    let checked = crate::harness::server::pixcolor(&both.path("")).arg("check").output().unwrap();
    assert!(!checked.status.success());
    assert!(String::from_utf8_lossy(&checked.stderr).contains("Name the hosts"));
}

#[test]
fn the_configuration_maps_algorithms_to_providers() {
    let server = Setup::new()
        .env(
            "PIXCOLOR_FACADES__ALGORITHMIA__ALGORITHMS",
            r#"{ "me/Mine" = "provider:local", "demo/Hello" = "off", "me/Greeter" = "hello" }"#,
        )
        .start();
    let picture = image(&Picture::png(64, 48, 1));
    let mine = output(&post_json(&server, "/v1/algo/me/Mine", &[], &picture));
    assert!(mine.starts_with("/v1/data/.algo/me/Mine/temp/"), "{mine}");
    made(&server, &mine);
    output(&pipe(&server, &picture));
    let hello = post_json(&server, "/v1/algo/me/Greeter/1.0.0/", &[], &json!("HAL"));
    assert_eq!(hello.json()["result"], "Hello HAL");
    for path in ["demo/Hello", "me/mine", "me/Mine/not-a-version"] {
        let message = error(&post_json(&server, &format!("/v1/algo/{path}"), &[], &Value::Null), 404);
        assert_eq!(message, format!("algorithm algo://{path} not found"));
    }
}
