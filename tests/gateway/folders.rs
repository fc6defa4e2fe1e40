//! `pixcolor colorize` with folders: what is found, where results go, how a run continues, and what it reports.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use serde_json::Value;

use crate::harness::Picture;
use crate::harness::server::pixcolor;

/// Runs `pixcolor colorize` in a folder.
fn colorize(folder: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    ended(&pixcolor(folder).arg("colorize").args(args).output().unwrap())
}

fn ended(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// Runs `pixcolor colorize` and asserts that it succeeds.
#[track_caller]
fn succeeds(folder: &Path, args: &[&str]) -> String {
    let (code, out, said) = colorize(folder, args);
    assert_eq!((code, said.as_str()), (Some(0), ""), "{out}");
    out
}

/// A folder `scans` with three photographs, and what else lies in such folders.
fn archive() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    file("scans/a.jpg", &Picture::jpeg(64, 48, 1).bytes);
    file("scans/box 1/b.png", &Picture::png(32, 24, 2).bytes);
    file("scans/box 1/deep/c.JPG", &Picture::jpeg(40, 40, 3).bytes);
    file("scans/Thumbs.db", b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1 a list of thumbnails");
    file("scans/box 1/._b.png", b"\0\x05\x16\x07 from a Macintosh");
    file("scans/notes.txt", b"Grandmother's box, found in the attic");
    folder
}

/// The files in a folder and below it, without hidden ones.
fn tree(folder: &Path) -> Vec<String> {
    fn add(folder: &Path, root: &Path, names: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().display().to_string();
            if path.file_name().unwrap().to_str().unwrap().starts_with('.') {
                continue;
            }
            if path.is_dir() { add(&path, root, names) } else { names.push(name) }
        }
    }
    let mut names = Vec::new();
    add(folder, folder, &mut names);
    names.sort();
    names
}

/// The rows of a report, by path.
fn rows(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    let mut rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    rows.sort_by_key(|row| row["path"].as_str().unwrap().to_owned());
    rows
}

fn statuses(path: &Path) -> Vec<(String, String)> {
    let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    rows(path).iter().map(|row| (text(row, "path"), text(row, "status"))).collect()
}

#[test]
fn a_folder_is_mirrored_and_files_that_are_no_pictures_are_skipped() {
    let folder = archive();
    let out = succeeds(folder.path(), &["scans", "-o", "out", "--report", "report.jsonl"]);
    assert!(out.contains("3 of 3 photographs were coloured, 0 failed, 0 are left"), "{out}");
    let results = ["a-coloured.jpg", "box 1/b-coloured.png", "box 1/deep/c-coloured.jpg"];
    assert_eq!(tree(&folder.path().join("out")), results);
    let status = |path: &str, status: &str| (format!("scans/{path}"), status.to_owned());
    assert_eq!(
        statuses(&folder.path().join("report.jsonl")),
        [
            status("Thumbs.db", "skipped"),
            status("a.jpg", "coloured"),
            status("box 1/b.png", "coloured"),
            status("box 1/deep/c.JPG", "coloured"),
            status("notes.txt", "skipped"),
        ]
    );
    // A file that is named is meant.
    let (code, _, said) = colorize(folder.path(), &["scans/notes.txt", "-o", "out"]);
    assert!(code == Some(1) && said.contains("scans/notes.txt: This is a text file"), "{said}");
}

#[test]
fn results_beside_their_originals_are_not_coloured_again() {
    let folder = archive();
    succeeds(folder.path(), &["scans"]);
    let results = tree(&folder.path().join("scans"));
    assert!(results.contains(&"box 1/deep/c-coloured.jpg".to_owned()), "{results:?}");
    let before = fs::read(folder.path().join("scans/a-coloured.jpg")).unwrap();
    let out = succeeds(folder.path(), &["scans"]);
    assert!(out.contains("0 of 3 photographs were coloured, 3 were coloured before"), "{out}");
    assert_eq!(tree(&folder.path().join("scans")), results);
    // Nor are they if the journal is lost; then they are in the way.
    fs::remove_dir_all(folder.path().join(".local")).unwrap();
    let (code, _, said) = colorize(folder.path(), &["scans"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("exists and was not written by this command") && said.contains("--force"),
        "{said}"
    );
    assert_eq!(tree(&folder.path().join("scans")), results);
    assert_eq!(fs::read(folder.path().join("scans/a-coloured.jpg")).unwrap(), before);
    succeeds(folder.path(), &["scans", "--force"]);
    assert_eq!(tree(&folder.path().join("scans")), results);
    // Another run's results folder within the originals is not searched for originals.
    succeeds(folder.path(), &["scans", "-o", "scans/one"]);
    let out = succeeds(folder.path(), &["scans", "-o", "scans/two"]);
    assert!(out.contains("3 of 3"), "{out}");
}

#[test]
fn a_changed_original_replaces_its_result_and_a_changed_result_is_protected() {
    let folder = archive();
    let (original, result) = (folder.path().join("scans/a.jpg"), folder.path().join("out/a-coloured.jpg"));
    let run = |more: &[&str]| colorize(folder.path(), &[&["scans", "-o", "out"], more].concat());
    assert_eq!(run(&[]).0, Some(0));
    let mut retouched = fs::read(&result).unwrap();
    retouched.push(0);
    fs::write(&original, Picture::jpeg(80, 60, 9).bytes).unwrap();
    let (code, out, said) = run(&[]);
    assert!(code == Some(0) && out.contains("1 of 3 photographs were coloured, 2 were"), "{out}{said}");
    assert_eq!(image::open(&result).unwrap().width(), 80);
    // The same content with another time is the same original.
    fs::write(&original, Picture::jpeg(80, 60, 9).bytes).unwrap();
    assert!(run(&[]).1.contains("0 of 3 photographs were coloured, 3 were"));
    // Other settings change results.
    let (code, out, said) = run(&["--rotate", "90"]);
    assert!(code == Some(0) && out.contains("3 of 3"), "{out}{said}");
    assert_eq!(image::open(&result).unwrap().width(), 60);
    // Another program has changed the result.
    fs::write(&result, retouched).unwrap();
    let (code, _, said) = run(&["--rotate", "90"]);
    assert!(
        code == Some(1) && said.contains("is not, or not any more, what this command wrote there"),
        "{said}"
    );
    assert_eq!(run(&["--rotate", "90", "--force"]).0, Some(0));
    // Size and time are equal, the content is not.
    let time = fs::metadata(&original).unwrap().modified().unwrap();
    let mut bytes = fs::read(&original).unwrap();
    let last = bytes.len() - 5;
    bytes[last] ^= 1;
    fs::write(&original, bytes).unwrap();
    fs::File::open(&original).unwrap().set_modified(time).unwrap();
    assert!(run(&["--rotate", "90"]).1.contains("0 of 3"));
    let (code, _, said) = run(&["--rotate", "90", "--checksum", "--dry-run"]);
    assert!(
        code == Some(1) && said.contains("scans/a.jpg: its content has changed, but not its size"),
        "{said}"
    );
    assert!(run(&["--rotate", "90", "--checksum"]).1.contains("1 of 3"));
}

#[test]
fn all_results_are_planned_before_the_first_picture_is_coloured() {
    let folder = archive();
    let path = |name: &str| folder.path().join(name);
    fs::copy(path("scans/a.jpg"), path("scans/a.jpeg")).unwrap();
    fs::create_dir_all(path("out/box 1")).unwrap();
    fs::write(path("out/box 1/b-coloured.png"), "mine").unwrap();
    let (code, out, said) = colorize(folder.path(), &["scans", "-o", "out", "--max-credits", "0"]);
    assert_eq!(code, Some(1), "{out}{said}");
    assert!(
        said.contains(
            "scans/a.jpg: out/a-coloured.jpg is already the result of another photograph, scans/a.jpeg"
        ),
        "{said}"
    );
    assert!(
        said.contains("scans/box 1/b.png: out/box 1/b-coloured.png exists and was not written"),
        "{said}"
    );
    assert!(said.contains("2 of 4 photographs were not coloured"), "{said}");
    assert_eq!(fs::read(path("out/box 1/b-coloured.png")).unwrap(), b"mine");
}

#[test]
fn inputs_are_files_folders_patterns_and_lists() {
    let folder = archive();
    succeeds(folder.path(), &["scans/**/*.png", "-o", "one"]);
    assert_eq!(tree(&folder.path().join("one")), ["box 1/b-coloured.png"]);
    succeeds(folder.path(), &["scans", "-o", "two", "--include", "*.jpg", "--exclude", "deep"]);
    assert_eq!(tree(&folder.path().join("two")), ["a-coloured.jpg"]);
    for list in ["scans/a.jpg\nscans/box 1/b.png\n", "scans/a.jpg\0scans/box 1/b.png\0"] {
        let out = tempfile::tempdir_in(folder.path()).unwrap();
        let mut command = pixcolor(folder.path());
        command.args(["colorize", "-", "-o"]).arg(out.path()).stdin(Stdio::piped());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(list.as_bytes()).unwrap();
        let (code, _, said) = ended(&child.wait_with_output().unwrap());
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(tree(out.path()), ["scans/a-coloured.jpg", "scans/box 1/b-coloured.png"]);
    }
    succeeds(folder.path(), &["scans", "-o", "three", "--name", "same"]);
    assert_eq!(tree(&folder.path().join("three")), ["a.jpg", "box 1/b.png", "box 1/deep/c.JPG"]);
    let (code, _, said) = colorize(folder.path(), &["scans", "--name", "same"]);
    assert!(code == Some(2) && said.contains("add `-o DIR`"), "{said}");
    for wrong in [&["scans", "--jobs", "0"][..], &["scans", "--report", "x.txt"], &["scans", "--pages", "0"]]
    {
        assert_eq!(colorize(folder.path(), wrong).0, Some(2), "{wrong:?}");
    }
}

#[test]
fn the_report_describes_every_result() {
    let folder = archive();
    let csv = folder.path().join("report.csv");
    succeeds(folder.path(), &["scans", "-o", "out", "--report", "report.csv"]);
    let text = fs::read_to_string(&csv).unwrap();
    let head = "path,sha256,width,height,status,reason,provider,model,cached,credits,money,seconds,output,output_sha256";
    assert_eq!(text.lines().next().unwrap(), head);
    // The row of a finished picture has the same facts in a later run.
    succeeds(folder.path(), &["scans", "-o", "out", "--report", "r.jsonl"]);
    let rows = rows(&folder.path().join("r.jsonl"));
    let row = rows.iter().find(|row| row["path"] == "scans/a.jpg").unwrap();
    let hash = |path: &str| {
        use sha2::{Digest, Sha256};
        let digest = Sha256::digest(fs::read(folder.path().join(path)).unwrap());
        digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    for (name, value) in [
        ("sha256", hash("scans/a.jpg").into()),
        ("output_sha256", hash("out/a-coloured.jpg").into()),
        ("width", 64.into()),
        ("height", 48.into()),
        ("status", "done".into()),
        ("provider", "local".into()),
        ("credits", "0".into()),
        ("output", "out/a-coloured.jpg".into()),
        ("reason", Value::Null),
        ("money", Value::Null),
    ] {
        assert_eq!(row[name], value, "{name}: {row}");
    }
    assert!(row["model"].as_str().is_some_and(|model| !model.is_empty()));
}

#[test]
fn a_damaged_picture_in_a_folder_fails_and_the_others_are_coloured() {
    let folder = archive();
    fs::write(folder.path().join("scans/empty.jpg"), "").unwrap();
    fs::write(folder.path().join("scans/noise.tif"), [7; 300]).unwrap();
    fs::write(folder.path().join("scans/cut.png"), &Picture::png(64, 64, 4).bytes[..60]).unwrap();
    let (code, out, said) = colorize(folder.path(), &["scans", "-o", "out", "--json"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("3 of 6 photographs were not coloured"), "{said}");
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let summary = &lines.last().unwrap()["summary"];
    assert_eq!(
        (&summary["coloured"], &summary["failed"], &summary["skipped"]),
        (&3.into(), &3.into(), &2.into())
    );
    for name in ["empty.jpg", "noise.tif", "cut.png"] {
        let row = lines.iter().find(|row| row["path"] == format!("scans/{name}")).unwrap();
        assert!(row["status"] == "failed" && row["reason"].as_str().is_some(), "{row}");
    }
    assert_eq!(tree(&folder.path().join("out")).len(), 3);
}

#[test]
fn times_are_kept_unless_told_otherwise() {
    let folder = archive();
    let original = folder.path().join("scans/a.jpg");
    let old = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    fs::File::open(&original).unwrap().set_modified(old).unwrap();
    let modified = |path: &str| fs::metadata(folder.path().join(path)).unwrap().modified().unwrap();
    succeeds(folder.path(), &["scans", "-o", "out"]);
    assert_eq!(modified("out/a-coloured.jpg"), old);
    succeeds(folder.path(), &["scans", "-o", "new", "--no-preserve"]);
    assert!(modified("new/a-coloured.jpg") > old);
}

#[test]
fn a_quiet_run_prints_only_errors() {
    let folder = archive();
    assert_eq!(succeeds(folder.path(), &["scans", "-o", "out", "--quiet"]), "");
    fs::write(folder.path().join("scans/empty.jpg"), "").unwrap();
    let (code, out, said) = colorize(folder.path(), &["scans", "-o", "out", "--quiet"]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(said.contains("scans/empty.jpg: The file is empty"), "{said}");
}

/// The paths of a results folder that a run leaves behind when it is killed.
fn leftovers(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|extension| extension == "part")).collect()
}

#[test]
fn a_killed_run_is_continued_by_the_same_command() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("scans")).unwrap();
    for seed in 0..24 {
        let file = folder.path().join(format!("scans/{seed:02}.jpg"));
        fs::write(file, Picture::jpeg(640, 480, seed).bytes).unwrap();
    }
    let out = folder.path().join("out");
    let count = || {
        fs::read_dir(&out).map_or(0, |entries| {
            entries.flatten().filter(|it| it.path().extension().is_some_and(|it| it == "jpg")).count()
        })
    };
    let args = ["colorize", "scans", "-o", "out", "--jobs", "2"];
    let mut child = pixcolor(folder.path()).args(args).stdout(Stdio::null()).spawn().unwrap();
    crate::harness::wait::until("some pictures are coloured", || count() >= 3);
    child.kill().unwrap();
    child.wait().unwrap();
    let before = count();
    assert!(before < 24, "the run was killed too late");
    fs::write(out.join(".pixcolor-0.part"), "the rest of a killed run").unwrap();
    let said = succeeds(folder.path(), &args[1..]);
    assert!(
        said.contains(&format!(
            "{} of 24 photographs were coloured, {before} were coloured before",
            24 - before
        )),
        "{said}"
    );
    assert_eq!((count(), leftovers(&out)), (24, vec![]));
    assert!(succeeds(folder.path(), &args[1..]).contains("0 of 24 photographs were coloured, 24 were"));
}

#[test]
fn odd_files_in_the_way_do_not_stop_a_run() {
    let folder = archive();
    let path = |name: &str| folder.path().join(name);
    for odd in
        ["out/.pixcolor-x.part", "scans/box 1/.pixcolor-journal", ".local/state/pixcolor/colorize-journal"]
    {
        fs::create_dir_all(path(odd)).unwrap();
    }
    let pipe = path("scans/.pixcolor-journal");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let (code, out, said) = colorize(folder.path(), &["scans", "-o", "out"]);
    assert!(code == Some(0) && out.contains("3 of 3"), "{out}{said}");
    assert!(said.contains("the user's journal cannot be read and is ignored"), "{said}");
    let (code, out, said) = colorize(folder.path(), &["scans/a.jpg"]);
    assert!(code == Some(0) && said.contains("the next run will not know these results"), "{out}{said}");
}

#[test]
fn only_what_was_recorded_or_has_the_name_of_a_result_is_taken_for_one() {
    let folder = archive();
    succeeds(folder.path(), &["scans", "-o", "same", "--name", "same"]);
    // New content under the name of a result is an original.
    fs::write(folder.path().join("same/a.jpg"), Picture::jpeg(50, 50, 9).bytes).unwrap();
    let out = succeeds(folder.path(), &["same", "-o", "again"]);
    assert!(out.contains("1 of 1 photographs were coloured") && out.contains("2 other files"), "{out}");
    // The journal of a folder above counts, too.
    succeeds(folder.path(), &["scans", "-o", "out"]);
    let out = succeeds(folder.path(), &["out/box 1", "-o", "more"]);
    assert!(out.contains("0 of 0 photographs"), "{out}");
    // A name alone does not make a result.
    let card = Picture::jpeg(40, 40, 5).bytes;
    fs::create_dir(folder.path().join("cards")).unwrap();
    fs::write(folder.path().join("cards/card-coloured.jpg"), card).unwrap();
    fs::write(folder.path().join("cards/card.txt"), "on the back of the card").unwrap();
    let out = succeeds(folder.path(), &["cards", "-o", "cards-out"]);
    assert!(out.contains("1 of 1 photographs were coloured"), "{out}");
}

#[test]
fn the_results_folder_is_not_searched_even_without_its_journal() {
    let folder = archive();
    succeeds(folder.path(), &["scans", "-o", "scans/out"]);
    fs::remove_file(folder.path().join("scans/out/.pixcolor-journal")).unwrap();
    let (code, _, said) = colorize(folder.path(), &["scans", "-o", "scans/out"]);
    assert_eq!((code, said.matches("was not written by this command").count()), (Some(1), 3), "{said}");
    assert_eq!(tree(&folder.path().join("scans/out")).len(), 3);
}

#[test]
fn several_folders_keep_their_names() {
    let folder = archive();
    fs::create_dir(folder.path().join("other")).unwrap();
    fs::copy(folder.path().join("scans/a.jpg"), folder.path().join("other/a.jpg")).unwrap();
    succeeds(folder.path(), &["scans", "other", "-o", "out"]);
    let results = tree(&folder.path().join("out"));
    assert!(
        results.contains(&"scans/a-coloured.jpg".into()) && results.contains(&"other/a-coloured.jpg".into())
    );
}

#[test]
fn a_report_never_replaces_a_photograph() {
    let folder = archive();
    let path = |name: &str| folder.path().join(name);
    fs::hard_link(path("scans/a.jpg"), path("report.csv")).unwrap();
    let before = fs::read(path("scans/a.jpg")).unwrap();
    let (code, _, said) = colorize(folder.path(), &["scans", "-o", "out", "--report", "report.csv"]);
    assert!(code == Some(1) && said.contains("the report would overwrite one of the photographs"), "{said}");
    assert_eq!(fs::read(path("scans/a.jpg")).unwrap(), before);
}

#[test]
fn the_result_of_a_private_photograph_is_private_and_names_do_not_control_the_terminal() {
    use std::os::unix::fs::PermissionsExt;
    let folder = archive();
    let private = folder.path().join("scans/a.jpg");
    fs::set_permissions(&private, fs::Permissions::from_mode(0o600)).unwrap();
    fs::copy(&private, folder.path().join("scans/\u{1b}]0;title\u{7}.jpg")).unwrap();
    let out = succeeds(folder.path(), &["scans", "-o", "out"]);
    assert!(!out.contains('\u{1b}') && out.contains("\\u{1b}]0;title"), "{out:?}");
    let mode = fs::metadata(folder.path().join("out/a-coloured.jpg")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_dry_run_can_be_read_by_programs() {
    let folder = archive();
    let out = succeeds(folder.path(), &["scans", "-o", "out", "--dry-run", "--json"]);
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let summary = &lines.last().unwrap()["summary"];
    assert_eq!((&summary["to_colour"], &summary["done"]), (&3.into(), &0.into()), "{summary}");
    assert_eq!(summary["estimates"][0]["provider"], "local");
    assert_eq!(succeeds(folder.path(), &["scans", "-o", "out", "--dry-run", "--quiet"]), "");
    assert!(!folder.path().join("out").exists());
}

/// Memory, and times as ratios, of thousands of files; `benches/archive.py` is also run by hand, with 100,000.
#[test]
#[ignore = "takes minutes"]
fn thousands_of_files_need_no_more_memory_and_no_more_time_each() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/archive.py");
    let mut command = std::process::Command::new("python3");
    let output = command.arg(script).arg(env!("CARGO_BIN_EXE_pixcolor")).arg("5000").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}{said}", String::from_utf8_lossy(&output.stdout));
}
