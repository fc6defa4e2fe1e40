//! `pixcolor provider`: who could colour, and what a call looks like from the inside.

use std::path::Path;
use std::process::Output;

use crate::fakes::KEY;
use crate::fakes::algorithmia::Algorithmia;
use crate::fakes::apis::Api;
use crate::harness::Picture;
use crate::harness::server::pixcolor;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("photo.png"), Picture::png(120, 90, 1).bytes).unwrap();
    for (name, content) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    folder
}

#[track_caller]
fn provider(folder: &Path, args: &[&str]) -> (Option<i32>, String) {
    let output = pixcolor(folder).arg("provider").args(args).env("API_KEY", KEY).output().unwrap();
    let Output { status, stdout, stderr } = output;
    let said = String::from_utf8([stdout, stderr].concat()).unwrap();
    assert!(!said.contains(KEY), "the planted key came out: {said}");
    (status.code(), said)
}

/// What was said of a step, a line each.
fn steps<'s>(said: &'s str, step: &str) -> Vec<&'s str> {
    said.lines().filter_map(|line| Some(line.strip_prefix(step)?.trim())).collect()
}

#[test]
fn the_list_says_who_is_ready_and_why_not() {
    let program = "kind = \"exec\"\ncommand = [\"no-such-program\"]\nmodel = \"mine\"\n\
                   price.terms = [{ per = \"call\", rate = 3 }]\n";
    let files =
        [("config/pixcolor.toml", "route = [\"mine\", \"local\"]"), ("config/providers/mine.toml", program)];
    let folder = folder(&files);
    let (code, said) = provider(folder.path(), &["list"]);
    assert_eq!(code, Some(0), "{said}");
    let line = |name: &str| {
        let line = said.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert!(
        line("local").starts_with("local onnx") && line("local").ends_with(" 2 0 credits ready"),
        "{said}"
    );
    assert!(line("mine").starts_with("mine exec mine 1 1 3 credits not ready: its program"), "{said}");
    assert!(line("algorithmia").contains(" - 60 credits not ready: it has no address"), "{said}");
}

#[test]
fn a_test_shows_the_call_step_by_step_and_a_dry_run_only_the_request() {
    let fake = Algorithmia::start();
    let file = format!("kind = \"algorithmia\"\nbase_url = \"{}\"\n", fake.url());
    let folder = folder(&[("config/pixcolor.toml", ""), ("config/providers/far.toml", &file)]);

    let (code, said) = provider(folder.path(), &["test", "far", "photo.png", "--dry-run"]);
    assert_eq!(code, Some(0), "{said}");
    let requests = steps(&said, "request");
    assert!(requests[0].starts_with(&format!("POST {}", fake.url())), "{said}");
    assert!(requests[0].contains("Authorization: (the key)"), "{said}");
    assert!(requests[0].contains("{\"image\": \"data:image/jpeg;base64,"), "{said}");
    assert_eq!((requests.len(), steps(&said, "reply").len()), (1, 0), "{said}");
    assert!(said.contains("nothing was sent; a call may cost 60 credits"), "{said}");
    assert_eq!(fake.calls(), 0);

    let (code, said) = provider(folder.path(), &["test", "far", "photo.png"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(fake.calls(), 1);
    assert_eq!(steps(&said, "request")[0], requests[0]);
    assert!(steps(&said, "reply")[0].starts_with("status 200: {"), "{said}");
    let mapping = steps(&said, "mapping")[0];
    assert!(mapping.contains("`/result/output` is data://") && mapping.contains("credits"), "{said}");
    assert!(steps(&said, "request")[1].contains("/v1/connector/data/"), "{said}");
    assert!(steps(&said, "cost")[0].starts_with("at most 60 credits"), "{said}");
    assert!(steps(&said, "cost")[1].contains("credits are charged"), "{said}");
    assert_eq!(steps(&said, "end")[0].split(", ").next(), Some("120 x 90 pixels"), "{said}");
}

#[test]
fn a_host_that_is_described_is_shown_down_to_the_reading_of_its_reply() {
    let host = Api::replicate();
    host.takes_polls(1);
    let folder = folder(&[]);
    let test = |more: &[&str]| {
        let mut command = pixcolor(folder.path());
        command.args(["provider", "test", "replicate", "photo.png"]).args(more);
        command.env("PIXCOLOR_PROVIDERS__REPLICATE__BASE_URL", host.url());
        command.env("PIXCOLOR_PROVIDERS__REPLICATE__ALLOW_PRIVATE", "true");
        command.env("PIXCOLOR_PROVIDERS__REPLICATE__POLL__INTERVAL", "0.1");
        let Output { status, stdout, stderr } = command.env("PIXCOLOR_REPLICATE_KEY", KEY).output().unwrap();
        let said = String::from_utf8([stdout, stderr].concat()).unwrap();
        assert!(!said.contains(KEY), "the planted key came out: {said}");
        assert!(status.success(), "{said}");
        said
    };

    let said = test(&["--dry-run"]);
    let (dry, _) = said.split_once("\nend ").unwrap();
    let dry = dry.to_owned();
    assert!(dry.starts_with(&format!("request  POST {}/v1/predictions\n", host.url())), "{said}");
    assert!(dry.contains("\nauthorization: Bearer ***\nprefer: wait=10\n"), "{said}");
    assert!(dry.contains("{\"input\":{\"image\":\"data:image/jpeg;base64,("), "{said}");
    assert!(!host.asked().iter().any(|asked| asked.starts_with("POST")), "{:?}", host.asked());

    let said = test(&[]);
    assert_eq!(host.count("POST"), 1, "{said}");
    assert!(said.contains(&dry), "{said}");
    let mapping = steps(&said, "mapping");
    let step = |words: &str| mapping.iter().position(|line| line.contains(words)).unwrap_or(usize::MAX);
    let read = [
        "status 201 is a success",
        "/status is starting: not done yet",
        "/status is processing: not done yet",
        "/status is succeeded: it is done",
        "/output is an address at 127.0.0.1",
        // 3.25 s at 2.25 credits.
        "it cost 7.3125 credits",
    ]
    .map(step);
    assert!(read.is_sorted() && read[5] < usize::MAX, "{read:?} {said}");
    assert!(steps(&said, "cost").iter().any(|line| line.contains("7.3125 credits")), "{said}");
    assert!(steps(&said, "end")[0].starts_with("120 x 90 pixels"), "{said}");
}

#[test]
fn programs_and_networks_are_tested_alike_with_the_sample_if_there_is_no_photograph() {
    let program = "kind = \"exec\"\ncommand = [\"sh\", \"-c\", \"echo sorry >&2; touch ran; exit 4\"]\n\
                   env.MODE = \"fast\"\nenv.KEY = { env = \"API_KEY\" }\n";
    let folder = folder(&[("config/pixcolor.toml", ""), ("config/providers/mine.toml", program)]);
    let (code, said) = provider(folder.path(), &["test", "local"]);
    assert_eq!(code, Some(0), "{said}");
    for step in ["request", "reply", "cost", "result", "end"] {
        assert!(!steps(&said, step).is_empty(), "{step}: {said}");
    }
    let (code, said) = provider(folder.path(), &["test", "mine", "--dry-run"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(steps(&said, "request")[0].contains("KEY=(set, from env API_KEY), MODE=fast"), "{said}");
    assert!(steps(&said, "request")[1].starts_with("standard input: a grey PNG of "), "{said}");
    assert!(!folder.path().join("config/providers/ran").exists());
    let (code, said) = provider(folder.path(), &["test", "mine"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(steps(&said, "reply")[0].starts_with("exit status: 4, 0 bytes"), "{said}");
    assert!(said.contains("sorry"), "{said}");
}

#[test]
fn a_wrong_name_or_photograph_is_told() {
    let folder = folder(&[]);
    for (args, words) in [
        (&["test", "nobody"][..], "there is no provider `nobody`; there is: algorithmia, "),
        (&["test", "local", "missing.jpg"], "missing.jpg: "),
        (&["test", "algorithmia", "--dry-run"], "provider algorithmia is not ready: it has no address"),
    ] {
        let (code, said) = provider(folder.path(), args);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn check_fails_for_a_secret_that_the_route_needs_and_does_not_have() {
    let far = "kind = \"algorithmia\"\nbase_url = \"http://127.0.0.1:9\"\napi_key = { env = \"UNSET\" }\n";
    let check = |route: &str| {
        let folder = folder(&[("config/pixcolor.toml", route), ("config/providers/far.toml", far)]);
        let output = pixcolor(folder.path()).arg("check").output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, said) = check("route = [\"far\", \"local\"]");
    assert_eq!(code, Some(1), "{said}");
    let words = "config/providers/far.toml:3: `providers.far.api_key` has no value: environment variable UNSET is not set; \
                 set it, or take this provider off the route";
    assert!(said.contains(words), "{said}");
    assert_eq!(check("route = [\"local\"]").0, Some(0));
}
