//! A test in a process of its own: memory is measured for a process, and other tests run beside.

use std::process::Command;

/// Runs the ignored test of this name alone, with an argument, and gives what it printed.
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

/// What [`run`] was given; nothing when the test was started by hand.
pub fn argument() -> Option<String> {
    std::env::var("PHOTO_TEST_ARGUMENT").ok()
}

/// A line of `/proc/self/status`, in bytes.
pub fn status(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// Runs something and gives the most memory it needed beyond what was there before.
pub fn peak<T>(run: impl FnOnce() -> T) -> (T, u64) {
    // proc(5): 5 sets the peak resident set size back to what is resident now.
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = status("VmRSS");
    let value = run();
    (value, status("VmHWM").saturating_sub(before))
}
