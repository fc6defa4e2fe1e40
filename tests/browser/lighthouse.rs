//! Lighthouse's scores of the empty page, on the slow phone and network that Lighthouse simulates by default.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::driver::program;
use crate::harness::Server;

/// Lighthouse's command; `tests/run --all` installs it. Version 12 is the last one that supports Debian 12's Node 18.
const LIGHTHOUSE: &str = ".test/lighthouse-12.8.2/node_modules/lighthouse/cli/index.js";

const CATEGORIES: [&str; 3] = ["performance", "accessibility", "best-practices"];

/// Maximum size of everything that the first visit loads, with headers, in bytes.
const FIRST_LOAD_BYTES: f64 = 60_000.0;

/// Maximum runs. A busy machine can cost points, so the best run counts.
const RUNS: usize = 3;

/// Runs Lighthouse and returns its report.
fn audit(url: &str, folder: &Path) -> Value {
    let lighthouse = Path::new(env!("CARGO_MANIFEST_DIR")).join(LIGHTHOUSE);
    assert!(lighthouse.exists(), "there is no {LIGHTHOUSE}; tests/run --all installs it");
    let report: PathBuf = folder.join("report.json");
    let output = Command::new("node")
        .arg(lighthouse)
        .args([url, "--quiet", "--no-enable-error-reporting", "--output=json"])
        .args(["--chrome-flags=--headless=new --no-sandbox --disable-dev-shm-usage"])
        .arg(format!("--only-categories={}", CATEGORIES.join(",")))
        .arg(format!("--output-path={}", report.display()))
        .env("CHROME_PATH", program("chromium"))
        .env("HOME", folder)
        .env("TMPDIR", folder)
        .current_dir(folder)
        .output()
        .unwrap_or_else(|error| panic!("node: {error}; tests/run installs it"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    assert!(report["runtimeError"].is_null(), "{}", report["runtimeError"]);
    report
}

/// The score of a category, from 0 to 100.
fn score(report: &Value, category: &str) -> u64 {
    let score = report["categories"][category]["score"].as_f64();
    (score.unwrap_or_else(|| panic!("no score for {category}")) * 100.0).round() as u64
}

/// Says for each category below 100 which audits failed. Audits without weight cost no points themselves, but often
/// explain those that do.
fn lost_points(report: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for category in CATEGORIES {
        let points = score(report, category);
        if points == 100 {
            continue;
        }
        lines.push(format!("{category}: {points}"));
        for reference in report["categories"][category]["auditRefs"].as_array().unwrap() {
            let id = reference["id"].as_str().unwrap();
            let audit = &report["audits"][id];
            if audit["score"].as_f64().is_some_and(|score| score < 1.0) {
                let shown = audit["displayValue"].as_str().or(audit["title"].as_str()).unwrap_or_default();
                lines.push(format!("    {id}: {} (weight {}), {shown}", audit["score"], reference["weight"]));
            }
        }
    }
    lines
}

/// The largest transfers, one per line.
fn transfers(report: &Value) -> String {
    let items = report["audits"]["network-requests"]["details"]["items"].as_array().unwrap();
    let lines = items.iter().map(|item| format!("    {} {}", item["transferSize"], item["url"]));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
#[ignore = "needs Lighthouse, which tests/run --all installs"]
fn lighthouse_gives_the_empty_page_full_marks() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let mut best: Option<Value> = None;
    for _ in 0..RUNS {
        let report = audit(&server.url("/"), folder.path());
        let total = |report: &Value| CATEGORIES.iter().map(|category| score(report, category)).sum::<u64>();
        if best.as_ref().is_none_or(|best| total(&report) > total(best)) {
            best = Some(report);
        }
        if best.as_ref().is_some_and(|best| lost_points(best).is_empty()) {
            break;
        }
    }
    let best = best.unwrap();
    let mut problems = lost_points(&best);
    let bytes = best["audits"]["total-byte-weight"]["numericValue"].as_f64().unwrap();
    if bytes > FIRST_LOAD_BYTES {
        problems.push(format!("the first visit loads {bytes} bytes:\n{}", transfers(&best)));
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}
