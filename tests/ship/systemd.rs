//! `deploy/systemd/pixcolor.service`, by systemd's own tools, which need no systemd that runs.

use std::process::Command;

use crate::files::{path, read};

#[test]
fn the_unit_is_valid_and_as_shut_in_as_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join("pixcolor.service");
    let text = read("deploy/systemd/pixcolor.service");
    // The binary is where this test has it.
    std::fs::write(&unit, text.replace("/usr/local/bin/pixcolor", env!("CARGO_BIN_EXE_pixcolor"))).unwrap();
    let analyze = |args: &[&str]| {
        let output = Command::new("systemd-analyze").args(args).arg(&unit).output();
        let output = output.expect("systemd-analyze, of Debian's package systemd");
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.success(), said)
    };
    let (valid, said) = analyze(&["verify"]);
    assert!(valid && !said.contains("pixcolor.service:"), "{said}");
    let (good, said) = analyze(&["security", "--offline=true", "--threshold=15", "--no-pager"]);
    assert!(good, "more than 1.5 of 10: {said}");
    let score = said.lines().find_map(|line| line.split("exposure level for pixcolor.service: ").nth(1));
    let score = score.and_then(|rest| rest.split(' ').next()).unwrap_or_else(|| panic!("{said}"));
    assert!(
        read("docs/operations.md").contains(&format!("**{score}**")),
        "docs/operations.md says another score than {score}"
    );
    assert!(path("deploy/systemd/pixcolor.service").is_file());
}
