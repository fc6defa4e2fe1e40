//! `deploy/compose.yaml` and the files that it mounts: their keys are known, the services and files that they name
//! exist, and their ports are those on which the services listen.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

use crate::containerfile::last_stage;
use crate::files::{path, read, text, yaml};
use crate::harness::server::pixcolor;

fn compose() -> Value {
    yaml("deploy/compose.yaml").remove(0)
}

/// Expands `${NAME}`, `${NAME:-default}` and `${NAME:?message}` as Compose does, with the variables of the example.
fn interpolated(text: &str) -> String {
    let example = read("deploy/compose/example.env");
    let set: BTreeMap<_, _> = example
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .collect();
    let mut whole = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (inside, after) = after.split_once('}').expect("it ends");
        let (name, otherwise) = match (inside.split_once(":-"), inside.split_once(":?")) {
            (Some((name, otherwise)), _) => (name, Some(otherwise)),
            (None, Some((name, _))) => (name, None),
            (None, None) => (inside, None),
        };
        let value = set.get(name).copied().or(otherwise);
        whole += before;
        whole += value.unwrap_or_else(|| panic!("the example does not set {name}"));
        rest = after;
    }
    whole + rest
}

#[test]
fn the_gateways_have_a_valid_configuration() {
    let compose = compose();
    for name in ["gateway-1", "gateway-2"] {
        let folder = tempfile::tempdir().unwrap();
        let mut check = pixcolor(folder.path());
        let environment =
            compose.pointer(&format!("/services/{name}/environment")).unwrap().as_object().unwrap();
        for (variable, value) in environment {
            check.env(variable, interpolated(value.as_str().expect("text")));
        }
        let output = check.env("RUST_LOG", "warn").arg("check").output().unwrap();
        let (said, shown) =
            (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
        assert!(output.status.success(), "{said}");
        assert!(!said.contains("ignored") && !said.contains("unknown"), "{said}");
        for variable in environment.keys().filter(|name| name.starts_with("PIXCOLOR_")) {
            assert!(
                shown.contains(&format!("environment variable {variable}")),
                "{variable} sets nothing:\n{shown}"
            );
        }
        assert!(shown.contains("server.shutdown.grace = 50"), "{shown}");
    }
}

#[test]
fn every_referenced_file_exists() {
    let compose = compose();
    let services = compose["services"].as_object().unwrap();
    let image = last_stage();
    for (name, service) in services {
        for pointer in ["/depends_on", "/networks", "/volumes"] {
            let known =
                if pointer == "/depends_on" { services } else { compose[&pointer[1..]].as_object().unwrap() };
            let listed: Vec<String> = match service.pointer(pointer) {
                Some(Value::Object(map)) => map.keys().cloned().collect(),
                Some(Value::Array(list)) => list.iter().map(|one| one.as_str().unwrap().to_owned()).collect(),
                _ => Vec::new(),
            };
            for one in listed {
                let what = one.split(':').next().unwrap();
                match what.strip_prefix("./") {
                    Some(file) => assert!(path("deploy").join(file).is_file(), "{name}: {what}"),
                    None => assert!(known.contains_key(what), "{name}: {what} is not under {pointer}"),
                }
            }
        }
    }
    for name in ["gateway-1", "gateway-2"] {
        let gateway = &services[name];
        let volume = text(gateway, "/volumes/0").split(':').nth(1).unwrap();
        assert_eq!(volume, image.volume);
        assert_eq!(text(gateway, "/build/dockerfile"), "Containerfile");
        assert!(path("deploy").join(text(gateway, "/build/context")).join("Containerfile").is_file());
        assert_eq!(gateway["read_only"], true);
    }
    // The configured shutdown fits into the time until the kill.
    let stop = services["gateway-1"].pointer("/environment/ROCKET_SHUTDOWN").unwrap().as_str().unwrap();
    let seconds: u32 =
        stop.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse::<u32>().ok()).sum();
    let grace: u32 =
        text(&services["gateway-1"], "/stop_grace_period").trim_end_matches('s').parse().unwrap();
    assert!(seconds + 2 < grace, "{seconds} of {grace}");

    let metrics =
        text(&services["gateway-1"], "/environment/PIXCOLOR_METRICS__ADDRESS").rsplit(':').next().unwrap();
    let scraped = yaml("deploy/compose/prometheus.yml").remove(0);
    for (index, gateway) in ["gateway-1", "gateway-2"].into_iter().enumerate() {
        let target = text(&scraped, &format!("/scrape_configs/0/static_configs/0/targets/{index}"));
        assert_eq!(target, format!("{gateway}:{metrics}"));
        let upstream = format!("server {gateway}:{};", image.port);
        assert!(read("deploy/compose/nginx.conf").contains(&upstream), "{upstream}");
    }
    let trusted = text(&services["gateway-1"], "/environment/PIXCOLOR_TRUSTED_PROXIES");
    assert_eq!(trusted, format!("[\"{}\"]", text(&services["nginx"], "/networks/pixcolor/ipv4_address")));
    let dashboards = yaml("deploy/compose/grafana-dashboards.yaml").remove(0);
    let folder = text(&dashboards, "/providers/0/options/path");
    let mounted = services["grafana"]["volumes"].as_array().unwrap().iter().filter_map(Value::as_str);
    let shipped = format!("./grafana/pixcolor.json:{folder}/pixcolor.json:ro");
    assert!(mounted.into_iter().any(|volume| volume == shipped), "{shipped}");
    let sources = yaml("deploy/compose/grafana-datasources.yaml").remove(0);
    assert_eq!(text(&sources, "/datasources/0/type"), "prometheus");
}

#[test]
fn the_redis_service_is_safe_for_budgets() {
    let compose = compose();
    let command = compose.pointer("/services/valkey/command").unwrap().as_array().unwrap();
    let words: Vec<&str> = command.iter().filter_map(Value::as_str).collect();
    for setting in [["--maxmemory-policy", "noeviction"], ["--appendonly", "yes"]] {
        assert!(words.windows(2).any(|pair| pair == setting), "{setting:?} is not in {words:?}");
    }
}

#[test]
fn nginx_redis_and_prometheus_accept_their_files() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: String| {
        std::fs::write(folder.path().join(name), content).unwrap();
        folder.path().join(name)
    };
    // The rules file is beside the configuration, as in the container.
    file("rules.yml", read("deploy/prometheus/rules.yml"));
    let prometheus = file("prometheus.yml", read("deploy/compose/prometheus.yml"));
    let output = Command::new("promtool").args(["check", "config", "--lint-fatal"]).arg(prometheus).output();
    let output = output.expect("promtool, of Debian's package prometheus");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    // Replaces the names that only the containers' network resolves.
    let site =
        read("deploy/compose/nginx.conf").replace("gateway-1", "127.0.0.1").replace("gateway-2", "127.0.0.2");
    let here = folder.path().display();
    let whole = format!(
        "error_log stderr; pid {here}/pid; events {{}} http {{ access_log off; client_body_temp_path {here}; \
        proxy_temp_path {here}; fastcgi_temp_path {here}; uwsgi_temp_path {here}; scgi_temp_path {here};\n{site}\n}}\n"
    );
    let nginx = file("nginx.conf", whole);
    let output = Command::new("nginx").arg("-t").arg("-p").arg(folder.path()).arg("-c").arg(nginx).output();
    let output = output.expect("nginx, of Debian's package nginx-light");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
