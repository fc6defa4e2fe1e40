use std::sync::Mutex;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::json;

use super::*;
use crate::config::{ConfigSource, KindConfig, load};
use crate::credit::Credits;

const HEAD: &str = "kind = \"http\"\nmodel = \"m\"\nbase_url = \"https://h\"\nsecrets.key = { env = \"K\" }\n\
    price.terms = [{ per = \"unit\", rate = 2, pointer = \"/used\", most = 10 }]\n\
    request = { body = \"raw\", headers = { a = \"{{secret.key}}\" } }\n";

fn mapping(reply: &str) -> ReplyMapping {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("providers")).unwrap();
    std::fs::write(folder.path().join("pixcolor.toml"), "").unwrap();
    std::fs::write(folder.path().join("providers/x.toml"), format!("{HEAD}{reply}")).unwrap();
    let env = [("K".to_owned(), "planted".to_owned())].into();
    let loaded = load(&ConfigSource { dir: Some(folder.path().to_owned()), env, cwd: None }).unwrap();
    let provider = &loaded.config.providers["x"];
    let KindConfig::Http(config) = &provider.kind else { panic!("another kind") };
    ReplyMapping::new(Arc::new((**config).clone()), &provider.price)
}

fn read(
    mapping: &ReplyMapping,
    status: u16,
    body: &str,
) -> (Result<MappedReply, ProviderError>, Vec<String>) {
    let status = StatusCode::from_u16(status).unwrap();
    let reply = Reply { status, headers: HeaderMap::new(), body: Bytes::from(body.to_owned()) };
    let facts = CallFacts { sent_pixels: 1, timeout: Duration::from_secs(60) };
    let steps = Arc::new(Mutex::new(Vec::new()));
    let told = steps.clone();
    let trace = Trace::new(false, move |_, words| told.lock().unwrap().push(words.to_owned()));
    let reading = mapping.read(&reply, &facts, &trace);
    (reading, std::mem::take(&mut steps.lock().unwrap()))
}

fn usage(credits: i64) -> Usage {
    Usage { credits: Some(Credits::from_micro(credits * 1_000_000)), cpu: None }
}

#[test]
fn a_success_is_read_step_by_step() {
    let mapping = mapping(
        "reply = { output = \"json_base64\", pointer = \"/image/0\", success = { pointer = \"/code\", equals = 0 }, \
         error = [\"/message\"] }\n",
    );
    let (reading, steps) = read(&mapping, 200, r#"{"code": 0, "image": ["aGVs\nbG8="], "used": 3}"#);
    assert_eq!(reading.unwrap(), MappedReply::Done(ReplyImage::File(Bytes::from("hello")), usage(6)));
    assert_eq!(
        steps,
        [
            "status 200 is a success",
            "/code is 0, wanted 0",
            "/image/0 is a picture in base64, 5 bytes",
            "it cost 6 credits"
        ]
    );
    let (reading, steps) = read(&mapping, 200, r#"{"code": 7, "message": "bad planted\n cat", "used": 1}"#);
    let error = reading.unwrap_err();
    assert_eq!((error.kind, error.billed), (FailureKind::Failed, Billed::Yes(usage(2))));
    assert_eq!(error.message, "it reports a failure: bad (the key) cat");
    assert_eq!(steps[1..], ["/code is 7, wanted 0", "/message says: bad (the key) cat"]);
}

#[test]
fn the_cost_is_unknown_if_the_reply_lacks_its_number() {
    let mapping = mapping("reply = { output = \"json_url\", pointer = \"/url\" }\n");
    let (reading, steps) = read(&mapping, 201, r#"{"url": "https://cdn.h/a?sig=s3cret"}"#);
    let address = ReplyImage::Address("https://cdn.h/a?sig=s3cret".to_owned());
    assert_eq!(reading.unwrap(), MappedReply::Done(address, Usage::default()));
    assert!(steps[1] == "/url is an address at cdn.h" && steps[2].contains("unknown"), "{steps:?}");
}

#[test]
fn a_reply_that_differs_from_its_description_is_a_bad_answer() {
    let url = mapping("reply = { output = \"json_url\", pointer = \"/url\" }\n");
    let data = mapping("reply = { output = \"json_data_url\", pointer = \"/url\" }\n");
    for (mapping, body, billed) in [
        (&url, "<h1>planted</h1>", Billed::Unknown),
        (&url, "", Billed::Unknown),
        (&url, "{\"url\": \"https://h/", Billed::Unknown),
        (&url, "{}", Billed::Unknown),
        (&url, r#"{"url": 5, "used": 1}"#, Billed::Yes(usage(2))),
        (&url, r#"{"url": ["https://h/"], "used": 1}"#, Billed::Yes(usage(2))),
        (&data, r#"{"url": "https://h/", "used": 1}"#, Billed::Yes(usage(2))),
        (&data, r#"{"url": "data:image/png,x", "used": 1}"#, Billed::Yes(usage(2))),
        (&data, r#"{"url": "data:image/png;base64,%%", "used": 1}"#, Billed::Yes(usage(2))),
    ] {
        let error = read(mapping, 200, body).0.unwrap_err();
        assert_eq!((error.kind, error.billed), (FailureKind::BadAnswer, billed), "{body}");
        assert!(!error.message.contains("planted"), "{error}");
    }
}

#[test]
fn the_status_decides_cost_and_retry() {
    use FailureKind::*;
    let mapping = mapping(
        "reply = { output = \"json_url\", pointer = \"/url\", status = [200], retry_on = [409, 429, 503], error = [\"/detail/0/msg\", \"/detail\"] }\n",
    );
    for (status, kind, billed, retryable) in [
        (400, Rejected, Billed::No, false),
        (401, Denied, Billed::No, false),
        (402, Denied, Billed::No, false),
        (404, Failed, Billed::No, false),
        (409, Busy, Billed::No, true),
        (413, Rejected, Billed::No, false),
        (422, Rejected, Billed::No, false),
        (429, Busy, Billed::No, true),
        (500, Failed, Billed::Unknown, false),
        (502, Failed, Billed::Unknown, false),
        (503, Unavailable, Billed::No, true),
        (504, Timeout, Billed::Unknown, false),
        (202, BadAnswer, Billed::Unknown, false),
    ] {
        let error = read(&mapping, status, r#"{"detail": [{"msg": "no planted cats"}]}"#).0.unwrap_err();
        assert_eq!((error.kind, error.billed, error.is_retryable()), (kind, billed, retryable), "{status}");
        assert!(error.message.ends_with("says: no (the key) cats"), "{error}");
    }
    let error = read(&mapping, 500, "<h1>planted</h1>").0.unwrap_err();
    assert_eq!(error.message, "it answers with status 500 and no message");
}

#[test]
fn a_job_that_is_not_done_is_pending() {
    let mapping = mapping(
        "reply = { output = \"json_url\", pointer = \"/out\", error = \"/error\" }\n\
         poll = { url = \"/get\", status = \"/state\", done = [\"ok\", 1], failed = [\"no\"], cancel = \"/stop\" }\n",
    );
    let pending = json!({ "state": "busy", "get": "https://h/1", "stop": "https://h/2" }).to_string();
    let (url, cancel) = (Some("https://h/1".to_owned()), Some("https://h/2".to_owned()));
    assert_eq!(read(&mapping, 200, &pending).0.unwrap(), MappedReply::Pending { url, cancel });
    for done in [json!("ok"), json!(1)] {
        let body = json!({ "state": done, "out": "/x", "used": 0 }).to_string();
        assert_eq!(
            read(&mapping, 200, &body).0.unwrap(),
            MappedReply::Done(ReplyImage::Address("/x".into()), usage(0))
        );
    }
    let failed = read(&mapping, 200, r#"{"state": "no", "error": "out of memory"}"#).0.unwrap_err();
    assert_eq!((failed.kind, failed.billed), (FailureKind::Failed, Billed::Unknown));
    assert!(failed.message.ends_with("out of memory"));
    assert_eq!(read(&mapping, 200, r#"{"get": "https://h/1"}"#).0.unwrap_err().kind, FailureKind::BadAnswer);
}
