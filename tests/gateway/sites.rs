//! Requests that another web site makes a browser send. tests/browser/sites.rs sends them with a real browser.

use crate::harness::{Picture, Server, Setup};

/// Sends a small image with these headers.
#[track_caller]
fn colorize(server: &Server, headers: &[(&str, &str)]) -> u16 {
    server.post("/v1/colorize", headers, &Picture::png(16, 16, 1).bytes).status
}

#[test]
fn cross_site_browser_requests_are_rejected_and_programs_pass() {
    let server = Server::start();
    let own = server.url("");
    let other_port = format!("http://127.0.0.1:{}", server.address.port() ^ 1);
    for (headers, status) in [
        (&[][..], 200),
        (&[("Sec-Fetch-Site", "none")], 200),
        (&[("Sec-Fetch-Site", "same-origin")], 200),
        (&[("Sec-Fetch-Site", "same-origin"), ("Origin", "null")], 200),
        (&[("Sec-Fetch-Site", "same-site")], 403),
        (&[("Sec-Fetch-Site", "cross-site")], 403),
        (&[("Sec-Fetch-Site", "cross-site"), ("Origin", &own)], 403),
        (&[("Origin", &own)], 200),
        (&[("Origin", &other_port)], 403),
        (&[("Origin", "https://evil.example")], 403),
        (&[("Origin", "null")], 403),
    ] {
        assert_eq!(colorize(&server, headers), status, "{headers:?}");
    }
    let refused = server.post("/v1/colorize", &[("Sec-Fetch-Site", "cross-site")], b"x");
    let problem = refused.problem(403);
    assert_eq!(problem["type"], "urn:pixcolor:problem:cross-site");
    // Requests that only read are allowed.
    for path in ["/", "/v1/providers", "/healthz"] {
        assert_eq!(server.get_with(path, &[("Sec-Fetch-Site", "cross-site")]).status, 200, "{path}");
    }
    assert_eq!(server.get("/").header("referrer-policy"), "same-origin");
    assert!(server.metric("pixcolor_denied_requests_total{reason=\"site\"}") > 5.9);
}

#[test]
fn every_route_with_effects_or_costs_rejects_other_sites() {
    let server = Setup::new()
        .env("MY_TOKEN", "let-me-in")
        .env("PIXCOLOR_ADMIN__TOKEN", r#"{ env = "MY_TOKEN" }"#)
        .env("PIXCOLOR_FACADES__ALGORITHMIA__STORAGE", "true")
        .start();
    for (method, path) in [
        ("POST", "/"),
        ("POST", "/image"),
        ("POST", "/v1/colorize"),
        ("POST", "/v1/estimate"),
        ("POST", "/v1/images/edits"),
        ("POST", "/v1/algo/deeplearning/ColorfulImageColorization/1.1.13"),
        ("PUT", "/v1/data/.my/a/b"),
        ("DELETE", "/v1/data/.my/a"),
        ("PATCH", "/v1/data/.my/a"),
        ("DELETE", "/v1/admin/cache"),
        ("POST", "/nowhere"),
    ] {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer let-me-in\r\n\
             Origin: https://evil.example\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        let answer = std::io::read_to_string(server.raw(head.as_bytes())).unwrap();
        assert!(answer.starts_with("HTTP/1.1 403"), "{method} {path}: {answer}");
    }
}

#[test]
fn a_cross_site_image_declared_as_a_form_is_rejected() {
    let server = Server::start();
    let picture = Picture::png(16, 16, 1);
    // The content types that a browser sends cross-site without a preflight request, and no content type.
    for kind in ["application/x-www-form-urlencoded", "text/plain", ""] {
        let ask = |path: &str, more: (&str, &str)| {
            let kind = Some(("Content-Type", kind)).filter(|(_, kind)| !kind.is_empty());
            let headers: Vec<_> = kind.into_iter().chain([more]).collect();
            server.post(path, &headers, &picture.bytes).status
        };
        for path in ["/v1/colorize", "/v1/estimate", "/"] {
            assert_eq!(ask(path, ("Sec-Fetch-Site", "cross-site")), 403, "{kind} {path}");
            assert_eq!(ask(path, ("Origin", "https://evil.example")), 403, "{kind} {path}");
            assert_eq!(ask(path, ("Sec-Fetch-Site", "none")), 200, "{kind} {path}");
        }
    }
}

#[test]
fn the_form_field_method_never_changes_the_method() {
    let server = Setup::new().env("PIXCOLOR_FACADES__ALGORITHMIA__STORAGE", "true").start();
    let form = ("Content-Type", "application/x-www-form-urlencoded");
    let made = server.post("/v1/data/.my", &[("Content-Type", "application/json")], br#"{"name":"a"}"#);
    assert_eq!(made.status, 200, "{made:?}");
    for body in ["_method=DELETE", "_method=put&x=1", "&_method=DELETE", "_method=PATCH", "_method=GET"] {
        assert_eq!(server.post("/v1/data/.my/a", &[form], body.as_bytes()).status, 400, "{body}");
        assert_eq!(server.get("/v1/data/.my/a").status, 200, "the file is still there: {body}");
        server.post("/v1/results/x", &[form], body.as_bytes()).problem(405);
        server.post("/healthz", &[form], body.as_bytes()).problem(405);
    }
}

#[test]
fn a_loopback_listener_accepts_only_localhost_and_addresses_as_host() {
    let server = Server::start();
    let ask = |server: &Server, path: &str, host: &str| server.get_with(path, &[("Host", host)]);
    for (host, status) in [
        ("localhost", 200),
        ("LOCALHOST:8080", 200),
        ("photos.localhost", 200),
        ("localhost.", 200),
        ("127.0.0.1:1", 200),
        ("[::1]:8080", 200),
        ("192.0.2.7", 200),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("notlocalhost", 421),
        ("127.0.0.1.evil.example", 421),
    ] {
        assert_eq!(ask(&server, "/v1/providers", host).status, status, "{host}");
        assert_eq!(ask(&server, "/healthz", host).status, 200, "{host}");
        assert_ne!(ask(&server, "/readyz", host).status, 421, "{host}");
        assert_eq!(ask(&server, "/nowhere", host).status == 421, status == 421, "{host}");
    }
    let refused = ask(&server, "/", "evil.example").problem(421);
    assert!(refused["detail"].as_str().unwrap().contains(r#"hosts = ["evil.example"]"#), "{refused}");
    let own = server.raw(b"GET /v1/providers HTTP/1.0\r\n\r\n");
    assert!(
        std::io::read_to_string(own).unwrap().contains(" 200 "),
        "a request without Host is not from a browser"
    );
}

#[test]
fn with_hosts_only_these_names_are_accepted_except_from_trusted_proxies() {
    let hosts = r#"["photos.example.org", "*.photos.example.org", "192.0.2.7"]"#;
    let start = |more: &[(&str, &str)]| {
        let setup = Setup::new().env("PIXCOLOR_HOSTS", hosts);
        more.iter().fold(setup, |setup, (name, value)| setup.env(name, value)).start()
    };
    let server = start(&[]);
    let ask = |server: &Server, host: &str| server.get_with("/v1/providers", &[("Host", host)]).status;
    for (host, status) in [
        ("photos.example.org", 200),
        ("Photos.Example.org:8443", 200),
        ("a.photos.example.org", 200),
        ("192.0.2.7:80", 200),
        ("example.org", 421),
        ("localhost", 421),
        ("127.0.0.1", 421),
    ] {
        assert_eq!(ask(&server, host), status, "{host}");
    }
    let unnamed = server.raw(b"GET /v1/providers HTTP/1.0\r\n\r\n");
    assert!(std::io::read_to_string(unnamed).unwrap().contains(" 421 "));
    let behind = start(&[("PIXCOLOR_TRUSTED_PROXIES", r#"["127.0.0.1"]"#)]);
    assert_eq!(ask(&behind, "evil.example"), 200);
}

#[test]
fn a_separate_metrics_listener_and_mapped_loopback_addresses_check_the_host_too() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = Setup::new()
        .env("PIXCOLOR_METRICS__ADDRESS", format!("127.0.0.1:{port}"))
        .env("PIXCOLOR_HOSTS", r#"["photos.example.org"]"#)
        .start();
    let metrics = |host: &str| {
        let request =
            crate::harness::agent().get(format!("http://127.0.0.1:{port}/metrics")).header("Host", host);
        request.call().unwrap().status().as_u16()
    };
    assert_eq!((metrics("127.0.0.1"), metrics("localhost:9464")), (200, 200), "{}", server.said());
    assert_eq!(metrics("evil.example"), 421);

    let mapped = Setup::new().env("ROCKET_ADDRESS", "::ffff:127.0.0.1").start();
    let evil = "GET /v1/providers HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", mapped.address.port())).unwrap();
    std::io::Write::write_all(&mut stream, evil.as_bytes()).unwrap();
    assert!(std::io::read_to_string(stream).unwrap().contains(" 421 "));
}

#[test]
fn a_configured_host_with_a_port_or_scheme_is_rejected() {
    let folder = tempfile::tempdir().unwrap();
    for wrong in ["photos.example.org:8080", "https://photos.example.org", "*", ""] {
        let mut check = crate::harness::server::pixcolor(folder.path());
        let output = check.arg("check").env("PIXCOLOR_HOSTS", format!("[{wrong:?}]")).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains("`hosts`"), "{wrong}: {said}");
    }
}
