//! The files of the page: content codings, versions, the manifest and the service worker.

use std::io::Read;

use crate::harness::{Answer, Picture, Server, Setup, agent};

/// Bodies without pictures, which are sent in a coding.
const TEXTS: [&str; 9] = [
    "/",
    "/docs",
    "/openapi.json",
    "/sw.js",
    "/favicon.ico",
    "/static/app.css",
    "/static/app.js",
    "/static/manifest.webmanifest",
    "/static/README.md",
];

fn get(server: &Server, path: &str, accepted: &str) -> Answer {
    let answer = server.get_with(path, &[("Accept-Encoding", accepted)]);
    assert_eq!(answer.status, 200, "{path}");
    answer
}

/// The body of a response without its coding.
fn decoded(answer: &Answer) -> Vec<u8> {
    let mut bytes = Vec::new();
    match answer.header("content-encoding") {
        "br" => brotli::Decompressor::new(&answer.body[..], 4096).read_to_end(&mut bytes).unwrap(),
        "gzip" => flate2::read::GzDecoder::new(&answer.body[..]).read_to_end(&mut bytes).unwrap(),
        "" => return answer.body.clone(),
        other => panic!("{other}"),
    };
    bytes
}

/// The URLs of static files in a text.
fn files(text: &str) -> Vec<&str> {
    text.split('"').filter(|text| text.starts_with("/static/")).collect()
}

/// The version in the URLs of static files.
fn version(server: &Server) -> String {
    files(server.get("/").text())[0].split('/').nth(2).unwrap().to_owned()
}

#[test]
fn texts_are_sent_in_the_coding_that_the_client_prefers() {
    let server = Server::start();
    for path in TEXTS {
        let plain = server.get(path);
        assert_eq!(
            (plain.header("content-encoding"), plain.header("vary")),
            ("", "Accept-Encoding"),
            "{path}"
        );
        for (accepted, coding) in [
            ("gzip, deflate, br, zstd", "br"),
            ("gzip, deflate", "gzip"),
            ("br;q=0.5, gzip;q=0.8", "gzip"),
            ("br;q=0, *", "gzip"),
            ("identity;q=0, br;q=0.1", "br"),
            ("br;q=0.1, identity", ""),
            ("deflate, identity;q=0", ""),
        ] {
            let answer = get(&server, path, accepted);
            assert_eq!(answer.header("content-encoding"), coding, "{path}: {accepted}");
            assert_eq!(answer.header("content-type"), plain.header("content-type"), "{path}");
            assert_eq!(answer.header("vary"), "Accept-Encoding", "{path}");
            assert!(decoded(&answer) == plain.body, "{path}: {accepted}");
            assert_eq!(answer.header("content-length"), answer.body.len().to_string(), "{path}");
            assert!(coding.is_empty() || answer.body.len() < plain.body.len(), "{path}: {accepted}");
        }
    }
}

#[test]
fn pictures_are_never_sent_in_a_coding() {
    let server = Server::start();
    let picture = Picture::png(64, 48, 1);
    let all = ("Accept-Encoding", "br, gzip");
    let result = server.post("/v1/colorize", &[all], &picture.bytes);
    let (form, body) = picture.multipart(&[]);
    let page = server.post("/", &[all, ("Content-Type", &form)], &body);
    assert!(page.text().contains("data:image/png;base64,"));
    let stored = get(&server, result.header("content-location"), all.1);
    let files = ["sample.jpg", "sample-small.webp", "icon-192.png"].map(|name| format!("/static/{name}"));
    let files = files.map(|path| get(&server, &path, all.1));
    for answer in [result, page, stored].into_iter().chain(files) {
        assert_eq!((answer.status, answer.header("content-encoding")), (200, ""), "{:?}", answer.headers);
        assert!(!answer.header("vary").contains("Accept-Encoding"), "{:?}", answer.headers);
    }
}

#[test]
fn each_coding_has_its_own_entity_tag() {
    let server = Server::start();
    let path = "/static/app.css";
    let tags = ["", "gzip", "br"].map(|coding| get(&server, path, coding).header("etag").to_owned());
    assert!(tags[0] != tags[1] && tags[1] != tags[2] && tags[0] != tags[2], "{tags:?}");
    assert!(tags.iter().all(|tag| tag.starts_with('"')), "strong tags: {tags:?}");
    for (index, coding) in ["", "gzip", "br"].into_iter().enumerate() {
        for (known, tag) in tags.iter().enumerate() {
            let listed = format!("\"other\", W/{tag}");
            for sent in [tag, &listed] {
                let headers = [("Accept-Encoding", coding), ("If-None-Match", sent.as_str())];
                let answer = server.get_with(path, &headers);
                assert_eq!(answer.status, if known == index { 304 } else { 200 }, "{coding}: {sent}");
                assert_eq!(
                    (answer.header("etag"), answer.header("vary")),
                    (&*tags[index], "Accept-Encoding")
                );
                assert_eq!(answer.body.is_empty(), known == index);
            }
        }
    }
    let any = server.get_with("/static/sample.jpg", &[("If-None-Match", "*")]);
    assert_eq!((any.status, any.body.len()), (304, 0));
}

#[test]
fn head_has_the_headers_of_get() {
    let server = Server::start();
    for path in ["/", "/static/app.js", "/openapi.json"] {
        for accepted in ["br", "gzip", "identity"] {
            let whole = get(&server, path, accepted);
            let head = agent().head(server.url(path)).header("Accept-Encoding", accepted).call().unwrap();
            let head = Answer::new(head);
            assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
            for name in ["content-length", "content-encoding", "content-type", "etag", "vary"] {
                assert_eq!(head.header(name), whole.header(name), "{path}: {accepted}: {name}");
            }
        }
    }
}

#[test]
fn a_url_with_the_current_version_never_changes_and_all_others_are_checked_again() {
    let server = Server::start();
    let version = version(&server);
    assert!(version.len() == 16 && version.bytes().all(|digit| digit.is_ascii_hexdigit()), "{version}");
    let current = server.get("/static/app.js");
    assert_eq!(current.header("cache-control"), "no-cache");
    let versioned = server.get(&format!("/static/{version}/app.js"));
    assert_eq!(versioned.header("cache-control"), "public, max-age=31536000, immutable");
    assert_eq!((&versioned.body, versioned.header("etag")), (&current.body, current.header("etag")));
    for path in ["/static/0123456789abcdef/app.js", "/static/x/app.js", "/static/app.js?v=0123456789abcdef"] {
        let other = server.get(path);
        assert_eq!((other.status, other.header("cache-control")), (200, "no-cache"), "{path}");
        assert_eq!(other.body, current.body, "{path}");
    }
    server.get(&format!("/static/{version}/none.js")).problem(404);
    server.get(&format!("/static/{version}/js/app.js")).problem(404);

    let changed = Setup::new()
        .file("files/own.css", "p { color: green }")
        .file("config/pixcolor.toml", "[assets]\nstatic = \"../files\"\n")
        .start();
    assert_ne!(self::version(&changed), version, "the version covers every file");
}

#[test]
fn the_page_preloads_the_modules_that_its_script_imports() {
    let server = Server::start();
    let page = server.get("/");
    let preloaded: Vec<&str> =
        page.text().lines().filter(|line| line.contains("modulepreload")).flat_map(files).collect();
    assert!(!preloaded.is_empty(), "{}", page.text());
    for path in &preloaded {
        let module = server.get(path);
        assert_eq!(module.header("content-type"), "text/javascript", "{path}");
        assert!(module.header("cache-control").contains("immutable"), "{path}");
    }
    let script = server.get("/static/app.js");
    for line in script.text().lines().filter(|line| line.starts_with("import ")) {
        let name = line.rsplit("\"./").next().unwrap().trim_end_matches("\";");
        assert!(preloaded.iter().any(|path| path.ends_with(&format!("/{name}"))), "{name}");
    }
}

#[test]
fn the_page_can_be_installed() {
    let server = Server::start();
    let page = server.get("/");
    let links = files(page.text());
    let manifest = links.iter().find(|path| path.ends_with("/manifest.webmanifest")).unwrap();
    let answer = server.get(manifest);
    assert_eq!(answer.header("content-type"), "application/manifest+json");
    let facts = answer.json();
    assert_eq!((&facts["start_url"], &facts["display"]), (&"/".into(), &"standalone".into()));
    for color in ["theme_color", "background_color"] {
        let used = format!("content=\"{}\"", facts[color].as_str().unwrap());
        assert!(page.text().contains(&used), "the page has another {color}");
    }
    let mut sizes = Vec::new();
    for icon in facts["icons"].as_array().unwrap() {
        let url = manifest.replace("manifest.webmanifest", icon["src"].as_str().unwrap());
        let answer = server.get(&url);
        assert_eq!((answer.status, answer.header("content-type")), (200, icon["type"].as_str().unwrap()));
        if answer.header("content-type") == "image/png" {
            let picture = answer.picture();
            assert_eq!(icon["sizes"], format!("{}x{}", picture.width(), picture.height()));
            sizes.push((picture.width(), icon["purpose"].as_str()));
        }
    }
    assert_eq!(sizes, [(192, None), (512, None), (512, Some("maskable"))]);
}

#[test]
fn the_service_worker_has_the_page_s_version_and_files() {
    let server = Server::start();
    let worker = server.get("/sw.js");
    assert_eq!((worker.status, worker.header("content-type")), (200, "text/javascript"));
    assert_eq!(worker.header("cache-control"), "no-cache");
    let policy = worker.header("content-security-policy");
    assert!(policy.contains("connect-src 'self'") && !policy.contains("sandbox"), "{policy}");
    assert!(
        worker.text().contains(&format!("const VERSION = \"{}\";", version(&server))),
        "{}",
        worker.text()
    );
    let stored = files(worker.text());
    let page = server.get("/");
    let needed =
        files(page.text()).into_iter().filter(|path| path.ends_with(".js") || path.ends_with(".css"));
    for path in needed {
        assert!(stored.contains(&path), "{path} is not in {stored:?}");
    }
    for path in stored {
        assert!(server.get(path).header("cache-control").contains("immutable"), "{path}");
    }
    let policy = page.header("content-security-policy");
    assert!(policy.contains("worker-src 'self'") && policy.contains("manifest-src 'self'"), "{policy}");
}
