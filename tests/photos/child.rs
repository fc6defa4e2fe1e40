//! Runs a test in a separate process, because memory is measured per process, and other tests run at the same time.

use std::process::Command;

/// Runs the ignored test with this name, with an argument, and returns its output.
pub fn run(test: &str, argument: &str) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"])
        .env("PHOTO_TEST_ARGUMENT", argument)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{test}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// The argument of [`run`]; `None` if the test was started by hand.
pub fn argument() -> Option<String> {
    std::env::var("PHOTO_TEST_ARGUMENT").ok()
}

/// A value of `/proc/self/status`, in bytes.
pub fn status(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// Runs a function. Returns its result and its peak memory above the memory in use before, in bytes.
pub fn peak<T>(run: impl FnOnce() -> T) -> (T, u64) {
    // Writing 5 resets the peak resident set size to the current one (proc(5)).
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = status("VmRSS");
    let value = run();
    (value, status("VmHWM").saturating_sub(before))
}
