//! Runs the commands in docs/algorithmia.md.

use std::process::Command;

use crate::harness::{Picture, Server};

#[test]
fn the_commands_for_curl_work_as_they_are_written() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("photo.jpg"), Picture::jpeg(160, 120, 1).bytes).unwrap();
    let marked = include_str!("../../../docs/algorithmia.md").split("<!-- run by tests/facades -->\n```sh\n");
    let blocks: Vec<&str> = marked.skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(blocks.len(), 1);
    let script = blocks[0].replace("127.0.0.1:8080", &server.address.to_string());
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &script])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("\"result\":\"Hello HAL 9000\""));
    let picture = image::open(folder.path().join("coloured.png")).unwrap();
    assert_eq!((picture.width(), picture.height()), (160, 120));
}
