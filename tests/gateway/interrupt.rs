//! `pixcolor colorize` stopped by a signal: it reports its progress and settles every call.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use crate::fakes::KEY;
use crate::fakes::algorithmia::Algorithmia;
use crate::harness::Picture;
use crate::harness::server::pixcolor;
use crate::harness::wait::until;

const FILES: [&str; 5] = ["1.png", "2.png", "3.png", "4.png", "5.png"];

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (seed, name) in FILES.iter().enumerate() {
        fs::write(folder.path().join(name), Picture::png(64, 48, seed as u32).bytes).unwrap();
    }
    for (name, content) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    folder
}

/// A running `pixcolor colorize` whose output goes to a file.
struct Running {
    child: Child,
    said: PathBuf,
}

impl Running {
    fn start(folder: &Path) -> Self {
        let said = folder.join("said");
        let file = File::create(&said).unwrap();
        let mut command = pixcolor(folder);
        command.arg("colorize").args(FILES).args(["-o", "out"]).env("API_KEY", KEY);
        command.stdout(file.try_clone().unwrap()).stderr(file);
        Self { child: command.spawn().unwrap(), said }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    fn said(&self) -> String {
        let said = fs::read_to_string(&self.said).unwrap();
        assert!(!said.contains(KEY), "the output contains the planted key: {said}");
        said
    }

    /// Exit code and output.
    fn end(mut self) -> (Option<i32>, String) {
        let code = self.child.wait().unwrap().code();
        (code, self.said())
    }
}

/// The files in the results folder.
fn results(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder.join("out")).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name != ".pixcolor-journal");
    names.sort();
    names
}

fn charged(folder: &Path) -> String {
    let usage = pixcolor(folder).args(["usage", "--csv"]).output().unwrap();
    let usage = String::from_utf8(usage.stdout).unwrap();
    let mut rows = usage.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let place = rows.next().unwrap().iter().position(|name| *name == "credits").unwrap();
    rows.next().unwrap()[place].to_owned()
}

/// A program that colours the first image and never finishes the others.
const SLOW: &str = "kind = \"exec\"\nmodel = \"slow\"\ntimeout = 60\n\
    command = [\"sh\", \"-c\", \"mkdir first 2>/dev/null && exec python3 sepia.py; echo $$ >>begun; exec sleep 600\"]\n";

#[test]
fn a_signal_ends_colorize_at_once_without_paid_calls() {
    let handbook = include_str!("../../docs/providers.md");
    let marker = "<!-- file of tests/providers/exec.rs: sepia.py -->\n```python\n";
    let sepia = handbook.split(marker).nth(1).unwrap().split("```").next().unwrap();
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let folder = folder(&[
            ("config/pixcolor.toml", "route = [\"slow\"]\n"),
            ("config/providers/slow.toml", SLOW),
            ("config/providers/sepia.py", sepia),
        ]);
        let child = Running::start(folder.path());
        let begun = || {
            let begun = fs::read_to_string(folder.path().join("config/providers/begun"));
            begun.unwrap_or_default().lines().map(str::to_owned).collect::<Vec<_>>()
        };
        let out = folder.path().join("out");
        let colored = || {
            fs::read_dir(&out).is_ok_and(|out| {
                out.flatten().any(|entry| entry.path().extension().is_some_and(|it| it == "png"))
            })
        };
        until("one picture is coloured and another is begun", || colored() && !begun().is_empty());
        let signaled = Instant::now();
        child.signal(name);
        let (status, said) = child.end();
        assert!(signaled.elapsed() < Duration::from_secs(8), "{:?}: {said}", signaled.elapsed());
        assert_eq!(status, Some(code), "{said}");
        let summary = format!(
            "pixcolor: stopped by SIG{name}: 1 of 5 photographs were coloured, 0 failed, 4 are left ("
        );
        assert!(said.contains(&summary), "{summary}\n{said}");
        assert!(said.contains(" of them cut off); 0 credits were charged\n"), "{said}");
        assert!(results(folder.path()).len() == 1, "{:?}", results(folder.path()));
        for program in begun() {
            assert!(!Path::new("/proc").join(&program).exists(), "{program} still runs");
        }
    }
}

#[test]
fn a_paid_call_may_finish_and_its_result_is_written() {
    let (fake, folder) = paid();
    let child = stopping(&fake, folder.path());
    fake.hold(false);
    let (status, said) = child.end();
    assert_eq!(status, Some(130), "{said}");
    let results = results(folder.path());
    assert_eq!(results.len(), at_once(), "{results:?}: {said}");
    assert!(results.iter().all(|name| name.ends_with("-coloured.png")), "{results:?}");
    let (done, left) = (results.len(), 5 - results.len());
    let summary = format!(
        "{done} of 5 photographs were coloured, 0 failed, {left} are left; {} credits were",
        2 * done
    );
    assert!(said.contains(&summary), "{summary}\n{said}");
    assert_eq!((fake.calls(), charged(folder.path())), (done, (2 * done).to_string()));
}

#[test]
fn a_second_signal_aborts_calls_and_charges_them_in_full() {
    let (fake, folder) = paid();
    let child = stopping(&fake, folder.path());
    let (calls, signaled) = (fake.calls(), Instant::now());
    child.signal("INT");
    let (status, said) = child.end();
    assert!(signaled.elapsed() < Duration::from_secs(8), "{:?}: {said}", signaled.elapsed());
    assert_eq!(status, Some(130), "{said}");
    assert_eq!((fake.calls(), results(folder.path()).len()), (calls, 0), "{said}");
    let summary =
        format!("0 of 5 photographs were coloured, 0 failed, 5 are left ({calls} of them cut off); ");
    assert!(said.contains(&summary), "{summary}\n{said}");
    assert!(said.contains(&format!("; {} credits were charged, in full for calls", 60 * calls)), "{said}");
    assert_eq!(charged(folder.path()), (60 * calls).to_string());
    fake.hold(false);
}

#[test]
fn a_queued_call_does_not_begin_after_a_signal_and_costs_nothing() {
    for again in [false, true] {
        let (fake, folder) = paid_by("concurrency = 1\n");
        let child = Running::start(folder.path());
        until("a call is made", || fake.calls() == 1);
        child.signal("TERM");
        until("the command says that it stops", || child.said().contains("Ctrl+C again cuts them off"));
        if again {
            child.signal("INT");
        } else {
            fake.hold(false);
        }
        let (status, said) = child.end();
        // The exit status is that of the first signal, SIGTERM.
        assert_eq!(status, Some(143), "{said}");
        let (done, credits) = if again { (0, "60") } else { (1, "2") };
        assert!(
            said.contains(&format!("SIGTERM: {done} of 5 photographs were coloured, 0 failed")),
            "{said}"
        );
        assert!(said.contains(&format!("; {credits} credits were charged")), "{said}");
        assert_eq!((fake.calls(), results(folder.path()).len()), (1, done), "{said}");
        assert_eq!(charged(folder.path()), credits);
        fake.hold(false);
    }
}

#[test]
fn a_signal_ends_provider_test_and_its_program() {
    let slow =
        "kind = \"exec\"\nmodel = \"slow\"\ncommand = [\"sh\", \"-c\", \"echo $$ >begun; exec sleep 600\"]\n";
    let folder = folder(&[("config/pixcolor.toml", ""), ("config/providers/slow.toml", slow)]);
    let mut command = pixcolor(folder.path());
    let mut child = command.args(["provider", "test", "slow", "1.png"]).spawn().unwrap();
    let begun = || std::fs::read_to_string(folder.path().join("config/providers/begun")).unwrap_or_default();
    until("the program runs", || begun().ends_with('\n'));
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-s", "TERM", &pid]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert!(!Path::new("/proc").join(begun().trim()).exists(), "the program still runs");
}

/// Starts the command, waits for the maximum of concurrent calls, and sends a first Ctrl+C.
#[track_caller]
fn stopping(fake: &Algorithmia, folder: &Path) -> Running {
    let child = Running::start(folder);
    until("calls are made", || fake.calls() == at_once());
    child.signal("INT");
    until("the command says that it stops", || child.said().contains("Ctrl+C again cuts them off"));
    child
}

/// How many photos are coloured concurrently.
fn at_once() -> usize {
    std::thread::available_parallelism().map_or(2, |cores| cores.get()).min(FILES.len())
}

/// A host that holds its responses back. A call costs 2 credits and may cost 60.
fn paid() -> (Algorithmia, tempfile::TempDir) {
    paid_by("")
}

/// Like [`paid`], with more settings of the provider.
fn paid_by(more: &str) -> (Algorithmia, tempfile::TempDir) {
    let fake = Algorithmia::start();
    fake.hold(true);
    let file = format!("kind = \"algorithmia\"\nbase_url = \"{}\"\n{more}", fake.url());
    let files =
        [("config/pixcolor.toml", "route = [\"far\", \"local\"]"), ("config/providers/far.toml", &file)];
    let folder = folder(&files);
    (fake, folder)
}
