//! Access stays closed while the files that decide it are unreadable, and tokens cannot be guessed.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::fakes::KEY;
use crate::harness::server::pixcolor;
use crate::harness::wait::{PATIENCE, within};
use crate::harness::{Answer, Server, Setup, agent};

/// A user that owns nothing on this machine.
const OTHER: u32 = 65_534;

/// Runs `pixcolor serve` in a folder as a user other than root, because root can read everything.
fn unprivileged(folder: &Path, port: u16) -> Command {
    fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
    let mut command = pixcolor(folder);
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        let binary = folder.join("pixcolor");
        if !binary.exists() {
            fs::copy(env!("CARGO_BIN_EXE_pixcolor"), &binary).unwrap();
        }
        let mut dropped = Command::new("setpriv");
        let user = OTHER.to_string();
        dropped.args(["--reuid", &user, "--regid", &user, "--clear-groups"]).arg(binary).current_dir(folder);
        command = dropped;
    }
    command.env("ROCKET_PORT", port.to_string()).env("HOME", folder.join("home"));
    command
}

#[test]
fn an_unreadable_default_folder_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config");
    fs::create_dir(&config).unwrap();
    fs::write(config.join("pixcolor.toml"), "anonymous = false\n").unwrap();
    fs::set_permissions(&config, Permissions::from_mode(0o000)).unwrap();
    let output = unprivileged(folder.path(), 0).output().unwrap();
    fs::set_permissions(&config, Permissions::from_mode(0o700)).unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("configuration folder config cannot be used: Permission denied"), "{said}");

    // A container engine that mounts a missing folder creates an empty one.
    fs::remove_file(config.join("pixcolor.toml")).unwrap();
    let output = pixcolor(folder.path()).output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(
        !output.status.success() && said.contains("configuration folder config has no pixcolor.toml"),
        "{said}"
    );
}

#[test]
fn a_folder_that_becomes_unreadable_and_readable_again_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config");
    fs::create_dir(&config).unwrap();
    fs::write(config.join("pixcolor.toml"), "anonymous = false\n").unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let log = fs::File::create(folder.path().join("log")).unwrap();
    let mut server = unprivileged(folder.path(), port).stderr(log).stdout(Stdio::null()).spawn().unwrap();
    let trouble = || {
        let answer = agent().get(format!("http://127.0.0.1:{port}/readyz")).call().ok().map(Answer::new)?;
        Some(answer.json()["configuration_is_not_in_force"].as_str().map(str::to_owned))
    };
    let said = || fs::read_to_string(folder.path().join("log")).unwrap();
    within(PATIENCE, said, || trouble() == Some(None));
    fs::set_permissions(&config, Permissions::from_mode(0o000)).unwrap();
    within(PATIENCE, said, || trouble().flatten().is_some_and(|why| why.contains("Permission denied")));
    let anonymous = Answer::new(agent().get(format!("http://127.0.0.1:{port}/v1/quota")).call().unwrap());
    anonymous.problem(401);
    fs::set_permissions(&config, Permissions::from_mode(0o755)).unwrap();
    within(PATIENCE, said, || trouble() == Some(None));
    server.kill().unwrap();
    server.wait().unwrap();
}

#[test]
fn the_start_names_the_folder_and_every_file_in_effect() {
    let server = Setup::new()
        .file("config/pixcolor.toml", "route = [\"local\"]\n")
        .file("config/providers/mine.toml", "kind = \"onnx\"\n")
        .file("Rocket.toml", "[default]\nident = false\n")
        .start();
    let folder = server.path("").canonicalize().unwrap().display().to_string();
    let expected = format!(
        "  configuration: {folder}/config (pixcolor.toml, providers/mine.toml), {folder}/Rocket.toml\n"
    );
    server.until_said(&expected);
    Server::start().until_said("  configuration: built-in defaults, no folder\n");
}

#[test]
fn the_configuration_stays_in_effect_while_its_files_are_unreadable_and_readyz_says_so() {
    let server = Setup::new().file("config/pixcolor.toml", "anonymous = false\n").start();
    let picture = crate::harness::Picture::png(8, 8, 1);
    server.colorize(&picture).problem(401);
    // No user, not even root, can read a link that points to itself.
    fs::rename(server.path("config/pixcolor.toml"), server.path("config/away")).unwrap();
    std::os::unix::fs::symlink("pixcolor.toml", server.path("config/pixcolor.toml")).unwrap();
    let trouble = || server.get("/readyz").json()["configuration_is_not_in_force"].clone();
    within(PATIENCE, || server.said(), || trouble().is_string());
    assert!(trouble().as_str().unwrap().contains("cannot be"), "{}", trouble());
    server.colorize(&picture).problem(401);
    fs::rename(server.path("config/away"), server.path("config/pixcolor.toml")).unwrap();
    within(PATIENCE, || server.said(), || trouble().is_null());
}

#[test]
fn while_keys_json_is_unreadable_only_known_keys_are_accepted() {
    let server = Server::start();
    let quota = |key: &str| server.get_with("/v1/quota", &[("Authorization", key)]);
    assert_eq!(quota("Bearer whatever").status, 200, "there are no keys");
    // A folder of this name is unreadable as a file, like a keys.json that root has created without read permission for
    // the service.
    let state = server.path(".local/state/pixcolor");
    fs::create_dir_all(state.join("keys.json")).unwrap();
    within(PATIENCE, || server.said(), || quota("Bearer whatever").status == 401);
    server.get("/v1/quota").problem(401);
    let ready = server.get("/readyz").json();
    assert!(ready["keys_cannot_be_read"].as_str().is_some_and(|why| !why.contains("/")), "{ready}");
    fs::remove_dir(state.join("keys.json")).unwrap();
    within(PATIENCE, || server.said(), || server.get("/v1/quota").status == 200);

    let key = server.command(&["key", "new", "bob"]);
    within(PATIENCE, || server.said(), || quota(&key).text().contains("key:bob"));
    fs::write(state.join("keys.json"), "rubbish").unwrap();
    within(PATIENCE, || server.said(), || quota("Bearer whatever").text().contains("cannot read"));
    assert!(quota(&key).text().contains("key:bob"), "this key was valid before");
    server.get("/v1/quota").problem(401);
}

#[test]
fn keys_created_by_root_belong_to_the_owner_of_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    fs::create_dir(&state).unwrap();
    if chown(&state, Some(OTHER), Some(OTHER)).is_err() {
        // Only root can change the owner of a file, so other users skip this test.
        assert_ne!(fs::metadata(&state).unwrap().uid(), 0);
        return;
    }
    let output =
        pixcolor(folder.path()).args(["key", "new", "bob", "--state-dir", "state"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let files: Vec<_> = fs::read_dir(&state).unwrap().map(|file| file.unwrap()).collect();
    assert!(files.iter().any(|file| file.file_name() == "keys.json"), "{files:?}");
    for file in files {
        let data = file.metadata().unwrap();
        assert_eq!((data.uid(), data.gid()), (OTHER, OTHER), "{file:?}");
    }
}

#[test]
fn wrong_admin_and_metrics_tokens_are_rate_limited_and_valid_ones_are_not() {
    let server = Setup::new()
        .env("MY_TOKEN", KEY)
        .env("PIXCOLOR_ADMIN__TOKEN", r#"{ env = "MY_TOKEN" }"#)
        .env("PIXCOLOR_METRICS__TOKEN", r#"{ env = "MY_TOKEN" }"#)
        .env("PIXCOLOR_QUOTA__LIMITS__REQUESTS", r#"{ rate = 1, per = "day", burst = 5 }"#)
        .start();
    let ask = |path: &str, token: &str| server.get_with(path, &[("Authorization", token)]);
    for (path, token) in [
        ("/v1/admin/config", "Bearer a"),
        ("/metrics", "b"),
        ("/v1/admin/config", "c"),
        ("/metrics", "Simple d"),
    ] {
        let refused = ask(path, token);
        refused.problem(403);
        assert!(refused.header("ratelimit").starts_with("\"requests\";r="), "{refused:?}");
    }
    server.get("/v1/admin/config").problem(401);
    for path in ["/v1/admin/config", "/metrics"] {
        let limited = ask(path, "Bearer e");
        limited.problem(429);
        assert!(limited.header("retry-after").parse::<u64>().unwrap() > 10_000, "{limited:?}");
        assert_eq!(ask(path, &format!("Bearer {KEY}")).status, 200, "{path}");
    }
}

#[test]
fn passwords_in_urls_never_appear_in_errors() {
    let folder = tempfile::tempdir().unwrap();
    for (name, value) in [
        ("PIXCOLOR_CACHE__S3__ENDPOINT", format!("https://user:{KEY}@s3.example.com")),
        ("PIXCOLOR_CACHE__S3__ENDPOINT", format!("https://s3.example.com/?token={KEY}")),
        ("AWS_ENDPOINT_URL_S3", format!("https://user:{KEY}@s3.example.com")),
        ("PIXCOLOR_SHARED__REDIS", format!("redis://user:{KEY}@127.0.0.1")),
        ("PIXCOLOR_PROVIDERS__ALGORITHMIA__BASE_URL", format!("https://user:{KEY}@example.com")),
    ] {
        for command in ["check", "serve"] {
            let mut run = pixcolor(folder.path());
            run.arg(command).env(name, &value).env("PIXCOLOR_CACHE__STORE", "s3://b").env("ROCKET_PORT", "0");
            let output =
                run.env("AWS_ACCESS_KEY_ID", "a").env("AWS_SECRET_ACCESS_KEY", "b").output().unwrap();
            let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
            assert!(!output.status.success(), "{name}: {said}");
            assert!(!said.contains(KEY), "{name}: {said}");
        }
    }
}

#[test]
fn no_log_contains_a_query_or_an_unknown_path_at_any_level() {
    for level in ["warn", "info", "trace", "rocket=trace,_=trace,rocket::server=trace"] {
        let server = Setup::new().env("RUST_LOG", level).start();
        for path in ["/nowhere", "/v1/results/x", "/v1/quota", "/", "/v1/data/x"] {
            server.get(&format!("{path}?token={KEY}"));
        }
        // Sent raw, because the response may repeat the path, and the harness searches each `Answer` for the key.
        let unknown = format!("GET /{KEY} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        assert!(std::io::read_to_string(server.raw(unknown.as_bytes())).unwrap().contains(" 404 "));
        server.post(&format!("/v1/colorize?token={KEY}"), &[], b"x");
        server.raw(format!("BREW /{KEY} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes());
        server.get("/healthz");
        // Dropping the server searches its output for the key.
        assert!(!server.said().contains(KEY), "{level}: {}", server.said());
    }
}
