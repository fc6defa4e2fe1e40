//! `pixcolor colorize`: which files it reads and writes, and what it reports.

use std::path::Path;
use std::process::Output;

use crate::fakes::KEY;
use crate::fakes::algorithmia::Algorithmia;
use crate::harness::server::pixcolor;
use crate::harness::{Picture, Server, Setup};

#[track_caller]
fn colorize(folder: &Path, args: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = pixcolor(folder).arg("colorize").args(args).output().unwrap();
    (status.code(), String::from_utf8([stdout, stderr].concat()).unwrap())
}

fn folder(files: &[(&str, &Picture)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, picture) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, &picture.bytes).unwrap();
    }
    folder
}

#[test]
fn results_are_written_next_to_unchanged_originals() {
    let (jpeg, png) = (Picture::jpeg(64, 48, 1), Picture::png(48, 64, 2));
    let folder = folder(&[("a.jpg", &jpeg), ("b.png", &png)]);
    let (code, said) = colorize(folder.path(), &["a.jpg", "b.png"]);
    assert_eq!(code, Some(0), "{said}");
    for (name, size) in [("a-coloured.jpg", (64, 48)), ("b-coloured.png", (48, 64))] {
        let picture = image::open(folder.path().join(name)).unwrap();
        assert_eq!((picture.width(), picture.height()), size);
    }
    assert_eq!(std::fs::read(folder.path().join("a.jpg")).unwrap(), jpeg.bytes);
}

#[test]
fn results_go_to_another_folder_in_another_format() {
    let folder = folder(&[("a.jpg", &Picture::jpeg(64, 48, 1))]);
    let (code, said) = colorize(folder.path(), &["a.jpg", "-o", "out/deep", "--format", "webp"]);
    assert_eq!(code, Some(0), "{said}");
    let bytes = std::fs::read(folder.path().join("out/deep/a-coloured.webp")).unwrap();
    assert_eq!(image::guess_format(&bytes).unwrap(), image::ImageFormat::WebP);
}

#[test]
fn one_bad_file_does_not_stop_the_others_but_fails_the_run() {
    let good = Picture::jpeg(64, 48, 1);
    let bad = Picture { bytes: b"rubbish".to_vec(), media_type: "image/jpeg" };
    let folder = folder(&[("bad.jpg", &bad), ("good.jpg", &good)]);
    let (code, said) = colorize(folder.path(), &["missing.jpg", "bad.jpg", "good.jpg"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("2 of 3") && said.contains("bad.jpg") && said.contains("missing.jpg"), "{said}");
    assert!(folder.path().join("good-coloured.jpg").exists());
}

#[test]
fn no_result_overwrites_an_input_or_another_result() {
    let picture = Picture::jpeg(64, 48, 1);
    let folder = folder(&[("a.jpg", &picture), ("a-coloured.jpg", &picture), ("deep/a.jpg", &picture)]);
    let (code, said) = colorize(folder.path(), &["a.jpg", "a-coloured.jpg"]);
    assert_eq!(code, Some(1), "{said}");
    assert_eq!(std::fs::read(folder.path().join("a-coloured.jpg")).unwrap(), picture.bytes);
    let (code, said) = colorize(folder.path(), &["a.jpg", "deep/a.jpg", "-o", "out"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("1 of 2"), "{said}");
}

#[test]
fn wrong_arguments_are_explained_and_help_is_complete() {
    let folder = tempfile::tempdir().unwrap();
    let (code, said) = colorize(folder.path(), &[]);
    assert_eq!(code, Some(2), "{said}");
    let (code, said) = colorize(folder.path(), &["a.jpg", "--format", "gif"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("png, jpeg, webp or tiff"), "{said}");
    let help = pixcolor(folder.path()).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    for word in ["serve", "colorize", "check", "--config"] {
        assert!(help.contains(word), "{help}");
    }
}

#[test]
fn an_unwritable_result_path_is_reported_before_any_credit_is_spent() {
    let fake = Algorithmia::start();
    let long = format!("{}.jpg", "l".repeat(245));
    let folder = folder(&[("a.jpg", &Picture::jpeg(64, 48, 1)), (&long, &Picture::jpeg(64, 48, 2))]);
    let provider = format!("kind = \"algorithmia\"\nbase_url = \"{}\"\n", fake.url());
    std::fs::create_dir_all(folder.path().join("config/providers")).unwrap();
    std::fs::write(folder.path().join("config/pixcolor.toml"), "route = [\"far\"]\n").unwrap();
    std::fs::write(folder.path().join("config/providers/far.toml"), provider).unwrap();
    std::fs::create_dir(folder.path().join("a-coloured.jpg")).unwrap();
    let refused = |args: &[&str], words: &str| {
        let output = pixcolor(folder.path()).arg("colorize").args(args).env("API_KEY", KEY).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(words) && !said.contains(".part"), "{words}: {said}");
    };
    let target = long.replace(".jpg", "-coloured.jpg");
    let words = format!(
        "the result cannot be written to {target}: File name too long (os error 36); give it a shorter name"
    );
    refused(&[&long], &words);
    // A folder to which even root cannot write.
    refused(&["a.jpg", "-o", "/proc/self"], "the folder /proc/self for the results cannot be written to: ");
    refused(&["a.jpg", "-o", "/proc/self/new"], "the folder /proc/self/new for the results cannot be made: ");
    refused(&["a.jpg", "-o", "a.jpg"], "the folder a.jpg for the results cannot be made: ");
    refused(
        &["a.jpg"],
        "the result cannot be written to a-coloured.jpg: is a directory; choose another place with `-o`",
    );
    assert_eq!(fake.calls(), 0);
}

/// The result is first written to a temporary file, whose name must not be too long, either.
#[test]
fn a_result_may_have_the_longest_possible_file_name() {
    let name = format!("{}.jpg", "l".repeat(255 - "-coloured.jpg".len()));
    let folder = folder(&[(&name, &Picture::jpeg(64, 48, 1))]);
    let (code, said) = colorize(folder.path(), &[&name]);
    assert_eq!(code, Some(0), "{said}");
    assert!(folder.path().join(name.replace(".jpg", "-coloured.jpg")).exists());
}

#[test]
fn a_forced_result_replaces_another_file_and_follows_the_umask() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder(&[("a.jpg", &Picture::jpeg(64, 48, 1)), ("a-coloured.jpg", &Picture::jpeg(8, 8, 2))]);
    let (code, said) = colorize(folder.path(), &["a.jpg"]);
    assert!(code == Some(1) && said.contains("--force"), "{said}");
    let (code, said) = colorize(folder.path(), &["a.jpg", "--force"]);
    assert_eq!(code, Some(0), "{said}");
    let result = folder.path().join("a-coloured.jpg");
    assert_eq!(image::open(&result).unwrap().width(), 64);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&result), mode(&folder.path().join("a.jpg")));
    assert_eq!(
        std::fs::read_dir(folder.path())
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().path().is_file())
            .count(),
        2
    );
}

#[test]
fn a_running_gateway_is_mentioned_only_for_providers_that_cost_credit() {
    let fake = Algorithmia::start();
    let file = format!("kind = \"algorithmia\"\nbase_url = \"{}\"\n", fake.url());
    let server = Setup::new()
        .file("config/pixcolor.toml", "")
        .file("config/providers/far.toml", file)
        .file("photo.jpg", Picture::jpeg(64, 48, 1).bytes)
        .env("API_KEY", KEY)
        .start();
    let run = |args: &[&str], route: &str| {
        let mut command = pixcolor(&server.path(""));
        command.args(args).env("API_KEY", KEY).env("PIXCOLOR_ROUTE", route);
        let Output { status, stderr, .. } = command.output().unwrap();
        (status.code(), String::from_utf8(stderr).unwrap())
    };
    let free: [&[&str]; 10] = [
        &["colorize", "photo.jpg"],
        &["colorize", "photo.jpg", "--provider", "local"],
        &["provider", "test", "local"],
        &["provider", "test", "local", "--dry-run"],
        &["provider", "list"],
        &["check"],
        &["check", "--changed"],
        &["usage"],
        &["cache", "stats"],
        &["cache", "rm", "photo.jpg"],
    ];
    for args in free {
        assert_eq!(run(args, "[\"local\"]"), (Some(0), String::new()), "{args:?}");
    }
    // With `--provider`, the route does not matter: `far` causes no warning.
    let local = ["colorize", "photo.jpg", "--provider", "local"];
    assert_eq!(run(&local, "[\"far\", \"local\"]"), (Some(0), String::new()));
    let (code, said) = run(&["colorize", "photo.jpg"], "[\"far\", \"local\"]");
    assert_eq!((code, fake.calls(), said.lines().count()), (Some(0), 0, 1), "{said}");
    assert!(
        said.starts_with("Provider far costs credit and is not called, because the ledger cannot be used: "),
        "{said}"
    );
    assert!(said.contains("--gateway URL") && said.contains("--state-dir FOLDER"), "{said}");
    let (code, said) = run(&["provider", "test", "far"], "[\"local\"]");
    assert_eq!((code, said.lines().count()), (Some(1), 1), "{said}");
}

#[test]
fn every_command_that_changes_something_reports_it() {
    let server = Server::start();
    server.command(&["key", "new", "bob"]);
    let said = server.command(&["key", "revoke", "bob"]);
    assert!(said.starts_with("The key `bob`, made at 20") && said.contains(" is revoked as of 20"), "{said}");
    for args in [&["cache", "clear"][..], &["cache", "stats"], &["cache", "rm", &"0".repeat(64)], &["usage"]]
    {
        assert!(!server.command(args).is_empty(), "{args:?}");
    }
}

#[test]
fn a_photo_given_twice_is_colored_once_under_any_file_name() {
    use std::os::unix::ffi::OsStringExt;

    let folder = tempfile::tempdir().unwrap();
    let [one, other] =
        [b"caf\xe9.png", b"caf\xe8.png"].map(|name| std::ffi::OsString::from_vec(name.to_vec()));
    for (name, seed) in [(&one, 1), (&other, 2)] {
        std::fs::write(folder.path().join(name), Picture::png(32, 24, seed).bytes).unwrap();
    }
    let again = std::path::Path::new(".").join(&one);
    std::os::unix::fs::symlink(&one, folder.path().join("link.png")).unwrap();
    let mut command = pixcolor(folder.path());
    let output = command
        .arg("colorize")
        .args([&one, &other, again.as_os_str()])
        .args(["link.png", "-o", "out"])
        .output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for name in [&b"caf\xe9-coloured.png"[..], b"caf\xe8-coloured.png", b"link-coloured.png"] {
        assert!(
            folder.path().join("out").join(std::ffi::OsString::from_vec(name.to_vec())).exists(),
            "{name:?}"
        );
    }
}

#[test]
fn a_result_never_replaces_a_device_or_a_pipe() {
    use std::os::unix::fs::FileTypeExt;

    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe.png");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let output =
        pixcolor(folder.path()).args(["provider", "test", "local", "-o", "pipe.png"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("pipe.png") && said.contains("a device or a pipe has this name"), "{said}");
    assert!(pipe.symlink_metadata().unwrap().file_type().is_fifo());
}
