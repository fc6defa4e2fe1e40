//! Clients' stored files, and results that are available for a day.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::{Files, error, image, key, output, pipe, post_json, storing};
use crate::harness::{Answer, Picture, Server, Setup};

/// The folder where a server stores clients' files and results.
const DATA: &str = ".local/state/pixcolor/data";

#[track_caller]
fn create(server: &Server, name: &str, headers: &[(&str, &str)]) -> Answer {
    post_json(server, "/v1/data/.my", headers, &json!({ "name": name }))
}

#[test]
fn files_are_stored_only_if_storage_is_turned_on() {
    let server = Server::start();
    for answer in [
        server.put("/v1/data/.my/photos/a", &[], b"x"),
        server.get("/v1/data/.my/photos/a"),
        server.get("/v1/data/.my"),
        create(&server, "photos", &[]),
        server.delete("/v1/data/.my/photos/a"),
        server.patch("/v1/data/.my/photos", br#"{"acl": {"read": []}}"#),
    ] {
        assert!(error(&answer, 403).contains("facades.algorithmia.storage"));
    }
    assert!(!server.path(DATA).exists());
    let roots = server.get("/v1/data/");
    assert_eq!(
        (roots.json(), roots.header("x-data-type")),
        (json!({ "folders": [{ "name": "anonymous" }] }), "directory")
    );
}

#[test]
fn each_client_has_its_own_files_and_shares_them_only_by_acl() {
    let server = storing().start();
    let (bob, ann) = (key(&server, "bob"), key(&server, "ann"));
    let (bob, ann) = ([("Authorization", bob.as_str())], [("Authorization", ann.as_str())]);
    assert_eq!(create(&server, "photos", &bob).json(), json!({ "result": "data://.my/photos" }));
    assert_eq!(server.put("/v1/data/.my/photos/a.bin", &bob, b"{}").status, 200);
    assert_eq!(server.get_with("/v1/connector/data/bob/photos/a.bin", &bob).body, b"{}");
    for path in
        ["/v1/data/.my/photos/a.bin", "/v1/data/bob/photos/a.bin", "/v1/data/bob/photos", "/v1/data/bob"]
    {
        error(&server.get_with(path, &ann), 404);
    }
    error(&server.get("/v1/data/bob/photos/a.bin"), 404);
    let shown = post_json(
        &server,
        "/v1/data/bob",
        &bob,
        &json!({ "name": "shown", "acl": { "read": ["user://*"], "_dummy": null } }),
    );
    assert_eq!(shown.status, 200);
    server.put("/v1/data/.my/shown/b", &bob, b"b");
    assert_eq!(server.get_with("/v1/data/bob/shown/b", &ann).body, b"b");
    let listing = server.get_with("/v1/data/bob/shown?acl=true", &ann).json();
    assert_eq!(
        (&listing["files"][0]["filename"], &listing["acl"]),
        (&json!("b"), &json!({ "read": ["user://*"] }))
    );
    assert!(server.get_with("/v1/data/bob/shown", &ann).json().get("acl").is_none());
    // Other clients can read but not write.
    error(&server.put("/v1/data/bob/shown/c", &ann, b"c"), 404);
    error(&server.delete_with("/v1/data/bob/shown/b", &ann), 404);
    // A client without a key has its own files, too.
    assert_eq!(create(&server, "photos", &[]).status, 200);
    assert_eq!(server.get("/v1/data/.my").json()["folders"], json!([{ "name": "photos" }]));
    assert_eq!(server.get("/v1/data/.my/photos").json(), json!({ "folders": [], "files": [] }));
}

#[test]
fn long_listings_have_pages() {
    let server = storing().start();
    assert_eq!(create(&server, "many", &[]).status, 200);
    let owner = std::fs::read_dir(server.path(DATA).join("files")).unwrap().next().unwrap().unwrap().path();
    for index in 0..2_001 {
        std::fs::write(owner.join("many").join(format!("{index:04}.txt")), "x").unwrap();
    }
    let (mut names, mut marker, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = server.get(&format!("/v1/data/.my/many{marker}")).json();
        names.extend(
            page["files"]
                .as_array()
                .unwrap()
                .iter()
                .map(|file| file["filename"].as_str().unwrap().to_owned()),
        );
        pages += 1;
        let modified = page["files"][0]["last_modified"].as_str().unwrap();
        assert!(modified.len() == 24 && modified.ends_with(".000Z"), "{modified}");
        match page["marker"].as_str() {
            Some(next) => marker = format!("?marker={next}"),
            None => break,
        }
    }
    assert_eq!((names.len(), pages), (2_001, 3));
    assert!(names.is_sorted());
    error(&server.get("/v1/data/.my/many?marker=../x"), 400);
}

#[test]
fn storage_is_limited_and_names_cannot_leave_their_folder() {
    let server = storing()
        .env("PIXCOLOR_FACADES__ALGORITHMIA__CLIENT_MAX_BYTES", "\"128 KiB\"")
        .env("PIXCOLOR_LIMITS__UPLOAD_BYTES", "\"128 KiB\"")
        .start();
    create(&server, "c", &[]);
    assert_eq!(server.put("/v1/data/.my/c/a", &[], &vec![0; 80_000]).status, 200);
    assert!(error(&server.put("/v1/data/.my/c/b", &[], &vec![0; 80_000]), 507).contains("delete something"));
    error(&server.put("/v1/data/.my/c/b", &[], &vec![0; 200_000]), 413);
    assert_eq!(server.put("/v1/data/.my/c/a", &[], b"").status, 200);
    assert_eq!(server.put("/v1/data/.my/c/b", &[], &vec![0; 40_000]).status, 200);

    let long = "a".repeat(300);
    for name in ["%2e%2e", "..%2f..%2fkeys.json", "a%00b", "%0d%0aX", "..%5c..%5cx", &long] {
        let answer = server.put(&format!("/v1/data/.my/c/{name}"), &[], b"x");
        error(&answer, 400);
    }
    for name in ["..hidden", ".acl", ".readers", "a+b", "%E2%80%AEgnp.exe", "C:%20x", "%F0%9F%98%80", "-rf"] {
        let path = format!("/v1/data/.my/c/{name}");
        assert_eq!(server.put(&path, &[], name.as_bytes()).status, 200, "{name}");
        assert_eq!(server.get(&path).body, name.as_bytes());
    }
    error(&create(&server, "..", &[]), 400);
    error(&create(&server, "a/b", &[]), 400);
    // All files are below one folder.
    let outside: Vec<_> = std::fs::read_dir(server.path(".local/state/pixcolor"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(
        outside.iter().all(|name| ["data", "ledger"].iter().any(|own| name.starts_with(own))),
        "{outside:?}"
    );
    let deleted = server.delete("/v1/data/.my/c?force=true").json();
    assert_eq!(deleted, json!({ "result": { "deleted": 10 } }));
    let missing = server.delete("/v1/data/.my/c");
    error(&missing, 404);
    assert_eq!(missing.json()["error"]["deleted"], 0);
}

#[test]
fn a_result_is_available_for_a_day() {
    let server = Server::start();
    let path = output(&pipe(&server, &image(&Picture::png(64, 48, 1))));
    assert_eq!(server.get(&path).status, 200);
    // The result is only in the cache.
    assert!(!server.path(DATA).exists());
    let (folder, name) = path.rsplit_once('/').unwrap();
    let until = u64::from_str_radix(&name[..8], 16).unwrap();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    assert!((86_300..=86_400).contains(&(until - now)), "{until} {now}");
    for other in [now - 1, now + 90_000] {
        error(&server.get(&format!("{folder}/{other:08x}{}", &name[8..])), 404);
    }
    // The other base path and the short form work, too.
    assert_eq!(server.get(&path.replace("/v1/data", "/v1/connector/data")).status, 200);
    assert_eq!(server.get(&format!("/v1/data/.algo/temp/{name}")).status, 200);
    error(&server.get(folder), 404);
}

#[test]
fn a_result_that_is_not_cached_is_stored_for_a_day() {
    for (name, value) in [
        ("PIXCOLOR_CACHE__ENABLED", "false"),
        ("PIXCOLOR_PROVIDERS__LOCAL__CACHE", "false"),
        ("PIXCOLOR_CACHE__SHARE", "\"all\""),
    ] {
        let none = ("PIXCOLOR_CACHE__MEMORY", "0");
        let server =
            Setup::new().env(name, value).env(none.0, none.1).env("PIXCOLOR_CACHE__MAX_BYTES", "0").start();
        let path = output(&pipe(&server, &image(&Picture::png(64, 48, 1))));
        let file = server.get(&path);
        file.picture();
        assert_eq!(
            (file.header("x-data-type"), file.header("content-type")),
            ("file", "application/octet-stream")
        );
        let kept = server.path(DATA).join("temp").join(path.rsplit_once('/').unwrap().1);
        let kept = std::fs::File::options().write(true).open(kept).unwrap();
        kept.set_modified(SystemTime::now() - Duration::from_secs(86_400)).unwrap();
        error(&server.get(&path), 404);
    }
}

#[test]
fn with_a_cache_per_client_results_are_private() {
    let server = Setup::new().env("PIXCOLOR_CACHE__SHARE", "\"client\"").start();
    let bob = key(&server, "bob");
    let bob = [("Authorization", bob.as_str())];
    let answer = post_json(&server, super::ALGORITHM, &bob, &image(&Picture::png(64, 48, 1)));
    let path = output(&answer);
    assert_eq!(server.get_with(&path, &bob).status, 200);
    error(&server.get(&path), 404);
    let wrong: Value = server.get_with(&path, &[("Authorization", "simWRONG")]).json();
    assert!(wrong["error"]["message"].as_str().unwrap().starts_with("authorization required"));
}
