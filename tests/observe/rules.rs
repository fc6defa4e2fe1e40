//! The alerts of `deploy/prometheus`, tested with Prometheus's own `promtool`.

use std::path::Path;
use std::process::Command;

#[track_caller]
fn promtool(args: &[&str]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/prometheus");
    let output = Command::new("promtool").args(args).current_dir(folder).output();
    let output = output.expect("promtool, of Debian's package prometheus");
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "{args:?}: {said}");
}

#[test]
fn the_scrape_configuration_and_the_rules_are_valid() {
    promtool(&["check", "config", "--lint-fatal", "prometheus.yml"]);
    promtool(&["check", "rules", "--lint-fatal", "rules.yml"]);
}

#[test]
fn each_alert_fires_exactly_when_it_should() {
    promtool(&["test", "rules", "rules_test.yml"]);
    let (rules, tests) = (
        include_str!("../../deploy/prometheus/rules.yml"),
        include_str!("../../deploy/prometheus/rules_test.yml"),
    );
    for alert in rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        let cases = tests.matches(&format!("alertname: {alert}\n")).count();
        assert!(cases >= 2, "{alert} has {cases} tests");
    }
}
