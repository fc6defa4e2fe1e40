//! The dashboard and the alerts, on data that a real Prometheus collected from a real gateway.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::harness::Picture;
use crate::prometheus::Prometheus;
use crate::traffic::Setting;

const DASHBOARD: &str = include_str!("../../deploy/grafana/pixcolor.json");
const RULES: &str = include_str!("../../deploy/prometheus/rules.yml");

/// Every query of the dashboard, after the title of its panel. Grafana's variables are replaced by short intervals
/// (`1m`, `5m`).
fn queries() -> Vec<(String, String)> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let mut queries = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] != "row") {
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{panel}");
        for target in targets {
            let query = target["expr"].as_str().unwrap();
            let query = query.replace("$__rate_interval", "1m").replace("$__range", "5m");
            assert!(!query.contains('$'), "{query}");
            queries.push((panel["title"].as_str().unwrap().to_owned(), query));
        }
    }
    queries
}

/// The names of our metrics in a text, without the suffixes of histograms.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | ':')));
    let names = words.filter(|word| word.starts_with("pixcolor_"));
    names.map(|name| name.trim_end_matches("_bucket").trim_end_matches("_sum").to_owned()).collect()
}

/// Overwrites every file in a folder and its subfolders.
fn spoil(folder: &std::path::Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => spoil(&path),
            false => std::fs::write(path, "spoilt").unwrap(),
        }
    }
}

#[test]
fn every_dashboard_query_has_data_and_alerts_fire_after_varied_traffic() {
    let kept = tempfile::tempdir().unwrap();
    let setting = Setting::with_cache(kept.path());
    let prometheus = Prometheus::of(&setting.server);
    let seen = |labels: &str| prometheus.wait_for(labels);
    // PromQL's `increase` needs a sample from before the events.
    seen("pixcolor_build_info");
    let picture = Picture::jpeg(600, 400, 900);
    assert_eq!(setting.server.colorize(&picture).status, 200);
    setting.failures(300);
    seen("pixcolor_guard_refusals_total");
    setting.every_sort_of_picture();
    // A cached result is damaged, so the next lookup is a miss.
    spoil(kept.path());
    assert_eq!(setting.server.colorize(&picture).status, 200);
    for seldom in ["pixcolor_cache_errors_total", "pixcolor_http_requests_total{status=\"402\"}"] {
        seen(&format!("increase({seldom}[1m]) > 0"));
    }
    // PromQL's `rate` needs at least two samples.
    for latest in [
        "pixcolor_denied_requests_total",
        "pixcolor_concurrency_refusals_total",
        "pixcolor_quota_checks_total{outcome=\"refused\"}",
    ] {
        seen(&format!("count_over_time({latest}[1m]) >= 2"));
    }

    let queries = queries();
    assert!(queries.len() > 30, "{}", queries.len());
    let without: Vec<_> = queries
        .iter()
        .filter(|(_, query)| {
            let values = prometheus.values(query);
            values.is_empty() || values.iter().all(|value| value.is_nan())
        })
        .collect();
    assert!(without.is_empty(), "{without:#?}");

    // At least four series show what a megapixel cost, and the metric of spent credits equals that of the budget.
    let large = "pixcolor_coloured_pixels_total{provider=\"algorithmia\",size=\"<=8\"} > 0";
    assert!(!prometheus.values(large).is_empty());
    let (title, cost) = queries.iter().find(|(title, _)| title == "Credits for a megapixel, so far").unwrap();
    let costs = prometheus.values(&format!("{cost} > 0"));
    assert!(costs.len() >= 4, "{title}: {costs:?}");
    let bought = prometheus.values("sum(pixcolor_spent_credits_total{provider=\"algorithmia\"})");
    assert_eq!(bought, prometheus.values("pixcolor_budget_spent_credits{budget=\"day\"}"));

    for alert in [
        "PixColorBudgetSpent",
        "PixColorClientsRefusedForMoney",
        "PixColorUnknownCosts",
        "PixColorProviderFailing",
        "PixColorCacheErrors",
    ] {
        seen(&format!("ALERTS{{alertname=\"{alert}\"}}"));
    }
    let alerts = prometheus.alerts();
    for alert in ["PixColorDown", "PixColorLedgerNotWritable"] {
        assert!(!alerts.iter().any(|active| active == alert), "{alert}: {alerts:?}");
    }

    let metrics = setting.server.get("/metrics");
    let there: BTreeSet<String> = metrics
        .text()
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .filter(|name| name.starts_with("pixcolor_"))
        .map(str::to_owned)
        .collect();
    let used = &named(DASHBOARD) | &named(RULES);
    let own_rules = RULES.lines().filter_map(|line| line.trim().strip_prefix("- record: "));
    // This metric exists only if gateways share a Redis.
    let shared = ["pixcolor_redis_up"];
    let known = &there | &own_rules.chain(shared).map(str::to_owned).collect();
    assert_eq!(used.difference(&known).collect::<Vec<_>>(), Vec::<&String>::new(), "there is no such metric");
    assert_eq!(
        there.difference(&used).collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "neither the dashboard nor a rule uses it"
    );
}
