//! `pixcolor provider`: which providers are ready, and what a call does step by step.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::fakes::KEY;
use crate::fakes::algorithmia::Algorithmia;
use crate::fakes::apis::Api;
use crate::harness::server::pixcolor;
use crate::harness::wait::until;
use crate::harness::{Picture, Setup};

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
    assert!(!said.contains(KEY), "the output contains the planted key: {said}");
    (status.code(), said)
}

/// The output lines of a step.
fn steps<'s>(said: &'s str, step: &str) -> Vec<&'s str> {
    said.lines().filter_map(|line| Some(line.strip_prefix(step)?.trim())).collect()
}

#[test]
fn provider_list_says_which_providers_are_ready_and_why_others_are_not() {
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
fn provider_test_shows_each_step_and_a_dry_run_only_the_request() {
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
fn provider_test_shows_how_an_http_reply_is_read() {
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
        assert!(!said.contains(KEY), "the output contains the planted key: {said}");
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
    let replies = steps(&said, "reply");
    assert_eq!(replies.len(), 4, "{said}");
    assert!(replies[0].starts_with("status 201, application/json, "), "{said}");
    assert!(replies[0].contains(" bytes: {") && replies[1].contains(" bytes: {"), "{said}");
    assert!(replies[3].starts_with("status 200, image/png, ") && replies[3].ends_with(" bytes"), "{said}");
    let read = [
        "status 201 is a success",
        "/status is starting: not done yet",
        "/status is processing: not done yet",
        "/status is succeeded: it is done",
        "/output is an address at 127.0.0.1",
        // 3.25 s at 2.25 credits per second.
        "it cost 7.3125 credits",
    ]
    .map(step);
    assert!(read.is_sorted() && read[5] < usize::MAX, "{read:?} {said}");
    assert!(steps(&said, "cost").iter().any(|line| line.contains("7.3125 credits")), "{said}");
    assert!(steps(&said, "end")[0].starts_with("120 x 90 pixels"), "{said}");
}

#[test]
fn provider_test_uses_the_sample_photo_by_default() {
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
fn the_image_of_a_provider_test_can_be_saved() {
    let folder = folder(&[("config/pixcolor.toml", "")]);
    let test = |args: &[&str]| provider(folder.path(), &[&["test", "local", "photo.png"], args].concat());
    for (args, format) in [
        (["-o", "photo-coloured"], image::ImageFormat::Png),
        (["--output", "coloured.JPG"], image::ImageFormat::Jpeg),
        // Replaces an existing file, as `colorize` does.
        (["-o", "coloured.JPG"], image::ImageFormat::Jpeg),
        (["-o", "coloured.webp"], image::ImageFormat::WebP),
    ] {
        let (code, said) = test(&args);
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(steps(&said, "saved"), [args[1]], "{said}");
        let bytes = std::fs::read(folder.path().join(args[1])).unwrap();
        assert_eq!(image::guess_format(&bytes).unwrap(), format);
        let picture = image::load_from_memory(&bytes).unwrap();
        assert_eq!((picture.width(), picture.height()), (120, 90));
    }
    let before = std::fs::read(folder.path().join("photo.png")).unwrap();
    for (args, code, words) in [
        (&["-o", "./photo.png"][..], 1, "the result would overwrite the photograph ./photo.png"),
        (&["-o", "coloured.gif"], 1, "coloured.gif: unknown format: use png, jpeg, webp or tiff"),
        (
            &["-o", "nowhere/coloured.png"],
            1,
            "the result cannot be written to nowhere/coloured.png: No such file",
        ),
        (&["-o", "coloured.png", "--dry-run"], 2, "cannot be used with"),
    ] {
        let (found, said) = test(args);
        assert!(found == Some(code) && said.contains(words), "{words}: {said}");
        // The error comes before any credit is spent.
        assert!(steps(&said, "request").is_empty(), "{said}");
    }
    assert_eq!(std::fs::read(folder.path().join("photo.png")).unwrap(), before);
}

#[test]
fn a_wrong_name_or_photo_is_reported() {
    let folder = folder(&[]);
    for (args, words) in [
        (&["test", "nobody"][..], "there is no provider `nobody`; the providers are: algorithmia, "),
        (&["test", "local", "missing.jpg"], "missing.jpg: "),
        (&["test", "algorithmia", "--dry-run"], "provider algorithmia is not ready: it has no address"),
    ] {
        let (code, said) = provider(folder.path(), args);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn check_fails_for_a_missing_secret_of_the_route() {
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

#[test]
fn check_fails_for_an_impossible_configuration() {
    let check = |text: &str| {
        let route = "route = [\"far\", \"local\"]";
        let head = "kind = \"http\"\nmodel = \"m\"\nprice.terms = []\nrequest = { body = \"raw\" }\nreply = { output = \"raw\" }\n";
        let far = format!("{head}{text}");
        let folder = folder(&[("config/pixcolor.toml", route), ("config/providers/far.toml", &far)]);
        let output = pixcolor(folder.path()).arg("check").output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for (text, words) in [
        (
            "base_url = \"https://h.example\"\nsecrets.key = { env = \"UNSET\" }\n",
            "config/providers/far.toml:7: `providers.far.secrets.key` has no value: environment variable UNSET is not set; \
             set it, or take this provider off the route",
        ),
        (
            "base_url = \"http://127.0.0.1:9\"\n",
            "config/providers/far.toml:6: `providers.far.base_url` is not used: 127.0.0.1 is this machine itself, which \
             `allow_private = true`",
        ),
        (
            "base_url = \"http://100.100.100.200\"\nallow_private = true\n",
            "`providers.far.base_url` is not used: 100.100.100.200 is a cloud's metadata service",
        ),
    ] {
        let (code, said) = check(text);
        assert_eq!(code, Some(1), "{text}: {said}");
        assert!(said.contains(words), "{said}");
    }
    assert_eq!(check("base_url = \"http://127.0.0.1:9\"\nallow_private = true\n").0, Some(0));
}

#[test]
fn a_pipe_in_the_folder_is_reported_and_never_blocks() {
    let folder = folder(&[("config/pixcolor.toml", "admin.token = { file = \"token\" }")]);
    std::fs::create_dir(folder.path().join("config/providers")).unwrap();
    for path in ["config/token", "config/providers/it.toml"] {
        assert!(Command::new("mkfifo").arg(folder.path().join(path)).status().unwrap().success());
    }
    let mut child =
        pixcolor(folder.path()).arg("check").stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    until("the command ends although nothing reads the pipe", || child.try_wait().unwrap().is_some());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("config/providers/it.toml: cannot be read: it is no regular file"), "{said}");
    std::fs::remove_file(folder.path().join("config/providers/it.toml")).unwrap();
    let output = pixcolor(folder.path()).arg("check").output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("token cannot be read: it is no regular file"), "{said}");
}

/// Runs a command whose output is a pipe that is closed before anything is read.
fn unread(folder: &Path, args: &[&str]) -> (Option<i32>, String) {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = pixcolor(folder)
        .args(args)
        .env("API_KEY", KEY)
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let output = output.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_closed_output_pipe_does_not_end_the_call() {
    let fake = Algorithmia::start();
    let file = format!("kind = \"algorithmia\"\nbase_url = \"{}\"\n", fake.url());
    let folder = folder(&[("config/pixcolor.toml", ""), ("config/providers/far.toml", &file)]);
    let (code, said) = unread(folder.path(), &["provider", "test", "far", "photo.png"]);
    assert!(code == Some(0) && !said.contains("panicked"), "{said}");
    assert_eq!(fake.calls(), 1);
    let usage = pixcolor(folder.path()).args(["usage", "--csv"]).output().unwrap();
    let usage = String::from_utf8(usage.stdout).unwrap();
    assert!(usage.contains("far,1,0,0,0,2,"), "{usage}");
    for args in
        [&["check"][..], &["provider", "list"], &["usage"], &["cache", "stats"], &["key", "new", "bob"]]
    {
        let (code, said) = unread(folder.path(), args);
        assert!(code == Some(0) && !said.contains("panicked"), "{args:?}: {said}");
    }
}

#[test]
fn a_dry_run_needs_no_key() {
    let folder = folder(&[]);
    let address = "PIXCOLOR_PROVIDERS__ALGORITHMIA__BASE_URL";
    for (name, shown, missing) in [
        ("deepai", "api-key: ***", "PIXCOLOR_DEEPAI_KEY is not set"),
        ("algorithmia", "POST https://h.example/v1/algo/", "ALGORITHMIA_API_KEY is not set"),
    ] {
        let output = pixcolor(folder.path())
            .args(["provider", "test", name, "photo.png", "--dry-run"])
            .env(address, "https://h.example")
            .output()
            .unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert!(said.contains(shown) && said.contains("nothing was sent"), "{said}");
        assert!(
            said.contains(&format!("provider {name} is not ready: ")) && said.contains(missing),
            "{said}"
        );
    }
}

#[test]
fn with_a_running_gateway_provider_test_says_what_to_do() {
    let fake = Algorithmia::start();
    let file = format!("kind = \"algorithmia\"\nbase_url = \"{}\"\n", fake.url());
    let server = Setup::new()
        .file("config/pixcolor.toml", "")
        .file("config/providers/far.toml", file)
        .env("API_KEY", KEY)
        .start();
    let test = |state: Option<&str>| {
        let mut command = pixcolor(&server.path(""));
        command.args(["provider", "test", "far"]).env("API_KEY", KEY);
        if let Some(state) = state {
            command.env("PIXCOLOR_STATE_DIR", state);
        }
        let Output { status, stdout, stderr } = command.output().unwrap();
        (status.code(), String::from_utf8([stdout, stderr].concat()).unwrap())
    };
    let (code, said) = test(None);
    assert_eq!((code, fake.calls()), (Some(1), 0), "{said}");
    assert!(said.contains("stop the running gateway, or use another ledger for the test"), "{said}");
    let (code, said) = test(Some("elsewhere"));
    assert_eq!((code, fake.calls()), (Some(0), 1), "{said}");
}

#[test]
fn cpu_time_of_failed_and_timed_out_programs_is_counted() {
    for script in ["i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; exit 4", "while :; do :; done"] {
        let program = format!("kind = \"exec\"\ncommand = [\"sh\", \"-c\", \"{script}\"]\ntimeout = 2\n");
        let folder = folder(&[("config/pixcolor.toml", ""), ("config/providers/busy.toml", &program)]);
        assert_eq!(provider(folder.path(), &["test", "busy"]).0, Some(1));
        let usage = pixcolor(folder.path()).args(["usage", "--csv"]).output().unwrap();
        let usage = String::from_utf8(usage.stdout).unwrap();
        let mut lines = usage.lines().map(|line| line.split(',').collect::<Vec<_>>());
        let column = lines.next().unwrap().iter().position(|name| *name == "cpu_seconds").unwrap();
        let line = lines.find(|line| line[0] == "busy").unwrap();
        assert!(line[column].parse::<f64>().unwrap() > 0.02, "{script}: {usage}");
    }
}

#[test]
fn any_model_name_fits_into_one_header() {
    let handbook = include_str!("../../docs/providers.md");
    let marker = "<!-- file of tests/providers/exec.rs: sepia.py -->\n```python\n";
    let sepia = handbook.split(marker).nth(1).unwrap().split("```").next().unwrap();
    let server = Setup::new()
        .file("config/pixcolor.toml", "route = [\"odd\"]\n")
        .file(
            "config/providers/odd.toml",
            "kind = \"exec\"\ncommand = [\"python3\", \"sepia.py\"]\nmodel = \"a\\u0007b\\nc\"\n",
        )
        .file("config/providers/sepia.py", sepia)
        .start();
    let answer = server.colorize(&Picture::png(120, 90, 1));
    assert_eq!((answer.status, answer.header("x-pixcolor-model")), (200, "a b c"), "{answer:?}");
}
