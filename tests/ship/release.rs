//! The archive from `deploy/release`, installed by the three documented lines of docs/quick-start.md on a machine with
//! only a shell, tar, gzip and sha256sum.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::files::{path, read};
use crate::harness::picture::colorfulness;
use crate::harness::wait::until;
use crate::harness::{Answer, Picture, agent};
use crate::machine::{Running, install};

/// The documented commands that install the archive and start the gateway.
fn documented() -> Vec<String> {
    let manual = read("docs/quick-start.md");
    let block = manual.split("<!-- run by tests/ship/release.rs -->\n```sh\n").nth(1).expect("the commands");
    let lines = block.split("\n```").next().unwrap().lines();
    // The test runs the lines as root on a machine without sudo. It runs each line separately and fails if one fails.
    lines.map(|line| line.trim_start_matches("sudo ").trim_end_matches(" &&").to_owned()).collect()
}

/// Runs `deploy/release`, which prints the names of the archive and of the file with its SHA-256.
fn release(folder: &Path) -> Vec<PathBuf> {
    let output = Command::new(path("deploy/release")).arg(folder).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().lines().map(PathBuf::from).collect()
}

/// Runs a command in the new root as root, with only these variables.
fn enter(root: &Path, variables: &[(&str, &str)], command: &[&str]) -> Command {
    let mut enter = Command::new("unshare");
    enter.arg("--root").arg(root).args(["--wd", "/root"]).args(command).env_clear();
    enter.env("HOME", "/root").env("PATH", "/usr/local/bin:/usr/bin:/bin").envs(variables.iter().copied());
    enter
}

#[test]
#[ignore = "builds a static binary with all optimisation: more than ten minutes on two cores"]
fn the_documented_commands_install_the_archive_without_rust() {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        // Only the user root can change the root folder.
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let made = release(folder.path());
    let [archive, sum] = &made[..] else { panic!("{made:?}") };
    let again = folder.path().join("again");
    assert_eq!(
        fs::read(&release(&again)[0]).unwrap(),
        fs::read(archive).unwrap(),
        "two builds must give the same archive"
    );

    let root = folder.path().join("root");
    for program in ["sh", "tar", "gzip", "sha256sum"] {
        let program = ["/usr/bin", "/bin"].map(|folder| format!("{folder}/{program}"));
        let program =
            program.iter().find(|program| Path::new(program).exists()).expect("a program of Debian");
        install(&root, program, program);
    }
    for made in ["dev", "root", "tmp", "usr/local/bin"] {
        fs::create_dir_all(root.join(made)).unwrap();
    }
    // Programs use these devices. A statically linked program, for example, reads random numbers from one.
    for (device, minor) in [("null", "3"), ("random", "8"), ("urandom", "9")] {
        let made = Command::new("mknod")
            .arg(root.join("dev").join(device))
            .args(["-m", "666", "c", "1", minor])
            .status();
        assert!(made.unwrap().success());
    }
    fs::set_permissions(root.join("usr/local/bin"), Permissions::from_mode(0o2775)).unwrap();
    for file in [archive, sum] {
        fs::copy(file, root.join("root").join(file.file_name().unwrap())).unwrap();
    }

    let lines = documented();
    let [check, unpack, serve] = &lines[..] else { panic!("not three lines: {lines:?}") };
    for line in [check, unpack] {
        let output = enter(&root, &[], &["sh", "-ec", line]).output().unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let mode = fs::metadata(root.join("usr/local/bin")).unwrap().mode();
    assert_eq!(mode & 0o7777, 0o2775, "the archive changed the mode of an existing folder");
    let installed = |name: &str| root.join("usr/local").join(name);
    for file in ["LICENSE-MIT", "LICENSE-APACHE", "THIRD-PARTY-LICENSES", "README.md"] {
        assert!(installed("share/doc/pixcolor").join(file).is_file(), "{file}");
    }
    assert_eq!(
        fs::read_to_string(installed("share/pixcolor/config/pixcolor.toml")).unwrap(),
        read("config/pixcolor.toml")
    );

    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut start =
        enter(&root, &[("ROCKET_PORT", &port.to_string())], &["sh", "-ec", &format!("exec {serve}")]);
    let mut running = Running(start.stdout(Stdio::null()).spawn().unwrap());
    let url = |path: &str| format!("http://127.0.0.1:{port}{path}");
    until("the installed program answers", || {
        assert!(running.0.try_wait().unwrap().is_none(), "it has ended");
        agent().get(url("/healthz")).call().is_ok()
    });
    let picture = Picture::png(320, 240, 1);
    let request = agent().post(url("/v1/colorize")).header("Content-Type", picture.media_type);
    let colored = Answer::new(request.send(&picture.bytes).unwrap());
    assert!(colorfulness(&colored.picture()) > 1.0, "{colored:?}");

    // The binary accepts the commented configuration, and systemd finds the unit.
    let config = "/usr/local/share/pixcolor/config";
    assert!(enter(&root, &[], &["pixcolor", "--config", config, "check"]).output().unwrap().status.success());
    let mut enable = Command::new("systemctl");
    let enabled = enable.arg("--root").arg(&root).args(["enable", "pixcolor"]).output();
    let enabled = enabled.expect("systemctl, of Debian's package systemd");
    assert!(enabled.status.success(), "{}", String::from_utf8_lossy(&enabled.stderr));
    let unit = root.join("etc/systemd/system/multi-user.target.wants/pixcolor.service");
    assert_eq!(fs::read_link(unit).unwrap(), Path::new("/usr/local/lib/systemd/system/pixcolor.service"));
    let unit = fs::read_to_string(installed("lib/systemd/system/pixcolor.service")).unwrap();
    let started = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    let program = started.split(' ').next().unwrap().trim_start_matches('/');
    assert!(root.join(program).is_file(), "{started}");
}
