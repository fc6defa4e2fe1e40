//! Estimates before a paid call.

use std::time::Duration;

use serde_json::{Value, json};

use super::algorithmia::{before_local, facts_of};
use super::quota;
use crate::fakes::algorithmia::{Algorithmia, Behavior};
use crate::harness::{Answer, Picture, Server, Setup};

const JSON: (&str, &str) = ("Content-Type", "application/json");

#[track_caller]
fn ask(server: &Server, query: &str, body: &Value) -> Value {
    let answer = answer(server, query, body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn answer(server: &Server, query: &str, body: &Value) -> Answer {
    server.post(&format!("/v1/estimate{query}"), &[JSON], body.to_string().as_bytes())
}

#[track_caller]
fn of<'e>(estimate: &'e Value, provider: &str) -> &'e Value {
    let offers = estimate["providers"].as_array().unwrap();
    offers.iter().find(|offer| offer["name"] == provider).unwrap_or_else(|| panic!("{estimate}"))
}

fn amounts(low: &str, typical: Option<&str>, high: &str, most: &str) -> Value {
    json!({ "low": low, "typical": typical, "high": high, "most": most })
}

/// A gateway with a cache. Its route is Algorithmia, with calls of at most 5 credits, then the built-in model.
fn setup(fake: &Algorithmia) -> Setup {
    before_local(&fake.url(), "timeout = 5\n").env("PIXCOLOR_CACHE__ENABLED", "true")
}

#[test]
fn the_estimate_comes_from_the_price_first_and_from_the_ledger_later() {
    let fake = Algorithmia::start();
    let server = setup(&fake).start();
    let photo = json!({ "width": 96, "height": 64, "bytes": 5000 });
    let estimate = ask(&server, "", &photo);
    assert_eq!((&estimate["first"], &estimate["size"]), (&json!("algorithmia"), &json!("<=0.5")));
    let paid = of(&estimate, "algorithmia");
    assert_eq!(paid["credits"], amounts("1", None, "5", "5"));
    let mut money = amounts("0.0001", None, "0.0005", "0.0005");
    money["currency"] = json!("USD");
    assert_eq!(paid["money"], money);
    assert_eq!((&paid["seconds"], &paid["calls"]), (&Value::Null, &json!(0)));
    assert_eq!(
        (&paid["cache"], &paid["allowed"], &paid["place"]),
        (&json!("unknown"), &json!(true), &json!(1))
    );
    let free = of(&estimate, "local");
    assert_eq!((&free["credits"], &free["money"]), (&amounts("0", Some("0"), "0", "0"), &Value::Null));
    assert_eq!((fake.calls(), server.get("/v1/usage").json()["total"]["calls"].clone()), (0, json!(0)));

    fake.always(Behavior::Slow(Duration::from_millis(50)));
    for (seed, seconds) in [(1, 0.5), (2, 1.5), (3, 1.5), (4, 3.5)] {
        fake.takes(seconds);
        assert_eq!(facts_of(&server, seed)["provider"], "algorithmia");
    }
    let estimate = ask(&server, "", &photo);
    let paid = of(&estimate, "algorithmia");
    assert_eq!((&paid["credits"], &paid["calls"]), (&amounts("1", Some("2"), "4", "5"), &json!(4)));
    assert_eq!(paid["money"]["typical"], "0.0002");
    let seconds = &paid["seconds"];
    let [low, typical, high] = ["low", "typical", "high"].map(|which| seconds[which].as_f64().unwrap());
    assert!(0.05 <= low && low <= typical && typical <= high && high < 60.0, "{seconds}");
    // The ledger has no calls of this size yet.
    let large = ask(&server, "", &json!({ "width": 3000, "height": 2000 }));
    assert_eq!((&large["size"], &of(&large, "algorithmia")["calls"]), (&json!("<=8"), &json!(0)));
    assert_eq!(fake.calls(), 4);
}

#[test]
fn a_cached_image_costs_nothing_by_upload_or_sha256() {
    let fake = Algorithmia::start();
    let server = setup(&fake).start();
    let picture = Picture::png(96, 64, 7);
    let asked = |query: &str| {
        let answer = server.post(&format!("/v1/estimate{query}"), &[], &picture.bytes);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    };
    let before = asked("");
    assert_eq!((&before["width"], &before["height"]), (&json!(96), &json!(64)));
    assert_eq!(of(&before, "algorithmia")["cache"], "miss");
    assert_eq!(server.colorize(&picture).header("x-pixcolor-provider"), "algorithmia");

    let (form, multipart) = picture.multipart(&[]);
    let by_form = server.post("/v1/estimate", &[("Content-Type", &form)], &multipart).json();
    let by_url = ask(&server, "", &json!({ "image": picture.data_url() }));
    let by_hash = ask(&server, "", &json!({ "sha256": before["sha256"] }));
    for estimate in [asked(""), asked("?format=png"), by_form, by_url, by_hash] {
        let paid = of(&estimate, "algorithmia");
        assert_eq!((&paid["cache"], &paid["credits"]["most"]), (&json!("hit"), &json!("0")), "{estimate}");
        assert_eq!(
            (&estimate["first"], &of(&estimate, "local")["cache"]),
            (&json!("algorithmia"), &json!("miss"))
        );
    }
    // The chroma is cached: another format needs no call.
    let other = asked("?format=webp");
    assert_eq!(of(&other, "algorithmia")["cache"], "merged");
    assert_eq!(of(&other, "algorithmia")["credits"]["most"], "0");
    let fresh = server.post("/v1/estimate", &[("Cache-Control", "no-cache")], &picture.bytes).json();
    assert_eq!(of(&fresh, "algorithmia")["cache"], "miss");
    assert_eq!(server.colorize(&picture).header("x-pixcolor-credits"), "0");
    assert_eq!(fake.calls(), 1);
}

#[test]
fn a_spent_budget_is_reported_and_the_next_provider_would_answer() {
    let fake = Algorithmia::start();
    let main = "route = [\"algorithmia\", \"local\"]\ntrusted_proxies = [\"127.0.0.1\"]\n\
                [budgets.each]\nscope = \"client\"\ncredits = 6\n\
                [budgets.other]\nscope = \"provider:local\"\ncredits = 0\n";
    let server = setup(&fake).file("config/pixcolor.toml", main).start();
    let by = |client: &str| {
        let headers = [JSON, ("X-Forwarded-For", client)];
        server.post("/v1/estimate", &headers, b"{\"width\": 96, \"height\": 64}").json()
    };
    assert_eq!(by("203.0.113.1")["first"], "algorithmia");
    server.post("/v1/colorize", &[("X-Forwarded-For", "203.0.113.1")], &Picture::png(96, 64, 1).bytes);
    let estimate = by("203.0.113.1");
    let paid = of(&estimate, "algorithmia");
    assert_eq!((&estimate["first"], &paid["allowed"]), (&json!("local"), &json!(false)));
    let budget = &paid["budget"];
    assert_eq!(
        (&budget["name"], &budget["left"], &budget["wanted"]),
        (&json!("each"), &json!("4"), &json!("5"))
    );
    assert!(budget["renews"].as_str().unwrap().ends_with("-01T00:00:00Z"), "{budget}");
    // A free provider needs no budget.
    assert_eq!(of(&estimate, "local")["allowed"], true);
    assert_eq!(by("203.0.113.2")["first"], "algorithmia");
    let named = answer(&server, "?provider=local", &json!({})).json();
    assert_eq!(named["first"], "local");
}

#[test]
fn an_estimate_says_what_the_tightest_budget_has_left_for_this_client() {
    let fake = Algorithmia::start();
    let main = "route = [\"algorithmia\", \"local\"]\ntrusted_proxies = [\"127.0.0.1\"]\n\
                [budgets.everyone]\nscope = \"all\"\ncredits = 9\n\
                [budgets.each]\nscope = \"client\"\ncredits = 7.5\n\
                [budgets.other]\nscope = \"provider:local\"\ncredits = 0\n";
    let server = setup(&fake).file("config/pixcolor.toml", main).start();
    let left = |client: &str, provider: &str| {
        let headers = [JSON, ("X-Forwarded-For", client)];
        let estimate = server.post("/v1/estimate", &headers, b"{\"width\": 96, \"height\": 64}").json();
        of(&estimate, provider)["left"].clone()
    };
    assert_eq!(left("203.0.113.1", "algorithmia"), json!({ "budget": "each", "credits": "7.5" }));
    server.post("/v1/colorize", &[("X-Forwarded-For", "203.0.113.1")], &Picture::png(96, 64, 1).bytes);
    assert_eq!(left("203.0.113.1", "algorithmia"), json!({ "budget": "each", "credits": "5.5" }));
    assert_eq!(left("203.0.113.2", "algorithmia"), json!({ "budget": "everyone", "credits": "7" }));
    assert_eq!(left("203.0.113.1", "local"), Value::Null, "no budget limits a provider that is free");

    let unlimited = setup(&fake).start();
    let estimate = ask(&unlimited, "", &json!({ "width": 96, "height": 64 }));
    assert_eq!(of(&estimate, "algorithmia")["left"], Value::Null);
}

#[test]
fn an_unavailable_provider_is_listed_with_the_reason() {
    let server = Setup::new().env("PIXCOLOR_ROUTE", "[\"algorithmia\"]").start();
    let estimate = ask(&server, "", &json!({ "width": 96, "height": 64 }));
    assert_eq!(estimate["first"], Value::Null);
    let paid = of(&estimate, "algorithmia");
    assert_eq!(paid["ready"], false);
    assert!(paid["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{paid}");
    assert_eq!(
        (&of(&estimate, "local")["ready"], &of(&estimate, "local")["place"]),
        (&json!(true), &Value::Null)
    );
    let list = server.post("/v1/estimate", &[JSON], b" []").problem(400);
    assert!(list["detail"].as_str().unwrap().starts_with("The JSON must be an object."), "{list}");
    // An empty request describes no image.
    assert_eq!(of(&ask(&server, "", &json!({})), "local")["cache"], "unknown");
}

#[test]
fn invalid_estimates_are_problems() {
    let server = Server::start();
    for (body, status) in [
        (json!({ "width": 10 }), 400),
        (json!({ "width": -1, "height": 10 }), 400),
        (json!({ "width": 1e10, "height": 10 }), 400),
        (json!({ "width": 10.5, "height": 10 }), 400),
        (json!({ "width": 10, "height": 10, "colour": true }), 400),
        (json!([]), 400),
        (json!({ "sha256": "abc" }), 400),
        (json!({ "image": 5 }), 400),
        (json!({ "image": "data:image/png;base64,AAAA" }), 415),
        (json!({ "format": "gif" }), 400),
        (json!({ "depth": 12 }), 400),
        (json!({ "rotate": 45 }), 400),
        (json!({ "page": 0 }), 400),
        (json!({ "page": 1.5 }), 400),
        (json!({ "metadata": "all" }), 400),
        (json!({ "depth": 16, "format": "jpeg" }), 422),
        (json!({ "provider": "nobody" }), 400),
        (json!({ "width": 0, "height": 10 }), 422),
        (json!({ "width": 40_000, "height": 10 }), 422),
        (json!({ "width": 10_000, "height": 10_000 }), 422),
        (json!({ "width": 10, "height": 10, "bytes": 100_000_000 }), 413),
    ] {
        let problem = answer(&server, "", &body).problem(status);
        assert!(problem["detail"].as_str().unwrap().len() > 20, "{body}: {problem}");
    }
    for query in ["?provider=nobody", "?format=gif", "?format=png&format=png"] {
        answer(&server, query, &json!({})).problem(400);
    }
    server.post("/v1/estimate", &[], b"no picture").problem(415);
    server.post("/v1/estimate", &[], b"").problem(415);
    server.get("/v1/estimate").problem(405);
}

#[test]
fn providers_list_cost_and_time_per_megapixel() {
    let fake = Algorithmia::start();
    let server = setup(&fake).start();
    let statistics = |provider: &str| {
        let facts = server.get("/v1/providers").json();
        of(&facts, provider)["per_megapixel"].clone()
    };
    assert_eq!(statistics("algorithmia"), json!([]));
    let pictures = [Picture::png(400, 250, 1), Picture::png(400, 250, 2), Picture::png(1000, 1000, 3)];
    for picture in &pictures {
        assert_eq!(server.colorize(picture).header("x-pixcolor-credits"), "2");
        let local = server.post("/v1/colorize?provider=local", &[], &picture.bytes);
        assert_eq!(local.header("x-pixcolor-provider"), "local");
    }
    let paid = statistics("algorithmia");
    let sizes =
        |rows: &Value| rows.as_array().unwrap().iter().map(|row| row["size"].clone()).collect::<Vec<_>>();
    assert_eq!(sizes(&paid), ["<=0.5", "<=2"]);
    let [small, large] = [&paid[0], &paid[1]];
    assert_eq!((&small["calls"], &small["megapixels"]), (&json!(2), &json!(0.2)));
    assert_eq!((&small["credits"], &small["money"]), (&json!("20"), &json!({ "USD": "0.002" })));
    assert_eq!((&large["credits"], &large["cpu_seconds"]), (&json!("2"), &json!(0.0)));
    assert!(large["seconds"].as_f64().unwrap() > 0.0);
    let local = statistics("local");
    assert_eq!((sizes(&local), &local[0]["credits"]), (sizes(&paid), &json!("0")));
    assert!(local[0]["cpu_seconds"].as_f64().unwrap() > 0.0, "{local}");
    let page = server.get("/");
    assert!(page.text().contains("20 credits") && page.text().contains("0.002 USD"), "{}", page.text());
}

#[test]
fn the_page_without_javascript_has_the_same_retry_time_as_the_api() {
    let fake = Algorithmia::start();
    fake.always(Behavior::Status(429, "slow down", Some("7")));
    let server = setup(&fake)
        .file("config/pixcolor.toml", "route = [\"algorithmia\"]\n")
        .env("PIXCOLOR_PROVIDERS__ALGORITHMIA__RETRIES", "0")
        .start();
    let picture = Picture::png(96, 64, 1);
    let (form, body) = picture.multipart(&[]);
    let page = server.post("/", &[("Content-Type", &form)], &body);
    let api = server.colorize(&picture);
    assert_eq!((page.status, page.header("content-type")), (api.status, "text/html; charset=utf-8"));
    assert!(api.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds > 0), "{api:?}");
    assert_eq!(page.header("retry-after"), api.header("retry-after"));
    assert_eq!(page.header("cache-control"), "no-store");
}

#[test]
fn an_estimate_counts_as_a_request_and_needs_a_key_like_colorize() {
    let limits = ["REQUESTS", "PICTURES"].map(|limit| (limit, r#"{ rate = 60, per = "hour", burst = 60 }"#));
    let server = quota::server(&limits);
    let left = |limit| quota::remaining(&server, limit, &[]);
    ask(&server, "", &json!({ "width": 96, "height": 64 }));
    server.post("/v1/estimate", &[], &Picture::png(96, 64, 1).bytes);
    assert_eq!((left("requests"), left("pictures")), (58, 60));

    let server = Setup::new().env("PIXCOLOR_ANONYMOUS", "false").start();
    answer(&server, "", &json!({})).problem(401);
    server.post("/v1/estimate", &[], &Picture::png(96, 64, 1).bytes).problem(401);
}
