//! The image, built by Debian's buildah, which needs no container engine. It is the Containerfile's last stage with a
//! static binary. The binary is built here with the first stage's commands, because tests have no registry from which
//! to pull that stage's base image. Then the binary runs from the image in a chroot, as an unprivileged user.

use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::containerfile::last_stage;
use crate::files::{path, read};
use crate::harness::picture::colorfulness;
use crate::harness::wait::until;
use crate::harness::{Answer, Picture, agent};

/// Maximum size of the whole image, in bytes.
const MOST: u64 = 60_000_000;

const NAME: &str = "localhost/pixcolor:test";

/// Runs a command and asserts that it succeeds.
#[track_caller]
fn output(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {error}");
    out.trim().to_owned()
}

/// Creates in `folder` what the Containerfile's first stage produces, with the same build command.
fn first_stage(folder: &Path) {
    let rustc = output(Command::new("rustc").arg("-vV"));
    let host = rustc.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let stage = read("Containerfile");
    let built = "RUSTFLAGS=\"-C target-feature=+crt-static\" cargo build --locked --profile dist --bin pixcolor --target \"$target\"";
    assert!(stage.contains(built), "the build command of the first stage differs from this test's");
    let build =
        "RUSTFLAGS='-C target-feature=+crt-static' cargo build --locked --profile dist --bin pixcolor";
    let script = format!("{build} --target {host} --target-dir target/static");
    let mut cargo = Command::new("sh");
    cargo.args(["-c", &script]).current_dir(path(".")).stderr(Stdio::inherit());
    // Removes variables of `cargo test`, with which cargo would repeat the build of deploy/release in the same folder.
    for (name, _) in std::env::vars() {
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(name);
        }
    }
    assert!(cargo.status().unwrap().success());

    let binary = path("target/static").join(host).join("dist/pixcolor");
    let copy = |from: PathBuf, to: &str| {
        let to = folder.join(to);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(&from, &to).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
    };
    copy(binary, "out/usr/bin/pixcolor");
    copy("/etc/ssl/certs/ca-certificates.crt".into(), "out/etc/ssl/certs/ca-certificates.crt");
    for license in ["LICENSE-MIT", "LICENSE-APACHE"] {
        copy(path(license), &format!("out/usr/share/doc/pixcolor/{license}"));
    }
    for made in ["out/etc/pixcolor", "out/var/lib", "state"] {
        std::fs::create_dir_all(folder.join(made)).unwrap();
    }
}

/// The image, in its own storage.
struct Image {
    folder: TempDir,
    config: Value,
}

impl Image {
    fn build() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let stage = folder.path().join("stage");
        first_stage(&stage);
        let mut image = Self { folder, config: Value::Null };
        let context = format!("build={}", stage.display());
        let build = [
            "build",
            "--isolation",
            "chroot",
            "--format",
            "docker",
            "--build-context",
            &context,
            "-t",
            NAME,
            "-f",
        ];
        output(image.buildah(&build).arg(path("Containerfile")).arg(&stage));
        let inspected = output(&mut image.buildah(&["inspect", "--type", "image", NAME]));
        let inspected: Value = serde_json::from_str(&inspected).unwrap();
        image.config = inspected.pointer("/Docker/config").unwrap().clone();
        image
    }

    fn buildah(&self, args: &[&str]) -> Command {
        let mut command = Command::new("buildah");
        let storage = |name: &str| self.folder.path().join("storage").join(name);
        command.arg("--root").arg(storage("root")).arg("--runroot").arg(storage("run"));
        command.args(["--storage-driver", "vfs"]).args(args);
        command
    }

    /// A list in the image's configuration.
    fn words(&self, pointer: &str) -> Vec<String> {
        let list = self.config.pointer(pointer).and_then(Value::as_array);
        let list = list.unwrap_or_else(|| panic!("{pointer}: {}", self.config));
        list.iter().map(|word| word.as_str().unwrap().to_owned()).collect()
    }

    /// Creates a container from the image. Returns its name and the path of its mounted root folder.
    fn container(&self) -> (String, PathBuf) {
        let name = output(&mut self.buildah(&["from", "--pull-never", NAME]));
        let root = output(&mut self.buildah(&["mount", &name]));
        (name, root.into())
    }

    /// Runs a command in a container with the image's user, folder and environment.
    fn run(&self, container: &str, more: &[&str], command: &[String]) -> Command {
        let mut run = self.buildah(&["run", "--isolation", "chroot"]);
        run.args(more).args([container, "--"]).args(command);
        run
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        // The folder can be removed only after its mounts.
        let _ = self.buildah(&["rm", "--all"]).output();
    }
}

/// The image's command, running.
struct Running {
    child: Child,
    port: u16,
    log: PathBuf,
}

impl Running {
    fn start(image: &Image, container: &str, more: &[&str], log: &Path) -> Self {
        // A port that was free a moment ago.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let command = [image.words("/Entrypoint"), image.words("/Cmd")].concat();
        let port_set = format!("ROCKET_PORT={port}");
        let more = [&["--env", &port_set], more].concat();
        let file = std::fs::File::create(log).unwrap();
        let child = image
            .run(container, &more, &command)
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        let mut running = Self { child, port, log: log.to_owned() };
        until("the program in the image answers", || {
            assert!(running.child.try_wait().unwrap().is_none(), "{}", running.said());
            agent().get(running.url("/healthz")).call().is_ok()
        });
        running
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    fn get(&self, path: &str) -> Answer {
        Answer::new(agent().get(self.url(path)).call().unwrap())
    }

    fn colorize(&self, picture: &Picture) -> Answer {
        Answer::new(
            agent()
                .post(self.url("/v1/colorize"))
                .header("Content-Type", picture.media_type)
                .send(&picture.bytes)
                .unwrap(),
        )
    }

    /// The folder in /proc of the program's process. That process is a descendant of buildah's process.
    fn process(&self) -> PathBuf {
        let sought = format!("ROCKET_PORT={}", self.port);
        let is_it = |process: &PathBuf| {
            let name = std::fs::read_to_string(process.join("comm")).unwrap_or_default();
            let environment = std::fs::read(process.join("environ")).unwrap_or_default();
            name.trim() == "pixcolor"
                && environment.split(|byte| *byte == 0).any(|one| one == sought.as_bytes())
        };
        let processes = std::fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
        processes.into_iter().find(is_it).expect("it runs")
    }

    /// Stops it with SIGTERM, as a container engine does.
    fn stop(mut self) {
        let pid = self.process().file_name().unwrap().to_owned();
        assert!(Command::new("kill").arg("-TERM").arg(pid).status().unwrap().success());
        assert!(self.child.wait().unwrap().success(), "{}", self.said());
        assert!(self.said().contains("PixColor has stopped"), "{}", self.said());
    }
}

/// The files below `root` that belong to the image's user, without those below `but`.
fn own_files(root: &Path, user: &str, but: &str) -> String {
    let uid = user.split(':').next().unwrap();
    let but = format!("{}{but}", root.display());
    output(
        Command::new("find").arg(root).args(["-xdev", "-path", &but, "-prune", "-o", "-uid", uid, "-print"]),
    )
}

#[test]
#[ignore = "builds a static binary with all optimisation: more than ten minutes on two cores"]
fn the_image_is_small_and_its_binary_works_in_a_chroot_as_nobody() {
    let image = Image::build();
    let stage = last_stage();
    assert_eq!(image.config["User"], stage.user);
    assert_eq!(image.words("/Healthcheck/Test")[0], "CMD");
    assert!(image.config.pointer(&format!("/ExposedPorts/{}~1tcp", stage.port)).is_some());
    let (container, root) = image.container();
    let size: u64 =
        output(Command::new("du").args(["-sb"]).arg(&root)).split('\t').next().unwrap().parse().unwrap();
    // Printed for the number in the README.
    writeln!(std::io::stderr(), "the image has {:.1} MB", size as f64 / 1e6).unwrap();
    assert!(size <= MOST, "{size} bytes");
    let interpreter = output(Command::new("file").arg(root.join("usr/bin/pixcolor")));
    assert!(interpreter.contains("static"), "{interpreter}");

    // Exactly one folder is writable.
    let state = tempfile::tempdir().unwrap();
    assert!(Command::new("chown").arg(&stage.user).arg(state.path()).status().unwrap().success());
    let volume = format!("{}:{}", state.path().display(), stage.volume);
    let running =
        Running::start(&image, &container, &["--volume", &volume], &image.folder.path().join("log"));
    let status = std::fs::read_to_string(running.process().join("status")).unwrap();
    let field =
        |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    let ids = format!(
        "{}:{}",
        field("Uid:").split('\t').next().unwrap(),
        field("Gid:").split('\t').next().unwrap()
    );
    assert_eq!((ids, field("CapEff:")), (stage.user.clone(), "0000000000000000".to_owned()));
    let picture = Picture::png(640, 480, 1);
    let colored = running.colorize(&picture);
    assert!(colorfulness(&colored.picture()) > 1.0, "{colored:?}");
    assert_eq!(running.get("/readyz").json().get("paid_providers_are_off"), None);
    // The image's health check with a host name, which a static binary must resolve by itself.
    let port = format!("ROCKET_PORT={}", running.port);
    let check = &image.words("/Healthcheck/Test")[1..];
    output(&mut image.run(&container, &["--env", &port], check));
    let named = [check, &[format!("http://localhost:{}", running.port)]].concat();
    output(&mut image.run(&container, &[], &named));
    running.stop();
    assert!(
        !image.run(&container, &["--env", &port], check).output().unwrap().status.success(),
        "the health check must fail without a server"
    );
    assert!(state.path().join("ledger").is_file());
    assert_eq!(
        own_files(&root, &stage.user, &stage.volume),
        "",
        "something was written outside of the volume"
    );

    // Results are still there after a restart.
    let running =
        Running::start(&image, &container, &["--volume", &volume], &image.folder.path().join("again"));
    assert!(running.colorize(&picture).header("cache-status").contains("hit; detail=disk"));
    running.stop();

    // Without a writable folder, results are cached in memory only, and each warning is logged once.
    let (container, _) = image.container();
    let empty = tempfile::tempdir().unwrap();
    let read_only = format!("{}:{}:ro", empty.path().display(), stage.volume);
    let running =
        Running::start(&image, &container, &["--volume", &read_only], &image.folder.path().join("read-only"));
    let picture = Picture::png(640, 480, 2);
    for origin in ["fwd=miss; stored", "hit; detail=memory", "hit; detail=memory"] {
        assert_eq!(running.colorize(&picture).header("cache-status"), format!("PixColor; {origin}"));
    }
    let ready = running.get("/readyz");
    assert_eq!(ready.status, 200);
    assert!(ready.json()["paid_providers_are_off"].is_string(), "{ready:?}");
    let said = running.said();
    for once in ["results are not cached on disk", "the ledger cannot be used"] {
        assert_eq!(said.matches(once).count(), 1, "{once}: {said}");
    }
    running.stop();
}
