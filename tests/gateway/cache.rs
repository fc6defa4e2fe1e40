//! The cache: repeats, restarts, concurrent requests, and result URLs.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::fakes::KEY;
use crate::fakes::algorithmia::{Algorithmia, Behavior};
use crate::harness::server::pixcolor;
use crate::harness::{Answer, Picture, Server, Setup};

/// A gateway whose cache is in this folder.
fn keeping_in(folder: &Path) -> Setup {
    Setup::new().env("PIXCOLOR_CACHE__DIR", folder)
}

/// A gateway whose only provider is a remote host that reports 1.4 seconds for each call, which costs 2 credits.
fn paid(fake: &Algorithmia) -> Setup {
    Setup::new()
        .file("config/pixcolor.toml", "route = [\"algorithmia\"]\n")
        .env("ALGORITHMIA_API", fake.url())
        .env("ALGORITHMIA_API_KEY", KEY)
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The URL of an upload's result, by the SHA-256 of the upload.
pub fn by_fingerprint(picture: &Picture) -> String {
    format!("/v1/results/sha256/{}", sha256(&picture.bytes))
}

#[track_caller]
fn is(answer: &Answer, cache_status: &str) {
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    assert_eq!(answer.header("cache-status"), format!("PixColor; {cache_status}"));
}

#[test]
fn a_repeated_upload_costs_nothing_and_reports_the_saving() {
    let fake = Algorithmia::start();
    let server = paid(&fake).start();
    let picture = Picture::jpeg(300, 200, 1);
    let first = server.colorize(&picture);
    is(&first, "fwd=miss; stored");
    assert_eq!((first.header("x-pixcolor-credits"), first.header("x-pixcolor-saved")), ("2", ""));

    let second = server.colorize(&picture);
    is(&second, "hit; detail=memory");
    assert_eq!(second.body, first.body);
    assert_eq!(second.header("etag"), first.header("etag"));
    assert_eq!(second.header("x-pixcolor-provider"), "algorithmia");
    assert_eq!(second.header("x-pixcolor-credits"), "0");
    let saved = second.header("x-pixcolor-saved");
    assert!(saved.starts_with("credits=2, seconds="), "{saved}");

    // The same image in another file: its chroma is cached.
    let (png, webp) = (Picture::png(300, 200, 2), Picture::webp(300, 200, 2));
    is(&server.colorize(&png), "fwd=miss; stored");
    let other = server.colorize(&webp);
    is(&other, "hit; detail=merged-memory");
    assert_eq!(other.header("x-pixcolor-credits"), "0");
    assert_eq!(fake.calls(), 2);

    let headers = [("Accept", "application/json")];
    let facts = server.post("/v1/colorize", &headers, &picture.bytes).json();
    assert_eq!((&facts["cache"], &facts["credits"]), (&"memory".into(), &"0".into()));
    assert_eq!(facts["saved"]["credits"], "2");
    assert_eq!(facts["result"], format!("/v1/results/{}", facts["sha256"].as_str().unwrap()));

    assert_eq!(server.metric("pixcolor_renditions_total{origin=\"memory\"}"), 2.0);
    assert_eq!(server.metric("pixcolor_renditions_total{origin=\"merged\"}"), 1.0);
    assert_eq!(server.metric("pixcolor_saved_credits_total{provider=\"algorithmia\",reason=\"hit\"}"), 6.0);
    assert_eq!(server.metric("pixcolor_cache_entries{tier=\"disk\"}"), 8.0);
}

#[test]
fn the_page_and_the_2017_page_use_the_cache_too() {
    let server = Server::start();
    let picture = Picture::jpeg(64, 48, 1);
    let (form, body) = picture.multipart(&[]);
    let result = server.post("/", &[("Content-Type", &form)], &body);
    is(&result, "fwd=miss; stored");
    let legacy = server.post("/image", &[], picture.data_url().as_bytes());
    is(&legacy, "hit; detail=memory");
}

#[test]
fn entries_survive_a_restart_and_damaged_entries_are_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let picture = Picture::png(120, 80, 1);
    let first = keeping_in(folder.path()).start().colorize(&picture);

    let server = keeping_in(folder.path()).start();
    let second = server.colorize(&picture);
    is(&second, "hit; detail=disk");
    assert_eq!(second.body, first.body);
    is(&server.colorize(&picture), "hit; detail=memory");
    drop(server);

    let files = files(folder.path());
    assert_eq!(files.len(), 3, "facts, picture and colour: {files:?}");
    for file in files {
        let mut bytes = std::fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&file, bytes).unwrap();
    }
    let server = keeping_in(folder.path()).start();
    let third = server.colorize(&picture);
    is(&third, "fwd=miss; stored");
    assert_eq!(third.body, first.body);
    assert_eq!(server.metric("pixcolor_cache_errors_total{error=\"damaged\",tier=\"disk\"}"), 2.0);
    drop(server);
    is(&keeping_in(folder.path()).start().colorize(&picture), "hit; detail=disk");
}

/// The files of the cache entries.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let inside = folders.iter().flat_map(|folder| self::files(folder));
    inside.chain(files).filter(|path| !path.ends_with("CACHEDIR.TAG")).collect()
}

#[test]
fn an_unusable_cache_folder_is_reported_and_fails_no_request() {
    let server = keeping_in(Path::new("/dev/null/cache")).start();
    assert!(server.said().contains("cache.dir"), "{}", server.said());
    let picture = Picture::png(64, 48, 1);
    is(&server.colorize(&picture), "fwd=miss; stored");
    is(&server.colorize(&picture), "hit; detail=memory");
}

#[test]
fn a_result_has_an_immutable_url() {
    let server = Server::start();
    let made = server.colorize(&Picture::jpeg(200, 100, 1));
    let address = made.header("content-location");
    assert_eq!(address, format!("/v1/results/{}", sha256(&made.body)));

    let got = server.get(address);
    is(&got, "hit; detail=memory");
    assert_eq!(got.body, made.body);
    assert_eq!(got.header("content-type"), "image/jpeg");
    assert_eq!(got.header("cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(got.header("etag"), made.header("etag"));

    let head = Answer::new(crate::harness::agent().head(server.url(address)).call().unwrap());
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), made.body.len().to_string());
    let etag = made.header("etag");
    for (tags, status) in [
        (etag.to_owned(), 304),
        (format!("W/{etag}"), 304),
        (format!("\"other\", {etag}"), 304),
        ("*".to_owned(), 304),
        ("\"other\"".to_owned(), 200),
    ] {
        let answer = server.get_with(address, &[("If-None-Match", &tags)]);
        assert_eq!(answer.status, status, "{tags}");
        assert_eq!(answer.body.len(), if status == 304 { 0 } else { made.body.len() });
        assert_eq!(answer.header("etag"), etag);
        assert!(answer.header("cache-control").contains("immutable"));
    }
    for wrong in ["0".repeat(64), sha256(&made.body).to_uppercase(), "x".to_owned()] {
        server.get(&format!("/v1/results/{wrong}")).problem(404);
    }
    assert_eq!(server.post(address, &[], b"").header("allow"), "GET, HEAD");
}

#[test]
fn a_lookup_by_fingerprint_needs_no_upload() {
    let server = Server::start();
    let picture = Picture::jpeg(200, 100, 1);
    let address = by_fingerprint(&picture);
    let none = server.get(&address);
    none.problem(404);
    assert_eq!(none.header("cache-control"), "no-store");

    let made = server.colorize(&picture);
    let got = server.get(&address);
    is(&got, "hit; detail=memory");
    assert_eq!(got.body, made.body);
    assert_eq!((got.header("cache-control"), got.header("vary")), ("public, no-cache", "Accept"));
    assert_eq!(got.header("content-location"), made.header("content-location"));
    assert_eq!((got.header("x-pixcolor-provider"), got.header("x-pixcolor-credits")), ("local", "0"));
    assert!(got.header("x-pixcolor-saved").starts_with("credits=0, seconds="));
    let hits = || server.metric("pixcolor_renditions_total{origin=\"memory\"}");
    let before = hits();
    assert_eq!(server.get_with(&address, &[("If-None-Match", made.header("etag"))]).status, 304);
    assert_eq!(crate::harness::agent().head(server.url(&address)).call().unwrap().status(), 200);
    assert_eq!((before, hits()), (1.0, 1.0), "a response without a picture is not counted as a saving");
    let again = server.get(&address);
    assert_eq!((again.status, hits()), (200, 2.0));

    server.get(&format!("{address}?format=png")).problem(404);
    server.get_with(&address, &[("Accept", "image/png")]).problem(404);
    is(&server.get(&format!("{address}?format=jpg&provider=local")), "hit; detail=memory");
    is(&server.get_with(&address, &[("Accept", "image/*")]), "hit; detail=memory");
    let upper = format!("/v1/results/sha256/{}", sha256(&picture.bytes).to_uppercase());
    is(&server.get(&upper), "hit; detail=memory");
    server.get("/v1/results/sha256/abc").problem(400);
    server.get(&format!("{address}?provider=nobody")).problem(400);
    server.get(&format!("{address}?format=gif")).problem(400);
    assert_eq!(server.metric("pixcolor_renditions_total{origin=\"miss\"}"), 1.0);
}

#[test]
fn no_cache_makes_a_new_rendition_and_no_store_stores_nothing() {
    let fake = Algorithmia::start();
    let folder = tempfile::tempdir().unwrap();
    let server = paid(&fake).env("PIXCOLOR_CACHE__DIR", folder.path()).start();
    let picture = Picture::png(64, 48, 1);
    let with = |value| server.post("/v1/colorize", &[("Cache-Control", value)], &picture.bytes);
    let unkept = with("no-store");
    is(&unkept, "fwd=miss");
    assert_eq!(unkept.header("content-location"), "");
    server.get(&by_fingerprint(&picture)).problem(404);
    assert_eq!(files(folder.path()), Vec::<std::path::PathBuf>::new());
    is(&server.colorize(&picture), "fwd=miss; stored");
    is(&with("no-cache"), "fwd=request; stored");
    is(&with("max-age=0"), "hit; detail=memory");
    assert_eq!(fake.calls(), 3);
}

#[test]
fn two_hundred_concurrent_requests_share_one_call() {
    let fake = Algorithmia::start();
    fake.hold(true);
    let server = paid(&fake).start();
    let picture = Picture::png(96, 64, 1);
    let answers: Vec<_> = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..200).map(|_| scope.spawn(|| server.colorize(&picture))).collect();
        server.until_in_flight(200);
        fake.hold(false);
        asked.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    assert_eq!(fake.calls(), 1);
    let mut paid = 0;
    for answer in &answers {
        assert_eq!(answer.body, answers[0].body);
        assert_eq!(answer.header("etag"), answers[0].header("etag"));
        match answer.header("cache-status") {
            "PixColor; fwd=miss; stored" => {
                paid += 1;
                assert_eq!(answer.header("x-pixcolor-credits"), "2");
            }
            // A late request finds the result in the cache.
            status => {
                assert!(["PixColor; fwd=miss; collapsed", "PixColor; hit; detail=memory"].contains(&status));
                assert_eq!(answer.header("x-pixcolor-credits"), "0");
                assert!(answer.header("x-pixcolor-saved").starts_with("credits=2, "));
            }
        }
    }
    assert_eq!(paid, 1);
    assert!(
        server.metric("pixcolor_saved_credits_total{provider=\"algorithmia\",reason=\"coalesced\"}") > 300.0
    );
}

#[test]
fn a_call_continues_after_its_client_has_left() {
    let fake = Algorithmia::start();
    fake.always(Behavior::Slow(Duration::from_secs(3)));
    let server = paid(&fake).start();
    let picture = Picture::png(96, 64, 1);
    let head = format!(
        "POST /v1/colorize HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n",
        picture.bytes.len()
    );
    let mut leader = server.raw(head.as_bytes());
    leader.write_all(&picture.bytes).unwrap();
    server.until("a call", |_| fake.calls() > 0);
    drop(leader);
    let answers: Vec<_> = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..200).map(|_| scope.spawn(|| server.colorize(&picture))).collect();
        asked.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    assert_eq!(fake.calls(), 1);
    for answer in answers {
        assert_eq!(answer.header("x-pixcolor-credits"), "0");
        answer.picture();
    }
}

#[test]
fn all_followers_get_the_same_error_of_one_failed_call() {
    let fake = Algorithmia::start();
    // The host sends no response before all requests have arrived.
    fake.hold(true);
    fake.always(Behavior::Envelope("not today", Some("InputError")));
    let server = paid(&fake).start();
    let picture = Picture::png(96, 64, 1);
    let answers: Vec<_> = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..200).map(|_| scope.spawn(|| server.colorize(&picture))).collect();
        server.until_in_flight(200);
        fake.hold(false);
        asked.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    assert_eq!(fake.calls(), 1);
    for answer in answers {
        let problem = answer.problem(502);
        assert_eq!(problem["attempts"][0]["failure"], "rejected", "{problem}");
    }
    fake.always(Behavior::Color);
    is(&server.colorize(&picture), "fwd=miss; stored");
}

#[test]
fn the_cache_can_be_separate_for_each_client() {
    let server = Setup::new().env("PIXCOLOR_CACHE__SHARE", "client").start();
    let picture = Picture::png(64, 48, 1);
    let [one, two, three] = ["one", "two", "three"].map(|name| server.command(&["key", "new", name]));
    let ask = |key: &str| server.post("/v1/colorize", &[("Authorization", key)], &picture.bytes);
    let made = ask(&one);
    is(&made, "fwd=miss; stored");
    is(&ask(&one), "hit; detail=memory");
    is(&ask(&two), "fwd=miss; stored");
    for address in [made.header("content-location"), &by_fingerprint(&picture)] {
        let theirs = server.get_with(address, &[("Authorization", &one)]);
        is(&theirs, "hit; detail=memory");
        assert!(theirs.header("cache-control").starts_with("private, "));
        server.get_with(address, &[("Authorization", &three)]).problem(404);
        server.get(address).problem(404);
    }
}

#[test]
fn administrators_list_and_delete_cache_entries() {
    let server = Setup::new()
        .file("config/pixcolor.toml", "[admin]\ntoken = { env = \"TOKEN\" }\n")
        .env("TOKEN", "let me in")
        .start();
    let admin = ("Authorization", "Bearer let me in");
    let (one, other) = (Picture::png(64, 48, 1), Picture::png(64, 48, 2));
    server.colorize(&one);
    server.colorize(&other);
    let kept = server.get_with("/v1/admin/cache", &[admin]).json();
    for (index, tier) in ["memory", "disk"].into_iter().enumerate() {
        let facts = &kept["tiers"][index];
        assert_eq!((&facts["tier"], &facts["entries"]), (&tier.into(), &6.into()), "{kept}");
        assert!(facts["bytes"].as_u64().unwrap() > 1000);
    }
    let delete = |path: &str, token: &str| {
        let request = crate::harness::agent().delete(server.url(path)).header("Authorization", token);
        Answer::new(request.call().unwrap())
    };
    let address = format!("/v1/admin/cache/{}", sha256(&one.bytes));
    delete(&address, "Bearer wrong").problem(403);
    let gone = delete(&address, admin.1).json();
    assert_eq!((&gone["forgotten"], &gone["colour"]), (&3.into(), &"forgotten".into()));
    let gone = delete(&address, admin.1).json();
    assert_eq!((&gone["forgotten"], &gone["colour"]), (&0.into(), &"unknown".into()));
    server.get(&by_fingerprint(&one)).problem(404);
    is(&server.get(&by_fingerprint(&other)), "hit; detail=memory");
    delete("/v1/admin/cache/abc", admin.1).problem(400);
    assert_eq!(delete("/v1/admin/cache", admin.1).status, 204);
    is(&server.colorize(&other), "fwd=miss; stored");
    Server::start().get_with("/v1/admin/cache", &[admin]).problem(404);
}

#[test]
fn every_response_of_the_cached_routes_has_a_cache_status() {
    let fake = Algorithmia::start();
    let server = paid(&fake).start();
    let picture = Picture::png(64, 48, 1);
    let says = |answer: &Answer, status: u16, cache_status: &str| {
        assert_eq!(answer.status, status, "{}", String::from_utf8_lossy(&answer.body));
        assert_eq!(answer.header("cache-status"), format!("PixColor; {cache_status}"));
    };
    says(&server.get(&by_fingerprint(&picture)), 404, "fwd=uri-miss; detail=not-found");
    says(&server.get(&format!("/v1/results/{}", "0".repeat(64))), 404, "fwd=uri-miss; detail=not-found");
    says(&server.get("/v1/results/sha256/abc"), 400, "detail=not-asked");
    says(&server.post("/v1/colorize", &[], b"no picture"), 415, "detail=not-asked");
    says(&server.post("/image", &[], b"no data URL"), 400, "detail=not-asked");
    says(&server.post("/v1/colorize?provider=nobody", &[], &picture.bytes), 400, "detail=not-asked");
    says(&server.post("/", &[("Content-Type", "image/png")], b"no picture"), 415, "detail=not-asked");
    says(&server.get("/v1/colorize"), 405, "detail=not-asked");
    fake.always(Behavior::PlainText(500));
    says(&server.colorize(&picture), 502, "fwd=miss; detail=provider-failed");
    let fresh = [("Cache-Control", "no-cache")];
    says(&server.post("/v1/colorize", &fresh, &picture.bytes), 502, "fwd=request; detail=provider-failed");
    let page = server.post("/", &[("Content-Type", "image/png")], &picture.bytes);
    says(&page, 502, "fwd=miss; detail=provider-failed");
    assert_eq!(server.get("/healthz").header("cache-status"), "");
}

/// Runs the command line in a folder; returns its exit code and output.
fn run(folder: &Path, args: &[&str]) -> (Option<i32>, String) {
    let output = pixcolor(folder).args(args).output().unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

#[test]
fn the_command_line_stores_looks_up_counts_and_deletes_entries() {
    let folder = tempfile::tempdir().unwrap();
    let picture = Picture::jpeg(64, 48, 1);
    std::fs::write(folder.path().join("a.jpg"), &picture.bytes).unwrap();
    let color = || run(folder.path(), &["colorize", "a.jpg", "--force"]).1;
    assert!(color().contains("coloured by local in"));
    assert!(color().contains("coloured by local before, found in"));

    let (code, said) = run(folder.path(), &["cache", "stats"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(".cache/pixcolor: 3 entries"), "{said}");
    let (code, said) = run(folder.path(), &["cache", "rm", "abc"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("sha256sum"), "{said}");
    let (code, said) = run(folder.path(), &["cache", "rm", &sha256(&picture.bytes)]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("3 entries are removed") && !said.contains("The cache has no pixels"), "{said}");
    assert!(color().contains("coloured by local in"));

    // Removes all entries but the chroma, which can be found only by its pixel key.
    let kept = files(&folder.path().join(".cache/pixcolor"));
    let (color_alone, others): (Vec<_>, Vec<_>) =
        kept.into_iter().partition(|path| path.extension().is_some_and(|kind| kind == "chroma"));
    assert_eq!((color_alone.len(), others.len()), (1, 2));
    others.iter().for_each(|path| std::fs::remove_file(path).unwrap());
    let (_, said) = run(folder.path(), &["cache", "rm", &sha256(&picture.bytes)]);
    assert!(said.contains("0 entries are removed") && said.contains("The cache has no pixels for"), "{said}");
    let (_, said) = run(folder.path(), &["cache", "rm", "a.jpg"]);
    assert!(said.contains("1 entries are removed") && !said.contains("The cache has no pixels"), "{said}");
    assert!(!color_alone[0].exists());
    assert!(color().contains("coloured by local in"));
    assert_eq!(run(folder.path(), &["cache", "clear"]).0, Some(0));
    assert!(run(folder.path(), &["cache", "stats"]).1.contains(" 0 entries"));

    std::fs::create_dir(folder.path().join("config")).unwrap();
    std::fs::write(folder.path().join("config/pixcolor.toml"), "[cache]\nmax_bytes = 0\n").unwrap();
    let (code, said) = run(folder.path(), &["cache", "stats"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("cache.max_bytes"), "{said}");
}

#[test]
fn the_command_line_uses_a_gateway_and_uploads_once() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let picture = Picture::jpeg(64, 48, 1);
    std::fs::write(folder.path().join("a.jpg"), &picture.bytes).unwrap();
    std::fs::write(folder.path().join("bad.jpg"), "rubbish").unwrap();
    let url = format!("http://{}", server.address);
    let color = |args: &[&str]| run(folder.path(), &[&["colorize", "--gateway", &url], args].concat());
    let (code, said) = color(&["a.jpg"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("a-coloured.jpg: coloured by local in"), "{said}");
    let first = std::fs::read(folder.path().join("a-coloured.jpg")).unwrap();
    let kept = server.post("/v1/colorize?metadata=keep", &[("Content-Type", "image/jpeg")], &picture.bytes);
    assert_eq!(first, kept.body);

    let uploads = server.metric("pixcolor_upload_bytes_count");
    let (code, said) = color(&["a.jpg", "-o", "again"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("coloured by local before, found in"), "{said}");
    assert_eq!(server.metric("pixcolor_upload_bytes_count"), uploads, "it was uploaded again");
    assert_eq!(std::fs::read(folder.path().join("again/a-coloured.jpg")).unwrap(), first);

    let (code, said) = color(&["a.jpg", "--format", "webp", "--provider", "local"]);
    assert_eq!(code, Some(0), "{said}");
    let webp = std::fs::read(folder.path().join("a-coloured.webp")).unwrap();
    assert_eq!(image::guess_format(&webp).unwrap(), image::ImageFormat::WebP);

    let (code, said) = color(&["bad.jpg"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("not a picture"), "{said}");
    assert!(!folder.path().join(".cache").exists(), "the command line caches nothing itself");
    drop(server);
    let (code, said) = color(&["a.jpg", "-o", "never"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("no connection"), "{said}");
    let (code, said) = run(folder.path(), &["colorize", "--gateway", "nonsense", "a.jpg"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("http://127.0.0.1:8080"), "{said}");
}
