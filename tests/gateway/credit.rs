//! Credit over HTTP: reserved before a call, settled after it, limited by budgets, and reported.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::algorithmia::{before_local, facts, facts_of};
use super::cache::by_fingerprint;
use crate::fakes::KEY;
use crate::fakes::algorithmia::{Algorithmia, Behavior, File};
use crate::harness::server::pixcolor;
use crate::harness::{Picture, Server, Setup};

/// A call may cost 5 credits, because its time-out is 5 seconds.
const FIVE_SECONDS: &str = "timeout = 5\n";

fn main_file(route: &str, credits: u32, more: &str) -> String {
    format!("route = {route}\n[budgets.small]\nscope = \"provider:algorithmia\"\ncredits = {credits}\n{more}")
}

pub const BOTH: &str = "[\"algorithmia\", \"local\"]";
const ALONE: &str = "[\"algorithmia\"]";

/// A gateway with a monthly budget of this many credits.
pub fn budget(fake: &Algorithmia, route: &str, credits: u32, more: &str) -> Setup {
    before_local(&fake.url(), FIVE_SECONDS).file("config/pixcolor.toml", main_file(route, credits, more))
}

pub fn state(setup: Setup, folder: &Path) -> Setup {
    setup.env("PIXCOLOR_STATE_DIR", format!("\"{}\"", folder.display()))
}

#[track_caller]
pub fn metric_is(server: &Server, name: &str, expected: f64) {
    let value = server.metric(name);
    assert!((value - expected).abs() < 1e-9, "{name} is {value}, not {expected}");
}

fn spent(server: &Server) -> f64 {
    server.metric("pixcolor_budget_spent_credits{budget=\"small\"}")
}

/// The row of a provider in `/v1/usage`.
#[track_caller]
fn line(server: &Server, provider: &str) -> Value {
    let usage = server.get("/v1/usage").json();
    let lines = usage["lines"].as_array().unwrap();
    lines.iter().find(|line| line["provider"] == provider).unwrap_or_else(|| panic!("{usage}")).clone()
}

#[test]
fn with_a_spent_budget_the_next_provider_answers_and_the_response_says_so() {
    let fake = Algorithmia::start();
    let server = budget(&fake, BOTH, 12, "").start();
    // Each call costs 2 credits. The fifth may cost 5, but only 4 are left.
    for _ in 0..4 {
        let facts = facts(&server);
        assert_eq!((&facts["provider"], &facts["degraded"]), (&json!("algorithmia"), &json!(null)));
    }
    let facts = facts(&server);
    assert_eq!((&facts["provider"], &facts["degraded"]), (&json!("local"), &json!("budget")));
    assert_eq!(facts["credits"], "0");
    let attempt = &facts["attempts"][0];
    assert_eq!((&attempt["failure"], &attempt["credits"]), (&json!("budget"), &json!("0")));
    let reason = attempt["reason"].as_str().unwrap();
    assert!(reason.contains("`small` has 4 of 12 credits left, and this call may cost 5"), "{reason}");
    let answer = server.colorize(&Picture::png(64, 48, 2));
    assert_eq!(answer.header("x-pixcolor-degraded"), "budget");
    assert_eq!(answer.header("x-pixcolor-attempts"), "algorithmia=budget");
    assert_eq!(fake.calls(), 4);

    metric_is(&server, "pixcolor_spent_credits_total{provider=\"algorithmia\",size=\"<=0.5\"}", 8.0);
    metric_is(&server, "pixcolor_spent_credits_total{provider=\"local\",size=\"<=0.5\"}", 0.0);
    metric_is(&server, "pixcolor_budget_limit_credits{budget=\"small\"}", 12.0);
    metric_is(&server, "pixcolor_budget_spent_credits{budget=\"small\"}", 8.0);
    metric_is(&server, "pixcolor_budget_remaining_credits{budget=\"small\"}", 4.0);
    let reset = server.metric("pixcolor_budget_reset_timestamp_seconds{budget=\"small\"}");
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
    assert!(reset > now && reset < now + 31.0 * 86_400.0, "{reset}");
}

#[test]
fn with_a_spent_budget_the_next_providers_result_is_a_cache_hit() {
    let fake = Algorithmia::start();
    let folder = tempfile::tempdir().unwrap();
    let no_folder = folder.path().join("a-file");
    std::fs::write(&no_folder, "").unwrap();
    let spent = budget(&fake, BOTH, 4, "");
    let off = state(budget(&fake, BOTH, 100, ""), &no_folder);
    for (setup, failure) in [(spent, "budget"), (off, "ledger")] {
        let quota = r#"{ rate = 2, per = "hour", burst = 2 }"#;
        let setup = setup.env("PIXCOLOR_QUOTA__LIMITS__PICTURES", quota);
        let server = setup.env("PIXCOLOR_CACHE__ENABLED", "true").start();
        let picture = Picture::png(64, 48, 1);
        let made = server.colorize(&picture);
        assert_eq!(made.header("cache-status"), "PixColor; fwd=miss; stored");
        // More requests than the rate limit for new renditions allows.
        for _ in 0..4 {
            let again = server.colorize(&picture);
            assert_eq!(again.header("cache-status"), "PixColor; hit; detail=memory");
            assert_eq!(again.header("x-pixcolor-provider"), "local");
            assert_eq!(again.header("x-pixcolor-degraded"), "budget");
            assert_eq!(again.header("x-pixcolor-attempts"), format!("algorithmia={failure}"));
            assert_eq!(again.body, made.body);
        }
        let found = server.get(&by_fingerprint(&picture));
        assert_eq!((found.status, &found.body), (200, &made.body));
        let estimate = server.post("/v1/estimate", &[], &picture.bytes).json();
        assert_eq!(estimate["first"], "local", "{estimate}");
        assert_eq!(estimate["providers"][1]["cache"], "hit", "{estimate}");
        assert_eq!(server.metric("pixcolor_renditions_total{origin=\"miss\"}"), 1.0);
    }
    assert_eq!(fake.calls(), 0);
}

#[test]
fn concurrent_requests_never_overspend_and_leave_no_reservation() {
    let fake = Algorithmia::start();
    fake.always(Behavior::Slow(Duration::from_millis(300)));
    fake.takes(4.2);
    let server = budget(&fake, BOTH, 20, "").start();
    let answers: Vec<Value> = std::thread::scope(|scope| {
        let server = &server;
        let asked: Vec<_> = (0..24).map(|seed| scope.spawn(move || facts_of(server, seed))).collect();
        asked.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    let by = |name: &str| answers.iter().filter(|facts| facts["provider"] == name).count();
    // Each call costs the full 5 credits.
    assert_eq!((by("algorithmia"), by("local"), fake.calls()), (4, 20, 4));
    metric_is(&server, "pixcolor_budget_spent_credits{budget=\"small\"}", 20.0);
    metric_is(&server, "pixcolor_budget_remaining_credits{budget=\"small\"}", 0.0);

    // Charging less than was reserved returns the rest to the budget.
    fake.takes(0.5);
    let server = budget(&fake, BOTH, 20, "").start();
    std::thread::scope(|scope| {
        let server = &server;
        (0..24).for_each(|seed| drop(scope.spawn(move || facts_of(server, seed))));
    });
    let mut seed = 100;
    while facts_of(&server, seed)["degraded"].is_null() {
        seed += 1;
    }
    metric_is(&server, "pixcolor_budget_spent_credits{budget=\"small\"}", 16.0);
    metric_is(&server, "pixcolor_budget_remaining_credits{budget=\"small\"}", 4.0);
}

#[test]
fn with_no_provider_left_the_response_is_402_with_the_budgets_remainder_and_renewal() {
    let fake = Algorithmia::start();
    let server = budget(&fake, ALONE, 4, "").start();
    let answer = server.colorize(&Picture::png(64, 48, 1));
    let problem = answer.problem(402);
    assert_eq!(problem["type"], "urn:pixcolor:problem:payment-required");
    let budget_facts = &problem["budget"];
    assert_eq!(budget_facts["name"], "small");
    let amounts = ["limit", "left", "wanted"].map(|amount| budget_facts[amount].as_str().unwrap());
    assert_eq!(amounts, ["4", "4", "5"]);
    assert!(budget_facts["renews"].as_str().unwrap().ends_with("-01T00:00:00Z"), "{problem}");
    let seconds: u64 = answer.header("retry-after").parse().unwrap();
    assert!((1..=31 * 86_400).contains(&seconds), "{seconds}");

    let server = budget(&fake, BOTH, 4, "window = \"total\"\n").start();
    let asked = server.post("/v1/colorize?provider=algorithmia", &[], &Picture::png(64, 48, 1).bytes);
    assert_eq!(asked.problem(402)["budget"]["renews"], json!(null));
    assert_eq!(asked.header("retry-after"), "");
    assert_eq!(fake.calls(), 0);
}

#[test]
fn each_client_has_its_own_budget_and_invented_keys_do_not_evade_it() {
    let fake = Algorithmia::start();
    let main = format!(
        "route = {BOTH}\ntrusted_proxies = [\"127.0.0.1\"]\n[budgets.each]\nscope = \"client\"\ncredits = 6\n"
    );
    let server = before_local(&fake.url(), FIVE_SECONDS).file("config/pixcolor.toml", main).start();
    let by = |client: &str, key: &str| {
        let headers = [("X-Forwarded-For", client), ("Authorization", key)];
        let answer = server.post("/v1/colorize", &headers, &Picture::png(64, 48, 1).bytes);
        answer.header("x-pixcolor-provider").to_owned()
    };
    assert_eq!(by("203.0.113.1", "sim1"), "algorithmia");
    assert_eq!(by("203.0.113.1", "sim2"), "local");
    assert_eq!(by("203.0.113.2", "sim1"), "algorithmia");
    assert_eq!(by("2001:db8::1", "sim1"), "algorithmia");
    // An address of the same /64 network is the same client.
    assert_eq!(by("2001:db8::2", "sim1"), "local");
}

#[test]
fn the_saving_of_a_small_image_is_counted_with_a_megapixel_price() {
    let fake = Algorithmia::start();
    let price = "price.terms = [{ per = \"megapixel\", rate = 4 }, { per = \"call\", rate = 0.5 }]\nprice.minimum = 0\n";
    let server = before_local(&fake.url(), price).start();
    let answer = server.colorize(&Picture::jpeg(1600, 1200, 3));
    let cost: f64 = answer.header("x-pixcolor-credits").parse().unwrap();
    // Half a megapixel is sent instead of 1.92.
    assert!((2.0..=2.5).contains(&cost), "{cost}");
    let saved = "pixcolor_saved_credits_total{provider=\"algorithmia\",reason=\"luma_lock\"}";
    metric_is(&server, saved, 4.0 * 1.92 + 0.5 - cost);
    // With a price per second, the saving of a smaller image is unknown and is not counted.
    let server = before_local(&fake.url(), "").start();
    server.colorize(&Picture::jpeg(1600, 1200, 3));
    assert!(!server.get("/metrics").text().contains("luma_lock\"}"));
}

#[test]
fn cost_and_time_per_megapixel_are_counted_by_size_and_survive_a_restart() {
    let fake = Algorithmia::start();
    let folder = tempfile::tempdir().unwrap();
    let start = || state(budget(&fake, BOTH, 100, ""), folder.path()).start();
    let mut server = start();
    let picture = Picture::jpeg(1600, 1200, 3);
    assert_eq!(server.colorize(&picture).header("x-pixcolor-credits"), "2");
    assert_eq!(server.post("/v1/colorize?provider=local", &[], &picture.bytes).status, 200);
    facts(&server);
    let sums = |server: &Server| -> Vec<String> {
        let wanted = ["pixcolor_spent_credits_total", "pixcolor_coloured_"];
        let text = server.get("/metrics").text().to_owned();
        let lines = text.lines().filter(|line| wanted.iter().any(|name| line.starts_with(name)));
        lines.map(str::to_owned).collect()
    };
    let before = sums(&server);
    for (name, labels, value) in [
        ("spent_credits", "provider=\"algorithmia\",size=\"<=2\"", "2"),
        ("coloured_pixels", "provider=\"algorithmia\",size=\"<=2\"", "1920000"),
        ("coloured_pixels", "provider=\"algorithmia\",size=\"<=0.5\"", "6144"),
        ("coloured_pixels", "provider=\"local\",size=\"<=2\"", "1920000"),
        ("spent_credits", "provider=\"local\",size=\"<=2\"", "0"),
    ] {
        let line = format!("pixcolor_{name}_total{{{labels}}} {value}");
        assert!(before.contains(&line), "{line}: {before:?}");
    }
    let local = "{provider=\"local\",size=\"<=2\"}";
    for name in ["coloured_seconds", "coloured_cpu_seconds"] {
        assert!(server.metric(&format!("pixcolor_{name}_total{local}")) > 0.0, "{name}: {before:?}");
    }
    assert!(!before.iter().any(|line| line.contains("cpu") && line.contains("algorithmia")), "{before:?}");
    assert_eq!(server.terminate(), Some(0));
    assert_eq!(sums(&start()), before);
}

#[test]
fn failures_are_charged_their_cost_or_the_reservation_if_unknown() {
    let fake = Algorithmia::start();
    let server = budget(&fake, BOTH, 1000, "").start();
    let mut expected = 0.0;
    for (behavior, charged) in [
        (Behavior::Envelope("not a cat", Some("InputError")), 0.0),
        // The call is paid, but the file is missing or the output guard rejects it.
        (Behavior::File(File::Missing), 2.0),
        (Behavior::File(File::Gray), 2.0),
        // The cost is unknown.
        (Behavior::PlainText(502), 5.0),
        (Behavior::HangUp, 5.0),
        (
            Behavior::Odd(
                json!({ "result": { "output": "data://a/b" }, "metadata": { "content_type": "json" } }),
            ),
            5.0,
        ),
    ] {
        fake.always(behavior.clone());
        assert_eq!(facts(&server)["provider"], "local", "{behavior:?}");
        expected += charged;
        let spent = spent(&server);
        assert!((spent - expected).abs() < 1e-9, "{behavior:?}: {spent}, not {expected}");
    }
    metric_is(&server, "pixcolor_unknown_costs_total{provider=\"algorithmia\"}", 3.0);
    let line = line(&server, "algorithmia");
    assert_eq!((&line["calls"], &line["failed"], &line["unknown_costs"]), (&json!(6), &json!(6), &json!(3)));
    assert_eq!((&line["credits"], &line["money"]["USD"]), (&json!("19"), &json!("0.0019")));
    assert!(server.said().contains("the cost of a call of provider algorithmia is unknown"));
    assert!(server.said().contains("its reply has nothing at `/metadata/duration`, which the price needs"));
}

#[test]
fn a_cost_above_the_reservation_is_charged_counted_and_logged() {
    let fake = Algorithmia::start();
    fake.takes(8.5);
    let server = budget(&fake, BOTH, 20, "").start();
    assert_eq!(facts(&server)["credits"], "9");
    metric_is(&server, "pixcolor_budget_spent_credits{budget=\"small\"}", 9.0);
    metric_is(&server, "pixcolor_overrun_credits_total{provider=\"algorithmia\"}", 4.0);
    server.until_said("which is 4 more than were reserved");
}

#[test]
fn a_restart_keeps_the_ledger_and_kill_9_in_a_call_counts_as_spent() {
    let fake = Algorithmia::start();
    let folder = tempfile::tempdir().unwrap();
    let start = || state(budget(&fake, BOTH, 100, ""), folder.path()).start();
    let mut server = start();
    assert_eq!(facts(&server)["credits"], "2");
    assert_eq!(server.terminate(), Some(0));

    let mut server = start();
    metric_is(&server, "pixcolor_budget_spent_credits{budget=\"small\"}", 2.0);
    fake.always(Behavior::Slow(Duration::from_secs(30)));
    let picture = Picture::png(64, 48, 1).bytes;
    let head =
        format!("POST /v1/colorize HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", picture.len());
    let _connection = server.raw(&[head.as_bytes(), &picture].concat());
    server.until("a second call", |_| fake.calls() > 1);
    server.child.kill().unwrap();
    server.child.wait().unwrap();

    let server = start();
    metric_is(&server, "pixcolor_budget_spent_credits{budget=\"small\"}", 7.0);
    metric_is(&server, "pixcolor_budget_remaining_credits{budget=\"small\"}", 93.0);
    let lines = server.said().matches("the 5 credits that were reserved for them count as spent").count();
    assert_eq!(lines, 1, "{}", server.said());
    let line = line(&server, "algorithmia");
    assert_eq!(
        (&line["calls"], &line["unknown_costs"], &line["credits"]),
        (&json!(2), &json!(1), &json!("7"))
    );
}

#[test]
fn with_an_unwritable_ledger_the_built_in_model_answers_and_readyz_says_why() {
    let fake = Algorithmia::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a-file");
    std::fs::write(&file, "").unwrap();
    let server = state(budget(&fake, BOTH, 100, ""), &file).start();
    let facts = facts(&server);
    assert_eq!((&facts["provider"], &facts["degraded"]), (&json!("local"), &json!("budget")));
    assert_eq!(facts["attempts"][0]["failure"], "ledger");
    let ready = server.get("/readyz");
    assert_eq!(ready.status, 200);
    let ready = ready.json();
    let why = ready["paid_providers_are_off"].as_str().unwrap();
    assert!(why.contains("the ledger cannot be used") && why.contains("a-file"), "{why}");
    assert_eq!((&ready["route"][0]["ready"], &ready["route"][0]["reason"]), (&json!(false), &json!(why)));
    assert_eq!(ready["route"][1]["ready"], true);
    metric_is(&server, "pixcolor_ledger_writable", 0.0);

    let server = state(budget(&fake, ALONE, 100, ""), &file).start();
    assert_eq!(server.get("/readyz").status, 503);
    server.colorize(&Picture::png(64, 48, 1)).problem(503);
    assert_eq!(fake.calls(), 0);
    let server = budget(&fake, ALONE, 100, "").start();
    assert_eq!(server.get("/readyz").json()["paid_providers_are_off"], json!(null));
    metric_is(&server, "pixcolor_ledger_writable", 1.0);
}

#[test]
fn the_command_line_leaves_the_ledger_to_a_running_gateway() {
    let fake = Algorithmia::start();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    };
    file("config/pixcolor.toml", main_file(BOTH, 100, "").as_bytes());
    let provider = format!("kind = \"algorithmia\"\nbase_url = \"{}\"\n{FIVE_SECONDS}", fake.url());
    file("config/providers/algorithmia.toml", provider.as_bytes());
    file("a.png", &Picture::png(64, 48, 1).bytes);
    let run = |args: &[&str]| {
        let mut command = pixcolor(folder.path());
        command.env("ALGORITHMIA_API_KEY", KEY).env("PIXCOLOR_CACHE__ENABLED", "false");
        command.env("PIXCOLOR_STATE_DIR", format!("\"{}\"", folder.path().join("state").display()));
        let output = command.args(args).output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(output.status.success(), "{said}");
        said
    };
    assert!(run(&["colorize", "a.png"]).contains("coloured by algorithmia"));
    let server = state(budget(&fake, BOTH, 100, ""), &folder.path().join("state")).start();
    let said = run(&["colorize", "a.png", "--force"]);
    assert!(said.contains("coloured by local") && said.contains("the ledger cannot be used"), "{said}");
    assert_eq!(facts(&server)["provider"], "algorithmia");

    let table = run(&["usage"]);
    let line = table.lines().find(|line| line.starts_with("algorithmia")).unwrap();
    let columns: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(columns[..6], ["algorithmia", "2", "0", "0", "4", "0.0004"], "{table}");
    assert!(run(&["usage", "--by", "client"]).contains("ip:127.0.0.1"));
    assert!(run(&["usage", "--csv", "--to", "2020-01-31"]).starts_with("provider,calls,"));
}

#[test]
fn usage_by_provider_is_public_and_by_client_needs_the_admin_token() {
    let fake = Algorithmia::start();
    let server = budget(&fake, BOTH, 7, "")
        .env("MY_TOKEN", "let-me-in")
        .env("PIXCOLOR_ADMIN__TOKEN", "{ env = \"MY_TOKEN\" }")
        .start();
    (0..3).for_each(|_| drop(facts(&server)));
    // Two calls cost 2 credits each. Then 3 credits are left, and a call may cost 5.
    let algorithmia = line(&server, "algorithmia");
    assert_eq!((&algorithmia["calls"], &algorithmia["credits"]), (&json!(2), &json!("4")));
    let local = line(&server, "local");
    assert_eq!((&local["calls"], &local["credits"]), (&json!(1), &json!("0")));
    assert!(local["cpu_seconds"].as_f64().unwrap() > 0.0, "{local}");
    let day = server.get("/v1/usage?by=day").json();
    assert_eq!((day["lines"].as_array().unwrap().len(), &day["total"]["calls"]), (1, &json!(3)), "{day}");
    assert_eq!(day["lines"][0]["day"], day["to"]);
    assert_eq!(server.get("/v1/usage?from=2020-01-01&to=2020-12-31").json()["total"]["calls"], 0);

    for answer in
        [server.get("/v1/usage?format=csv"), server.get_with("/v1/usage", &[("Accept", "text/csv")])]
    {
        assert!(answer.header("content-type").starts_with("text/csv"), "{answer:?}");
        let lines: Vec<&str> = answer.text().split("\r\n").collect();
        assert!(lines[0].starts_with("provider,calls,failed,") && lines[1].starts_with("algorithmia,2,0,"));
    }
    for bad in ["by=month", "from=yesterday", "from=2026-02-02&to=2026-02-01", "format=xml", "by=day&by=day"]
    {
        server.get(&format!("/v1/usage?{bad}")).problem(400);
    }

    let problem = server.get("/v1/usage?by=client").problem(401);
    assert!(problem["detail"].as_str().unwrap().contains("admin token"), "{problem}");
    server.get_with("/v1/usage?by=client", &[("Authorization", "wrong")]).problem(403);
    let clients = server.get_with("/v1/usage?by=client", &[("Authorization", "Bearer let-me-in")]).json();
    let named = clients["lines"].as_array().unwrap().iter().find(|line| line["client"] == "ip:127.0.0.1");
    assert_eq!(named.unwrap()["credits"], "4");
    Server::start().get("/v1/usage?by=client").problem(404);
}

/// The words of the table row that begins with this name.
#[track_caller]
fn line_in(table: &str, name: &str) -> Vec<String> {
    let line = table.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{table}"));
    line.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn the_command_line_reads_usage_from_a_remote_gateway() {
    let fake = Algorithmia::start();
    let server = budget(&fake, BOTH, 7, "")
        .env("MY_TOKEN", "let-me-in")
        .env("PIXCOLOR_ADMIN__TOKEN", "{ env = \"MY_TOKEN\" }")
        .start();
    (0..3).for_each(|_| drop(facts(&server)));
    let empty = tempfile::tempdir().unwrap();
    let run = |args: &[&str], token: Option<&str>| {
        let mut command = pixcolor(empty.path());
        command.args(["usage", "--gateway", &server.url("")]).args(args);
        command.envs(token.map(|token| ("PIXCOLOR_ADMIN_TOKEN", token)));
        let output = command.output().unwrap();
        (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    let (done, table) = run(&[], None);
    let line = |name: &str| line_in(&table, name);
    assert!(done && table.contains(" to 20"), "{table}");
    assert_eq!(line("algorithmia")[..7], ["algorithmia", "2", "0", "0", "4", "0.0004", "USD"], "{table}");
    assert_eq!(line("local")[..5], ["local", "1", "0", "0", "0"], "{table}");
    assert_eq!(line("total")[..5], ["total", "3", "0", "0", "4"], "{table}");
    let (done, csv) = run(&["--csv", "--by", "day", "--from", "2020-01-01"], None);
    assert!(done && csv.starts_with("day,calls,") && csv.contains(",3,0,0,0,4,"), "{csv}");

    for (token, said) in [(None, "needs the admin token"), (Some("wrong"), "needs the admin token")] {
        let (done, words) = run(&["--by", "client"], token);
        assert!(!done && words.contains(said), "{words}");
    }
    let (done, table) = run(&["--by", "client"], Some("let-me-in"));
    assert!(done && !table.contains("(no client)"), "{table}");
    // The calls include the free one.
    assert_eq!(line_in(&table, "ip:127.0.0.1")[..5], ["ip:127.0.0.1", "3", "0", "0", "4"], "{table}");
    let (done, words) = run(&["--from", "yesterday"], None);
    assert!(!done && words.contains("must be a day such as"), "{words}");
}
