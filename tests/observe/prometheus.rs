//! Debian's Prometheus, configured as in `deploy/prometheus`, for a test's gateway.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use url::Url;

use crate::harness::wait::{PATIENCE, within};
use crate::harness::{Answer, Server, agent};

/// A Prometheus that scrapes one gateway every second. It is killed when dropped.
pub struct Prometheus {
    child: Child,
    base: Url,
    folder: TempDir,
}

impl Prometheus {
    /// Uses the shipped files, except for the gateway's address and the scrape interval.
    pub fn of(server: &Server) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = include_str!("../../deploy/prometheus/prometheus.yml").to_owned();
        for (shipped, here) in [("127.0.0.1:8080", server.address.to_string().as_str()), (": 15s", ": 1s")] {
            assert!(config.contains(shipped), "{shipped}");
            config = config.replace(shipped, here);
        }
        std::fs::write(folder.path().join("prometheus.yml"), config).unwrap();
        let rules = include_str!("../../deploy/prometheus/rules.yml");
        std::fs::write(folder.path().join("rules.yml"), rules).unwrap();
        // A port that was free a moment ago, because Prometheus does not report a port that it chose itself.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let mut command = Command::new("prometheus");
        command
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
            .arg(format!("--web.listen-address={address}"))
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(log);
        let child = command.spawn().expect("Debian's prometheus");
        let base = Url::parse(&format!("http://{address}/api/v1/")).unwrap();
        Self { child, base, folder }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// The response for a path of its API, if it responds.
    fn get(&self, path: &str, query: &[(&str, &str)]) -> Option<Answer> {
        let mut url = self.base.join(path).unwrap();
        url.query_pairs_mut().extend_pairs(query);
        agent().get(url.as_str()).call().ok().map(Answer::new)
    }

    /// The current values of an expression. An invalid expression fails the test.
    #[track_caller]
    pub fn values(&self, expression: &str) -> Vec<f64> {
        let answer = self.get("query", &[("query", expression)]).expect("Prometheus answers");
        assert_eq!(answer.status, 200, "{expression}: {}", answer.text());
        let answer = answer.json();
        let result = answer["data"]["result"].as_array().unwrap();
        result.iter().map(|series| series["value"][1].as_str().unwrap().parse().unwrap()).collect()
    }

    /// The names of the alerts that are pending or firing. A rule that cannot be evaluated fails the test.
    pub fn alerts(&self) -> Vec<String> {
        let rules = self.get("rules", &[]).expect("Prometheus answers").json();
        let rules: Vec<Value> = rules["data"]["groups"][0]["rules"].as_array().unwrap().clone();
        assert!(rules.iter().all(|rule| rule["health"] == "ok"), "{rules:?}");
        let active =
            rules.iter().filter(|rule| rule["state"].as_str().is_some_and(|state| state != "inactive"));
        active.map(|rule| rule["name"].as_str().unwrap().to_owned()).collect()
    }

    /// Waits until an expression has a value.
    #[track_caller]
    pub fn wait_for(&self, expression: &str) {
        let there = || {
            let answer = self.get("query", &[("query", expression)])?;
            let found = answer.status == 200
                && answer.json()["data"]["result"].as_array().is_some_and(|r| !r.is_empty());
            found.then_some(())
        };
        within(PATIENCE, || format!("any {expression}:\n{}", self.log()), || there().is_some());
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
