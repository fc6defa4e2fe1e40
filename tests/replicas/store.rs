//! Redis, a bucket and a load balancer together: what replicas share, and what still works without them.

use std::time::{Duration, Instant};

use crate::common::{Balancer, post_all, setup, small, until};
use crate::fakes::algorithmia::{Algorithmia, Behavior};
use crate::harness::Server;
use crate::redis::Redis;
use crate::s3::S3;

/// A gateway that uses Redis and the bucket, with the built-in network as the fallback.
fn on(redis: &Redis, store: &S3, fake: &Algorithmia) -> Server {
    let bucket = format!(
        "[cache]\nstore = \"s3://photos/pixcolor\"\n[cache.s3]\nendpoint = {:?}\nallow_http = true\n\
         access_key_id = {{ file = \"id\" }}\nsecret_access_key = {{ file = \"secret\" }}\ntimeout = 10\npause = 2\n",
        store.url()
    );
    setup(redis, fake, &bucket)
        .file("config/id", &store.key.0)
        .file("config/secret", &store.key.1)
        .env("PIXCOLOR_ROUTE", r#"["algorithmia", "local"]"#)
        .start()
}

#[test]
fn three_hundred_uploads_cause_one_shared_call_and_all_are_answered_without_redis_and_store() {
    let Some(store) = S3::start() else { return };
    let (mut redis, fake) = (Redis::start(), Algorithmia::start());
    fake.always(Behavior::Slow(Duration::from_millis(1500)));
    let servers = [(); 3].map(|()| on(&redis, &store, &fake));
    let balancer = Balancer::start(&servers);
    let url = format!("{}/v1/colorize", balancer.url);
    let answers = post_all((0..300).map(|_| (url.clone(), small(1))));
    for answer in &answers {
        assert_eq!((answer.status, &answer.body), (200, &answers[0].body));
        assert_eq!(answer.header("etag"), answers[0].header("etag"));
        assert_eq!(answer.header("x-pixcolor-provider"), "algorithmia");
    }
    assert_eq!(fake.calls(), 1);
    for server in &servers {
        assert!(server.metric("pixcolor_http_requests_total{method=\"POST\",status=\"200\"}") >= 50.0);
    }
    until(Duration::from_secs(20), "the rendition, its name and its colour are in the bucket", || {
        store.objects().len() == 3
    });
    // A replica that starts later finds the result in the bucket.
    let fourth = on(&redis, &store, &fake);
    let found = fourth.colorize(&small(1));
    assert_eq!(found.header("cache-status"), "PixColor; hit; detail=store");
    assert_eq!((&found.body, fake.calls()), (&answers[0].body, 1));
    // The other replicas find it too, and cache it from now on.
    for server in &servers {
        assert!(server.colorize(&small(1)).header("cache-status").starts_with("PixColor; hit"));
    }

    redis.stop();
    drop(store);
    let start = Instant::now();
    let old_and_new = post_all((1..10).map(|seed| (url.clone(), small(seed))));
    for (answer, seed) in old_and_new.iter().zip(1..) {
        let provider = if seed == 1 { "algorithmia" } else { "local" };
        assert_eq!((answer.status, answer.header("x-pixcolor-provider")), (200, provider), "{seed}");
    }
    assert_eq!(old_and_new[0].body, answers[0].body, "each replica still has its cached result");
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
    assert_eq!(fake.calls(), 1, "there is no paid call without Redis");
    redis.start_again();
    for (server, seed) in servers.iter().zip(20..) {
        until(Duration::from_secs(10), "it recovers by itself", || server.metric("pixcolor_redis_up") == 1.0);
        assert_eq!(server.colorize(&small(seed)).header("x-pixcolor-provider"), "algorithmia");
    }
    assert_eq!(fake.calls(), 4, "paid calls do not need the bucket");
}
