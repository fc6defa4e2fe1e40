//! WebKitGTK's MiniBrowser and its driver. MiniBrowser needs a display, so each has an Xvfb of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use procfs::net::TcpState;
use procfs::process::{FDTarget, Process};
use serde_json::{Value, json};

use super::start_and_read;
use crate::harness::wait::until;

/// Records the page's warnings and errors in `webkitRecorded`, because WebKit's driver has no log of the console.
pub const RECORDER: &str = "
    if (window.webkitRecorded) return;
    const recorded = window.webkitRecorded = [];
    performance.setResourceTimingBufferSize(100_000);
    addEventListener('error', (event) => recorded.push(event.message));
    addEventListener('unhandledrejection', (event) => recorded.push(`unhandled: ${event.reason}`));
    addEventListener('securitypolicyviolation', (event) =>
        recorded.push(`${event.violatedDirective} refuses ${event.blockedURI}`));
    for (const level of ['warn', 'error']) {
        const print = console[level];
        console[level] = (...words) => { recorded.push(words.join(' ')); print.apply(console, words); };
    }";

/// What [`RECORDER`] has recorded since the last call.
pub const RECORDED: &str = "(window.webkitRecorded ?? []).splice(0)";

/// The URLs that the page has requested since the last call.
pub const REQUESTED: &str = "(() => {
    const urls = performance.getEntriesByType('resource').map(({ name }) => name);
    performance.clearResourceTimings();
    return urls;
})()";

/// Starts an X server without a screen and returns its process and the name of its display.
pub fn start_display() -> (Child, String) {
    let mut command = Command::new("Xvfb");
    command.args(["-displayfd", "1", "-screen", "0", "1600x1400x24", "-nolisten", "tcp"]);
    let number = |line: &str| Some(format!(":{}", line.trim().parse::<u32>().ok()?));
    // Two servers that start at the same time may try the same number.
    let started = (0..5).find_map(|_| start_and_read(&mut command, number));
    started.expect("Xvfb prints the number of its display")
}

/// Starts WebKitWebDriver with this folder as its home, and returns its process and port.
pub fn start_driver(home: &Path, display: &str) -> (Child, u16) {
    // Like chromedriver, it exits if its port is free for IPv4 but in use for IPv6.
    (0..5).find_map(|_| try_driver(home, display)).expect("WebKitWebDriver listens")
}

fn try_driver(home: &Path, display: &str) -> Option<(Child, u16)> {
    let mut command = Command::new("WebKitWebDriver");
    command.arg("--port=0").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.env("HOME", home).env("DISPLAY", display).env("GDK_BACKEND", "x11");
    // Neither the person's settings nor programs of the person's desktop may matter.
    for name in ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR", "WAYLAND_DISPLAY"] {
        command.env_remove(name);
    }
    command.env("DBUS_SESSION_BUS_ADDRESS", "disabled:");
    let started = command.spawn();
    let mut driver =
        started.unwrap_or_else(|error| panic!("WebKitWebDriver: {error}; tests/run installs it"));
    let mut port = None;
    until("WebKitWebDriver listens", || {
        port = listening_port(driver.id());
        port.is_some() || driver.try_wait().unwrap().is_some()
    });
    Some((driver, port?))
}

/// The TCP port on which a process listens. WebKitWebDriver does not print it.
fn listening_port(pid: u32) -> Option<u16> {
    let process = Process::new(pid.try_into().unwrap()).ok()?;
    let sockets: Vec<u64> = process
        .fd()
        .ok()?
        .filter_map(|file| match file.ok()?.target {
            FDTarget::Socket(inode) => Some(inode),
            _ => None,
        })
        .collect();
    let entries = process.tcp().ok()?;
    let found =
        entries.iter().find(|entry| entry.state == TcpState::Listen && sockets.contains(&entry.inode));
    Some(found?.local_address.port())
}

/// What a session of WebKitWebDriver needs.
pub fn capabilities() -> Value {
    json!({
        "browserName": "MiniBrowser",
        "webkitgtk:browserOptions": {"binary": mini_browser(), "args": ["--automation"]},
    })
}

/// The path of MiniBrowser. It depends on the architecture.
fn mini_browser() -> PathBuf {
    let found = glob::glob("/usr/lib/*/webkit*/MiniBrowser").unwrap().find_map(Result::ok);
    found.expect("there is no MiniBrowser; tests/run installs webkit2gtk-driver")
}

/// Lets MiniBrowser save downloads in the folder `downloads` of its home.
pub fn set_download_folder(home: &Path) {
    for folder in ["downloads", ".config"] {
        std::fs::create_dir(home.join(folder)).unwrap();
    }
    std::fs::write(home.join(".config/user-dirs.dirs"), "XDG_DOWNLOAD_DIR=\"$HOME/downloads\"\n").unwrap();
}
