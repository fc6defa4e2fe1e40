//! Runs the examples in `docs/api.md`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::picture::colorfulness;
use crate::harness::{Picture, Server};

/// The Rust example. A test checks that the document has the same text.
mod rust {
    include!("colorize.rs");

    pub fn run() {
        main().unwrap();
    }
}

/// The code blocks of a language in the document.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    let all = include_str!("../../docs/api.md").split(fence.as_str()).skip(1);
    all.map(|rest| rest.split("```").next().unwrap()).collect()
}

/// The Python interpreter of an environment that `tests/run` installs; `None` if it is missing.
pub fn python(name: &str) -> Option<PathBuf> {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!(".test/{name}/bin/python"));
    if python.exists() {
        return Some(python);
    }
    assert!(std::env::var_os("CI").is_none(), "{} is missing: run tests/run", python.display());
    eprintln!("skipped: {} is missing; tests/run installs it", python.display());
    None
}

/// Runs every example of a language in a folder with a photograph, and checks the pictures that the examples write.
#[track_caller]
fn run(language: &str, makes: &[&str], command: impl Fn(&str, &Server) -> Command) {
    let (server, folder) = (Server::start(), tempfile::tempdir().unwrap());
    std::fs::write(folder.path().join("photo.jpg"), Picture::jpeg(320, 240, 1).bytes).unwrap();
    let blocks = blocks(language);
    assert!(!blocks.is_empty());
    for block in blocks {
        let code = block.replace("127.0.0.1:8080", &server.address.to_string());
        let output = command(&code, &server).current_dir(folder.path()).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{block}\n{}", String::from_utf8_lossy(&said));
    }
    for made in makes {
        let picture = image::open(folder.path().join(made)).unwrap_or_else(|error| panic!("{made}: {error}"));
        assert_eq!((picture.width(), picture.height()), (320, 240), "{made}");
        assert!(colorfulness(&picture) > 2.0, "{made} is grey");
    }
}

/// The command that runs a program with these arguments and then the code as the last argument.
fn given(program: impl AsRef<std::ffi::OsStr>, args: &[&str], code: &str) -> Command {
    let mut command = Command::new(program);
    command.args(args).arg(code);
    command
}

#[test]
fn the_examples_for_curl_work() {
    run("sh", &["coloured.jpg", "again.jpg"], |code, _| given("bash", &["-euo", "pipefail", "-c"], code));
}

#[test]
fn the_example_for_python_works() {
    let Some(python) = python("requests-2.34.2") else { return };
    run("python", &["coloured.jpg"], |code, _| given(&python, &["-c"], code));
}

#[test]
fn the_example_for_openais_clients_works() {
    let Some(python) = python("openai-3.54.0") else { return };
    run("python openai", &["coloured.jpg"], |code, _| given(&python, &["-c"], code));
}

#[test]
fn the_example_for_javascript_works() {
    run("js", &["coloured.webp"], |code, _| given("node", &["--input-type=module", "-e"], code));
}

#[test]
fn the_example_in_rust_works() {
    const CHILD: &str = "examples::the_example_in_rust_works";
    if std::env::var_os("GATEWAY").is_some() {
        // This is the child process that the test starts below. This build of reqwest has no default TLS provider;
        // the usual build has one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        return rust::run();
    }
    assert_eq!(blocks("rust"), [include_str!("colorize.rs")]);
    run("rust", &["coloured.jpg"], |_, server| {
        let mut command = given(std::env::current_exe().unwrap(), &["--exact"], CHILD);
        command.env("GATEWAY", server.url(""));
        command
    });
}
