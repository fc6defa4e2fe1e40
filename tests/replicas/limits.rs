//! A client's rate limits apply to all replicas together.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use pixcolor::quota::{Charge, ClientBucket, InProcess, InRedis, Limit, LimitScope, Quota, RatePeriod, Unit};
use pixcolor::shared::{RedisOptions, SharedRedis};

use crate::common::{Balancer, post_all, setup, small, three, until};
use crate::fakes::algorithmia::Algorithmia;
use crate::harness::Picture;
use crate::redis::Redis;

fn rates(redis: &Redis) -> InRedis {
    let options = RedisOptions {
        address: redis.url().parse().unwrap(),
        password: None,
        prefix: "test".to_owned(),
        timeout: Duration::from_secs(2),
    };
    InRedis::new(SharedRedis::new(options, Arc::new(())), Some(Box::new(InProcess::new())))
}

fn limit(name: &str, of: Unit, rate: u64, per: RatePeriod, burst: u64) -> Arc<Limit> {
    Arc::new(Limit::new(name, LimitScope::Client, of, rate, per, burst).unwrap())
}

fn charge(limit: &Arc<Limit>, client: u32, amount: u64) -> Charge {
    let bucket = ClientBucket::network(std::net::Ipv4Addr::from(client).into(), 64);
    Charge { limit: limit.clone(), bucket, amount }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_replicas_share_one_burst_exactly() {
    let redis = Redis::start();
    let replicas = [rates(&redis), rates(&redis), rates(&redis)];
    let limit = limit("requests", Unit::Requests, 1, RatePeriod::Hour, 100);
    let one = [charge(&limit, 1, 1)];
    let checks = join_all((0..300).map(|n| replicas[n % 3].check(&one))).await;
    assert_eq!(checks.iter().filter(|check| check.is_ok()).count(), 100);
    let level = replicas[0].look(&one).await.remove(0);
    assert_eq!((level.remaining, level.more_in > Duration::from_secs(3590)), (0, true));
    // Another client has its full burst.
    replicas[1].check(&[charge(&limit, 2, 1)]).await.unwrap();
    assert_eq!(replicas[2].look(&[charge(&limit, 2, 1)]).await[0].remaining, 99);
}

#[tokio::test]
async fn several_limits_are_charged_together_or_not_at_all_and_the_wait_is_exact() {
    let redis = Redis::start();
    let quota = rates(&redis);
    let few = limit("few", Unit::Requests, 2, RatePeriod::Second, 1);
    let many = limit("many", Unit::Bytes, 1 << 20, RatePeriod::Hour, 100 << 10);
    let both = [charge(&many, 1, 10 << 10), charge(&few, 1, 1)];
    for left in [90, 80] {
        quota.check(&both).await.unwrap();
        let mut refused = quota.check(&both).await.unwrap_err();
        for _ in 0..5 {
            refused = quota.check(&both).await.unwrap_err();
        }
        assert_eq!(refused.levels.iter().map(|level| level.limit.name()).collect::<Vec<_>>(), ["few"]);
        let level = quota.look(&both).await.remove(0);
        assert!((left << 10..=(left + 1) << 10).contains(&level.remaining), "{level:?}");
        assert!(refused.wait <= Duration::from_millis(500), "{:?}", refused.wait);
        tokio::time::sleep(refused.wait).await;
    }
    // A charge above the burst takes the whole burst; a charge of zero takes nothing.
    let all = [charge(&many, 2, u64::MAX)];
    quota.check(&all).await.unwrap();
    assert_eq!(quota.look(&all).await[0].remaining, 0);
    quota.check(&[charge(&many, 2, 0)]).await.unwrap();
    assert!(quota.check(&all).await.unwrap_err().wait > Duration::from_secs(350));
}

#[tokio::test]
async fn the_rate_holds_over_time_and_idle_clients_are_removed() {
    let redis = Redis::start();
    let quota = rates(&redis);
    let limit = limit("requests", Unit::Requests, 50, RatePeriod::Second, 5);
    let (start, mut allowed) = (Instant::now(), 0);
    while start.elapsed() < Duration::from_secs(2) {
        allowed += usize::from(quota.check(&[charge(&limit, 1, 1)]).await.is_ok());
    }
    let most = 5 + (start.elapsed().as_secs_f64() * 50.0) as usize + 1;
    assert!((most - 8..=most).contains(&allowed), "{allowed} of {most}");
    join_all(
        (0..1000)
            .map(|client| async move { client })
            .map(|client| async { quota.check(&[charge(&limit, client.await, 1)]).await }),
    )
    .await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut connection = redis::Client::open(redis.url()).unwrap().get_connection().unwrap();
    assert_eq!(redis::cmd("DBSIZE").query::<u64>(&mut connection).unwrap(), 0);
}

#[tokio::test]
async fn redis_and_the_process_use_the_same_formula() {
    let redis = Redis::start();
    let (shared, own) = (rates(&redis), InProcess::new());
    let limits = [
        limit("requests", Unit::Requests, 60, RatePeriod::Hour, 20),
        limit("bytes", Unit::Bytes, 1 << 20, RatePeriod::Hour, 100 << 10),
        limit("megapixels", Unit::Megapixels, 30, RatePeriod::Day, 50),
    ];
    let mut random = 1_u64;
    for n in 0..300 {
        let mut amount = |most: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % most
        };
        let amounts = [amount(3), amount(9 << 10), amount(4_000_000)];
        let charges: Vec<_> =
            limits.iter().zip(amounts).map(|(limit, amount)| charge(limit, n % 4, amount)).collect();
        let (ours, theirs) = (own.look(&charges).await, shared.look(&charges).await);
        for (ours, theirs) in ours.iter().zip(&theirs) {
            // The two clocks are read one after the other, so one cell may become free in between.
            let cell = ours.limit.burst() / 1000 + 1;
            assert!(ours.remaining.abs_diff(theirs.remaining) <= cell, "{n}: {ours:?} {theirs:?}");
            let apart = |a: Duration, b: Duration| a.abs_diff(b) > Duration::from_millis(500);
            assert!(!apart(ours.wait, theirs.wait), "{n}: {ours:?} {theirs:?}");
        }
        assert_eq!(own.check(&charges).await.is_ok(), shared.check(&charges).await.is_ok(), "{n}");
    }
}

#[tokio::test]
async fn without_redis_each_process_counts_alone() {
    let mut redis = Redis::start();
    let replicas = [rates(&redis), rates(&redis)];
    let limit = limit("requests", Unit::Requests, 1, RatePeriod::Hour, 10);
    let one = [charge(&limit, 1, 1)];
    let all = async || {
        let checks = join_all((0..60).map(|n| replicas[n % 2].check(&one))).await;
        checks.iter().filter(|check| check.is_ok()).count()
    };
    assert_eq!(all().await, 10);
    redis.stop();
    assert_eq!(all().await, 20);
    redis.start_again();
    tokio::time::sleep(Duration::from_secs(1)).await;
    // The first request after the outage may still see the broken connection.
    for replica in &replicas {
        replica.look(&one).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(all().await, 0, "earlier charges count again");
}

#[test]
fn a_clients_limit_holds_across_gateways() {
    let (redis, fake) = (Redis::start(), Algorithmia::start());
    let limited = || {
        let setup = setup(&redis, &fake, "");
        setup.env("PIXCOLOR_QUOTA__LIMITS__REQUESTS", r#"{ rate = 1, per = "hour", burst = 20 }"#).start()
    };
    let servers = [limited(), limited(), limited()];
    let balancer = Balancer::start(&servers);
    let nothing = Picture { bytes: Vec::new(), ..small(1) };
    let answers = post_all((0..60).map(|_| (format!("{}/v1/colorize", balancer.url), nothing.clone())));
    let refused = answers.iter().filter(|answer| answer.status == 429).count();
    assert!((39..=40).contains(&refused), "{refused}");
    for server in &servers {
        let standing = server.get("/v1/quota").json();
        let limits = standing["limits"].as_array().unwrap();
        let requests = limits.iter().find(|limit| limit["name"] == "requests").unwrap();
        assert_eq!(requests["remaining"], 0);
    }
}

#[test]
fn the_limits_and_budgets_of_a_key_hold_across_gateways_and_apply_to_no_other_key() {
    const OWN: &str = "[keys.bob.limits.key-requests]\nrate = 20\nper = \"day\"\n\
                       [keys.eve.budgets.few]\nwindow = \"total\"\ncredits = 9\n";
    let (redis, fake) = (Redis::start(), Algorithmia::start());
    let servers = three(&redis, &fake, OWN);
    let keys = ["bob", "eve", "ann"].map(|name| servers[0].command(&["key", "new", name]));
    // All gateways share one file of API keys.
    let file = ".local/state/pixcolor/keys.json";
    for server in &servers[1..] {
        std::fs::create_dir_all(server.path(file).parent().unwrap()).unwrap();
        std::fs::copy(servers[0].path(file), server.path(file)).unwrap();
    }
    let [bob, eve, ann] = keys.each_ref().map(|key| [("Authorization", key.as_str())]);
    for server in &servers {
        until(Duration::from_secs(20), "the keys are known", || {
            server.get_with("/v1/quota", &ann).text().contains("\"key:ann\"")
        });
    }
    let knock = |client: &[(&str, &str)]| {
        let knock = |number: usize| servers[number % 3].post("/v1/colorize", client, b"").status;
        std::thread::scope(|scope| {
            let asking: Vec<_> = (0..30).map(|number| scope.spawn(move || knock(number))).collect();
            asking.into_iter().map(|asked| asked.join().unwrap()).filter(|status| *status == 429).count()
        })
    };
    let refused = knock(&bob);
    assert!((9..=10).contains(&refused), "{refused}");
    assert_eq!(knock(&ann), 0);
    // A call costs 2 credits and reserves 5, so three calls fit.
    let color = |client: &[(&str, &str)], seed: u32| {
        servers[seed as usize % 3].post("/v1/colorize", client, &small(seed).bytes)
    };
    let statuses: Vec<u16> = (0..5).map(|seed| color(&eve, seed).status).collect();
    assert_eq!(statuses, [200, 200, 200, 402, 402]);
    assert_eq!(color(&eve, 6).problem(402)["budget"]["name"], "few");
    assert_eq!((color(&ann, 6).status, fake.calls()), (200, 4));
}
