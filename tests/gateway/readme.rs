//! The commands in the README and the guides work as written.

use std::path::Path;
use std::process::Command;

use crate::harness::server::pixcolor;
use crate::harness::{Picture, Server};

/// The shell commands that the pages mark as run by this test.
fn commands() -> Vec<&'static str> {
    let pages = [
        include_str!("../../README.md"),
        include_str!("../../docs/quick-start.md"),
        include_str!("../../docs/guide.md"),
        include_str!("../../docs/sizing.md"),
        include_str!("../../docs/archives.md"),
    ];
    let marked =
        pages.iter().flat_map(|page| page.split("<!-- run by tests/gateway/readme.rs -->\n```sh\n").skip(1));
    marked.map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn every_documented_command_works_as_written() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("photo.jpg"), Picture::jpeg(320, 240, 1).bytes).unwrap();
    for (name, seed) in [("scans/a.jpg", 2), ("scans/box 1/b.jpg", 3)] {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, Picture::jpeg(64, 48, seed).bytes).unwrap();
    }
    let binary = Path::new(env!("CARGO_BIN_EXE_pixcolor")).parent().unwrap();
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
    assert!(commands().len() >= 7);
    for block in commands() {
        let script = block.replace("127.0.0.1:8080", &server.address.to_string());
        // A shell with the environment that tests give the binary.
        let template = pixcolor(folder.path());
        let mut shell = Command::new("bash");
        shell.args(["-euo", "pipefail", "-c", &script]).current_dir(folder.path()).env("PATH", &path);
        for (name, value) in template.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        let output = shell.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{block}\n{said}");
    }
    for made in [
        "again.jpg",
        "coloured.jpg",
        "coloured.webp",
        "coloured.png",
        "photo-coloured.jpg",
        "coloured/photo-coloured.png",
    ] {
        let picture = image::open(folder.path().join(made)).unwrap_or_else(|error| panic!("{made}: {error}"));
        assert_eq!((picture.width(), picture.height()), (320, 240), "{made}");
    }
}
