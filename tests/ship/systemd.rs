//! `deploy/systemd/pixcolor.service`, checked by systemd's own tools, which do not need a running systemd.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::files::{path, read};
use crate::harness::wait::until;
use crate::harness::{Answer, Server, agent};
use crate::machine::{Running, install};

#[test]
fn the_unit_is_valid_and_as_sandboxed_as_documented() {
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join("pixcolor.service");
    let text = read("deploy/systemd/pixcolor.service");
    // The path of the test's binary.
    std::fs::write(&unit, text.replace("/usr/local/bin/pixcolor", env!("CARGO_BIN_EXE_pixcolor"))).unwrap();
    let analyze = |args: &[&str]| {
        let output = Command::new("systemd-analyze").args(args).arg(&unit).output();
        let output = output.expect("systemd-analyze, of Debian's package systemd");
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.success(), said)
    };
    let (valid, said) = analyze(&["verify"]);
    assert!(valid && !said.contains("pixcolor.service:"), "{said}");
    let (good, said) = analyze(&["security", "--offline=true", "--threshold=15", "--no-pager"]);
    assert!(good, "more than 1.5 of 10: {said}");
    let score = said.lines().find_map(|line| line.split("exposure level for pixcolor.service: ").nth(1));
    let score = score.and_then(|rest| rest.split(' ').next()).unwrap_or_else(|| panic!("{said}"));
    assert!(
        read("docs/operations.md").contains(&format!("**{score}**")),
        "docs/operations.md does not have the score {score}"
    );
    assert!(path("deploy/systemd/pixcolor.service").is_file());
}

/// Splits a unit's command line as systemd does: words and quotes as in a shell, and `$$` for a dollar sign. The line
/// must not contain variables.
fn words(line: &str) -> Vec<String> {
    assert!(!line.replace("$$", "").contains('$'), "systemd itself would replace a variable: {line}");
    let (mut words, mut quote) = (vec![String::new()], None);
    for c in line.replace("$$", "$").chars() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('\'' | '"', None) => quote = Some(c),
            (' ', None) => words.push(String::new()),
            (c, _) => words.last_mut().unwrap().push(c),
        }
    }
    words
}

#[test]
fn a_reload_needs_only_the_shell() {
    let unit = read("deploy/systemd/pixcolor.service");
    let line = unit.lines().find_map(|line| line.strip_prefix("ExecReload=")).unwrap();
    assert_eq!(words(line), ["/bin/sh", "-c", "kill -HUP \"$MAINPID\""]);
    let server = Server::start();
    let [shell, arguments @ ..] = &words(line)[..] else { panic!("{line}") };
    let mut reload = Command::new(shell);
    // No other program is on the PATH.
    reload
        .args(arguments)
        .env_clear()
        .env("PATH", "/nonexistent")
        .env("MAINPID", server.child.id().to_string());
    let output = reload.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    server.until_said("the configuration was read again");
    assert_eq!(server.get("/healthz").status, 200);
}

/// The ID of the service's user, from the range of systemd's dynamic users.
const SERVICE: u32 = 61_184;

/// A machine's root folder with the binary, its libraries, and the folders that systemd creates for the unit: the state
/// and cache folders are links into folders that only root may enter.
fn machine(root: &Path) {
    install(root, env!("CARGO_BIN_EXE_pixcolor"), "/usr/local/bin/pixcolor");
    fs::create_dir_all(root.join("etc/pixcolor/config")).unwrap();
    fs::write(root.join("etc/pixcolor/config/pixcolor.toml"), "anonymous = false\n").unwrap();
    for folder in ["lib", "cache"] {
        let private = root.join("var").join(folder).join("private");
        fs::create_dir_all(private.join("pixcolor")).unwrap();
        fs::set_permissions(&private, Permissions::from_mode(0o700)).unwrap();
        chown(private.join("pixcolor"), Some(SERVICE), Some(SERVICE)).unwrap();
        symlink("private/pixcolor", root.join("var").join(folder).join("pixcolor")).unwrap();
    }
    fs::create_dir_all(root.join("root")).unwrap();
    fs::create_dir_all(root.join("tmp")).unwrap();
}

#[test]
fn the_documented_commands_work_on_the_files_of_the_unit() {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        // Only the user root can change the root folder and the owners of files.
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    machine(root);
    let run_in = |folder: &str, args: &[&str]| {
        let mut command = Command::new("unshare");
        command.arg("--root").arg(root).args(["--wd", folder, "/usr/local/bin/pixcolor"]).args(args);
        let output = command.env_clear().env("HOME", "/root").output().expect("unshare, of util-linux");
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(output.status.success(), "{args:?}: {said}");
        said
    };
    let run = |args: &[&str]| run_in("/root", args);
    let manual = read("docs/operations.md");
    let line = manual
        .lines()
        .find_map(|line| line.strip_prefix("sudo pixcolor key "))
        .expect("the manual has the command");
    let words: Vec<&str> = line.split('#').next().unwrap().split_whitespace().collect();
    let said = run(&[&["key"], &words[..]].concat());
    let key =
        said.lines().find(|line| line.starts_with("sim")).unwrap_or_else(|| panic!("{said}")).to_owned();
    assert!(run(&["key", "list"]).contains("bob"));
    // The commands find the service's files when they run in the source folder, which has a `config`, in the service's
    // folder, or with `--config`.
    fs::create_dir_all(root.join("src/config")).unwrap();
    fs::write(root.join("src/config/pixcolor.toml"), "").unwrap();
    assert!(run_in("/src", &["key", "list"]).contains("bob"));
    assert!(run_in("/etc/pixcolor", &["key", "list"]).contains("bob"));
    assert!(run_in("/", &["--config", "/etc/pixcolor/config", "key", "list"]).contains("bob"));
    assert!(run_in("/", &["--config", "/src/config", "key", "list"]).contains("There are no keys"));
    run(&["usage"]);
    run(&["cache", "stats"]);
    run(&["cache", "clear"]);
    assert_eq!(
        fs::read_dir(root.join("root")).unwrap().count(),
        0,
        "the commands wrote files for root instead of the service"
    );
    let folders = ["var/lib/private/pixcolor", "var/cache/private/pixcolor"];
    let roots = Command::new("find")
        .args(folders)
        .args(["-not", "-uid", &SERVICE.to_string()])
        .current_dir(root)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&roots.stdout), "", "files that do not belong to the service's user");

    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    // Starts the service as in the unit, except for restrictions that only systemd can apply. systemd lets the service
    // pass through root's folder `private` to its state, so this test opens that folder.
    for folder in ["lib", "cache"] {
        let private = root.join("var").join(folder).join("private");
        fs::set_permissions(private, Permissions::from_mode(0o711)).unwrap();
    }
    let user = SERVICE.to_string();
    let mut service = Command::new("unshare");
    service.arg("--root").arg(root).args(["--wd", "/etc/pixcolor", "--setgid", &user, "--setuid", &user]);
    service.args(["/usr/local/bin/pixcolor", "serve"]).env_clear();
    service
        .env("XDG_STATE_HOME", "/var/lib")
        .env("XDG_CACHE_HOME", "/var/cache")
        .env("ROCKET_PORT", port.to_string());
    fs::set_permissions(root, Permissions::from_mode(0o755)).unwrap();
    let _service = Running(service.stdout(Stdio::null()).spawn().unwrap());
    let quota = |key: Option<&str>| {
        let request = agent().get(format!("http://127.0.0.1:{port}/v1/quota"));
        let request = match key {
            Some(key) => request.header("Authorization", key),
            None => request,
        };
        request.call().ok().map(Answer::new)
    };
    until("the service answers", || quota(Some(&key)).is_some());
    let answer = quota(Some(&key)).unwrap();
    assert_eq!(answer.json()["client"], "key:bob", "{answer:?}");
    assert_eq!(quota(None).unwrap().status, 401);
    let lines = read("deploy/systemd/pixcolor.service");
    assert!(lines.contains("WorkingDirectory=/etc/pixcolor\n"));
    assert!(lines.contains("Environment=XDG_STATE_HOME=/var/lib XDG_CACHE_HOME=/var/cache\n"));
}
