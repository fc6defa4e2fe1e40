//! A ledger that lost records stops paid calls until a person accepts the loss.

use std::fs;
use std::path::Path;

use serde_json::json;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::algorithmia::{facts, facts_of};
use super::credit::{BOTH, budget, metric_is, state};
use crate::fakes::algorithmia::Algorithmia;
use crate::harness::Server;
use crate::harness::server::pixcolor;

/// A state folder, and the host that its gateways call.
struct Place {
    fake: Algorithmia,
    state: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { fake: Algorithmia::start(), state: tempfile::tempdir().unwrap() }
    }

    fn start(&self) -> Server {
        state(budget(&self.fake, BOTH, 100, ""), self.state.path()).start()
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.state.path().join(name)
    }

    /// A state folder after some calls of 2 credits each and a shutdown.
    fn after_calls(calls: u32) -> Self {
        let place = Self::new();
        let mut server = place.start();
        (0..calls).for_each(|seed| assert_eq!(facts_of(&server, seed)["provider"], "algorithmia"));
        assert_eq!(server.terminate(), Some(0));
        place
    }

    /// Exit code and output of a command.
    fn run(&self, args: &[&str]) -> (Option<i32>, String) {
        let mut command = pixcolor(self.state.path());
        command.env("PIXCOLOR_STATE_DIR", format!("\"{}\"", self.state.path().display()));
        let output = command.args(args).output().unwrap();
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    }

    fn accept(&self) -> String {
        let (code, said) = self.run(&["ledger", "accept-loss"]);
        assert_eq!(code, Some(0), "{said}");
        said
    }
}

/// Asserts that no paid call is made and that the response, the log and readyz say why.
#[track_caller]
fn paid_is_off(server: &Server, why: &str) {
    let facts = facts(server);
    assert_eq!((&facts["provider"], &facts["degraded"]), (&json!("local"), &json!("budget")), "{facts}");
    let ready = server.get("/readyz").json();
    let reason = ready["paid_providers_are_off"].as_str().unwrap_or_default();
    assert!(reason.contains(why) && reason.contains("pixcolor ledger accept-loss"), "{ready}");
    metric_is(server, "pixcolor_ledger_writable", 0.0);
    server.until_said(why);
    let lines = server.said().lines().filter(|line| line.contains("ERROR") && line.contains(why)).count();
    assert_eq!(lines, 1, "{}", server.said());
}

#[track_caller]
fn paid_comes_on(server: &Server) {
    server.until("paid providers are on", |server| {
        server.get("/readyz").json()["paid_providers_are_off"].is_null()
    });
    assert_eq!(facts(server)["provider"], "algorithmia");
}

/// How the ledger file is damaged, a part of the message, and the spending that the remaining records show.
type Damage = (fn(&Path), &'static str, f64);

fn damages() -> [Damage; 5] {
    let cut_in_the_middle = |path: &Path| {
        let text = fs::read_to_string(path).unwrap();
        let settlement = text.find(" {\"settle\"").unwrap();
        fs::write(path, &text[..settlement + 20]).unwrap();
    };
    let without_its_last_lines = |path: &Path| {
        let text = fs::read_to_string(path).unwrap();
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        fs::write(path, lines[..3].concat()).unwrap();
    };
    let with_a_damaged_line = |path: &Path| {
        let text = fs::read_to_string(path).unwrap();
        fs::write(path, text.replacen("algorithmia", "algorithmiA", 1)).unwrap();
    };
    [
        (|path| fs::write(path, "").unwrap(), "ledger is empty", 0.0),
        (|path| fs::remove_file(path).unwrap(), "ledger is missing", 0.0),
        // A reservation without its settlement counts in full.
        (cut_in_the_middle, "ledger was cut", 5.0),
        (without_its_last_lines, "ledger was cut", 2.0),
        // The damaged line is a reservation. Its settlement repeats the reservation, so all spending is known.
        (with_a_damaged_line, "ledger has damaged lines: 1, the first is line 2", 4.0),
    ]
}

#[test]
fn a_damaged_ledger_stops_paid_calls_until_accept_loss() {
    for (index, (damage, why, left)) in damages().into_iter().enumerate() {
        let place = Place::after_calls(2);
        damage(&place.file("ledger"));
        let damaged = fs::read(place.file("ledger")).ok();
        let mut server = place.start();
        paid_is_off(&server, why);
        assert_eq!(fs::read(place.file("ledger")).ok(), damaged, "the damaged file is unchanged");
        let (code, usage) = place.run(&["usage"]);
        assert!(code == Some(0) && usage.contains(why), "{usage}");

        let beside = index == 0;
        if !beside {
            assert_eq!(server.terminate(), Some(0));
        }
        let said = place.accept();
        assert!(said.contains(why) && said.contains("Lost: ") && said.contains("Kept: "), "{said}");
        let kept = fs::read_dir(place.state.path()).unwrap().map(|entry| entry.unwrap().path());
        let kept: Vec<_> = kept.filter(|path| path.to_string_lossy().contains("ledger.broken-")).collect();
        assert_eq!(kept.first().map(|path| fs::read(path).unwrap()), damaged);
        if beside {
            paid_comes_on(&server);
        } else {
            server = place.start();
            metric_is(&server, "pixcolor_budget_spent_credits{budget=\"small\"}", left);
            assert_eq!(facts(&server)["provider"], "algorithmia");
        }
        assert_eq!(server.terminate(), Some(0));
        assert!(place.accept().starts_with("Nothing is wrong with the ledger: "));
    }
}

#[test]
fn a_removed_or_replaced_ledger_is_noticed_before_the_next_call() {
    let place = Place::after_calls(1);
    let server = place.start();
    let (code, said) = place.run(&["ledger", "accept-loss"]);
    assert!(code == Some(1) && said.contains("another process uses it, such as a running gateway"), "{said}");
    assert_eq!(facts(&server)["provider"], "algorithmia");
    // An empty ledger file replaces the one in use.
    let (ledger, away) = (place.file("ledger"), place.file("away"));
    fs::rename(&ledger, &away).unwrap();
    fs::write(&ledger, "pixcolor-ledger 1\n").unwrap();
    let calls = place.fake.calls();
    paid_is_off(&server, "ledger was replaced by another file while it was in use");
    assert_eq!(place.fake.calls(), calls);
    fs::rename(&away, &ledger).unwrap();
    paid_comes_on(&server);

    let spent = "pixcolor_budget_spent_credits{budget=\"small\"}";
    metric_is(&server, spent, 6.0);
    fs::remove_file(&ledger).unwrap();
    paid_is_off(&server, "ledger was removed while it was in use");
    // The totals were in memory, so nothing is lost.
    let said = place.accept();
    assert!(said.contains("Lost: nothing"), "{said}");
    paid_comes_on(&server);
    metric_is(&server, spent, 8.0);
}

#[test]
fn removing_the_state_folder_does_not_renew_a_budget() {
    let place = Place::new();
    let server = place.start();
    assert_eq!(facts(&server)["provider"], "algorithmia");
    fs::remove_dir_all(place.state.path()).unwrap();
    paid_is_off(&server, "ledger was removed while it was in use");
    // The gateway tries to use the ledger again every five seconds, which recreates the folder.
    server.until("the ledger is tried again", |server| {
        server.get("/readyz");
        place.file("ledger.new").exists()
    });
    let ready = server.get("/readyz").json();
    assert!(
        ready["paid_providers_are_off"].as_str().is_some_and(|why| why.contains("ledger is missing")),
        "{ready}"
    );
    assert_eq!(facts(&server)["provider"], "local");
    // The totals were in memory, so nothing is lost.
    let said = place.accept();
    assert!(said.contains("Lost: nothing"), "{said}");
    paid_comes_on(&server);
    metric_is(&server, "pixcolor_budget_spent_credits{budget=\"small\"}", 4.0);
}

#[test]
fn after_kill_9_a_torn_line_is_repaired_and_a_truncated_file_is_noticed() {
    let place = Place::new();
    let kill = || {
        let mut server = place.start();
        assert_eq!(facts(&server)["provider"], "algorithmia");
        server.child.kill().unwrap();
        server.child.wait().unwrap();
        fs::read(place.file("ledger")).unwrap()
    };
    let whole = kill();
    fs::write(place.file("ledger"), [&whole, &b"a1b2c3d4 {\"sett"[..]].concat()).unwrap();
    let whole = kill();
    // The last reservation was made before the kill, so the checkpoint includes it.
    let reserve = String::from_utf8(whole.clone()).unwrap().rfind(" {\"reserve\":").unwrap();
    fs::write(place.file("ledger"), &whole[..reserve - 8]).unwrap();
    paid_is_off(&place.start(), "ledger was cut");
}

#[test]
fn a_clock_behind_the_ledger_renews_no_budget_and_logs_a_warning() {
    let place = Place::new();
    let call = json!({ "settle": {
        "reserve": { "id": 1, "at": "2099-01-31T12:00:00Z", "provider": "algorithmia", "client": null, "most": 96_000_000,
            "pixels": 1, "sent_pixels": 1 },
        "charged": 96_000_000, "unknown": false, "coloured": true, "took_ms": 1, "cpu_us": 0,
    } });
    let call = call.to_string();
    let sum: String =
        Sha256::digest(call.as_bytes()).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    fs::write(place.file("ledger"), format!("pixcolor-ledger 1\n{sum} {call}\n")).unwrap();

    let mut server = place.start();
    // 96 of 100 credits are spent in January 2099, and a call may cost 5.
    assert_eq!(facts(&server)["provider"], "local");
    metric_is(&server, "pixcolor_budget_spent_credits{budget=\"small\"}", 96.0);
    server.until_said("2099-01-31");
    assert_eq!(server.terminate(), Some(0));
    let said = place.accept();
    assert!(said.contains("The clock was at 2099-01-31"), "{said}");

    // Budgets follow the clock again, and the spending from the wrong time counts today.
    let server = place.start();
    metric_is(&server, "pixcolor_budget_spent_credits{budget=\"small\"}", 96.0);
    let reset = server.metric("pixcolor_budget_reset_timestamp_seconds{budget=\"small\"}");
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
    assert!(reset < now + 31.0 * 86_400.0, "{reset}");
}
