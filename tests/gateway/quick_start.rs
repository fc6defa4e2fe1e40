//! The commands of the quick start open a gateway to other machines. The gateway rejects clients without a key.

use std::path::Path;
use std::process::Command;

use crate::harness::server::pixcolor;
use crate::harness::{Answer, Picture, Setup, agent};

/// The shell commands that the page marks as run by this test.
fn commands() -> Vec<&'static str> {
    let page = include_str!("../../docs/quick-start.md");
    let marked = page.split("<!-- run by tests/gateway/quick_start.rs -->\n```sh\n").skip(1);
    marked.map(|rest| rest.split("```").next().unwrap()).collect()
}

fn run(script: &str, folder: &Path) {
    let binary = Path::new(env!("CARGO_BIN_EXE_pixcolor")).parent().unwrap();
    let mut shell = Command::new("bash");
    shell.args(["-euo", "pipefail", "-c", script]).current_dir(folder);
    for (name, value) in pixcolor(folder).get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell.env("PATH", format!("{}:{}", binary.display(), std::env::var("PATH").unwrap()));
    let output = shell.output().unwrap();
    assert!(output.status.success(), "{script}\n{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_documented_steps_open_a_gateway_to_other_machines() {
    let blocks = commands();
    let [prepare, use_it] = blocks[..] else { panic!("{blocks:?}") };
    // The last line starts the server, which the harness does instead.
    let (prepare, serve) = prepare.trim_end().rsplit_once('\n').unwrap();
    assert_eq!(serve, "ROCKET_ADDRESS=0.0.0.0 pixcolor --config open-config");
    let setup = Setup::new().file("photo.jpg", Picture::jpeg(64, 48, 1).bytes);
    run(prepare, &setup.path(""));
    let mut server = setup.env("ROCKET_ADDRESS", "0.0.0.0").env("PIXCOLOR_CONFIG", "open-config").start();
    assert!(server.address.ip().is_unspecified());
    server.address.set_ip([127, 0, 0, 1].into());
    run(&use_it.replace("127.0.0.1:8080", &server.address.to_string()), &server.path(""));
    assert_eq!(image::open(server.path("coloured.jpg")).unwrap().width(), 64);

    assert_eq!(server.colorize(&Picture::jpeg(64, 48, 1)).status, 401);
    assert_eq!(server.get("/v1/admin/config").status, 401);
    let other = agent().get(server.url("/v1/quota")).header("Host", "other.example.org").call().unwrap();
    assert_eq!(Answer::new(other).status, 421);
}
