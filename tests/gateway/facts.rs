//! Routes with information about the server, and properties that all responses have.

use crate::harness::{Picture, Server};

#[test]
fn providers_list_readiness_and_whether_images_leave_the_machine() {
    let server = Server::start();
    let facts = server.get("/v1/providers").json();
    let local = facts["providers"].as_array().unwrap().iter().find(|p| p["name"] == "local").unwrap();
    assert_eq!(local["kind"], "onnx");
    assert_eq!(local["ready"], true);
    assert_eq!(local["leaves_machine"], false);
    assert!(local["model"].as_str().is_some_and(|model| !model.is_empty()));
    assert_eq!(facts["route"], serde_json::json!(["local"]));
}

#[test]
fn healthz_and_readyz_return_200() {
    let server = Server::start();
    assert_eq!(server.get("/healthz").status, 200);
    let ready = server.get("/readyz");
    assert_eq!((ready.status, &ready.json()["status"]), (200, &"ready".into()));
}

#[test]
fn metrics_count_requests_and_calls() {
    let server = Server::start();
    server.colorize(&Picture::png(64, 64, 1));
    server.colorize(&Picture { bytes: b"rubbish".to_vec(), media_type: "image/png" });
    assert!(server.metric(r#"pixcolor_provider_calls_total{outcome="ok",provider="local"}"#) > 0.9);
    for (status, count) in [("200", 1.0), ("415", 1.0)] {
        let name = format!(r#"pixcolor_http_requests_total{{method="POST",status="{status}"}}"#);
        // The counter is updated shortly after the response.
        server.until(&name, |server| server.metric(&name) >= count);
    }
    assert!(server.metric("process_resident_memory_bytes") > 1e6);
    assert!(server.metric(r#"pixcolor_build_info{version="0.1.0"}"#) > 0.9);
}

#[test]
fn a_wrong_method_on_a_known_path_is_405_with_allow() {
    let server = Server::start();
    let agent = crate::harness::agent();
    for (path, allow) in [
        ("/v1/colorize", "POST"),
        ("/image", "POST"),
        ("/v1/providers", "GET, HEAD"),
        ("/healthz", "GET, HEAD"),
        ("/metrics", "GET, HEAD"),
        ("/static/app.css", "GET, HEAD"),
    ] {
        let answer = crate::harness::Answer::new(agent.delete(server.url(path)).call().unwrap());
        answer.problem(405);
        assert_eq!(answer.header("allow"), allow, "{path}");
    }
    server.get("/v1/colorize").problem(405);
    let head = crate::harness::Answer::new(agent.head(server.url("/healthz")).call().unwrap());
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[test]
fn an_unknown_path_is_a_problem() {
    let server = Server::start();
    for path in ["/nothing", "/v1/nothing", "/static/nothing.js", "/static/..%2Fsecret", "/v1/colorize/more"]
    {
        server.get(path).problem(404);
    }
}

#[test]
fn malformed_http_gets_a_problem_or_a_closed_connection() {
    use std::io::Read;
    let server = Server::start();
    for request in [
        "GET /\r\n\r\n".as_bytes(),
        b"\x00\xff\xfe rubbish\r\n\r\n",
        b"GET /%zz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    ] {
        let mut stream = server.raw(request);
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        // A connection reset also counts as the end of the response.
        let _ = stream.read_to_end(&mut answer);
        assert!(!answer.starts_with(b"HTTP/1.1 5"), "{}", String::from_utf8_lossy(&answer));
    }
    assert_eq!(server.get("/healthz").status, 200);
}

#[test]
fn the_page_loads_only_from_this_server_under_a_strict_policy() {
    let server = Server::start();
    let page = server.get("/");
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    let policy = page.header("content-security-policy");
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    let html = page.text();
    let files: Vec<&str> = html.split('"').filter(|text| text.starts_with("/static/")).collect();
    assert!(files.len() >= 2, "{html}");
    for file in files {
        let answer = server.get(file);
        assert_eq!(answer.status, 200, "{file}");
        assert!(answer.header("cache-control").contains("immutable"), "{file}");
        let again = server.get_with(file, &[("If-None-Match", answer.header("etag"))]);
        assert_eq!((again.status, again.body.len()), (304, 0));
    }
    for elsewhere in ["http://", "https://", "//cdn"] {
        let loaded = [format!("src=\"{elsewhere}"), format!("href=\"{elsewhere}")];
        assert!(!html.contains(&loaded[0]), "the page loads a file from another server");
        assert!(html.matches(&loaded[1]).count() == html.matches(&format!("<a href=\"{elsewhere}")).count());
    }
    let picture = server.colorize(&Picture::png(32, 32, 1));
    assert!(picture.header("content-security-policy").contains("sandbox"));
}

#[test]
fn without_javascript_the_form_returns_a_result_page() {
    let server = Server::start();
    let (form, body) = Picture::jpeg(64, 48, 1).multipart(&[]);
    let result = server.post("/", &[("Content-Type", &form)], &body);
    assert_eq!(result.status, 200, "{}", result.text());
    assert!(result.text().contains("data:image/jpeg;base64,"), "{}", result.text());
    let (form, body) = Picture { bytes: b"no picture".to_vec(), media_type: "image/jpeg" }.multipart(&[]);
    let error = server.post("/", &[("Content-Type", &form)], &body);
    assert_eq!((error.status, error.header("content-type")), (415, "text/html; charset=utf-8"));
}
