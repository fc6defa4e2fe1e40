//! The ledger in Redis with several replicas, killed processes, outages, lost data and a wrong clock.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use pixcolor::credit::ledger::RedisLedger;
use pixcolor::credit::{BudgetScope, Budgets, Clock, Ledger, ReserveError, Window};
use pixcolor::shared::{RedisOptions, SharedRedis};
use pixcolor::tasks::Tasks;
use time::Date;

use super::common::{
    ManualClock, ReserveRequest, amounts, amounts_when_settled, budget, cost, micro, reserve_request,
};
use super::redis::Redis;

/// A ledger with this name; ledgers with the same name are replicas.
pub fn open(redis: &Redis, name: &str, clock: Option<Arc<dyn Clock>>) -> RedisLedger {
    let options = RedisOptions {
        address: redis.url().parse().unwrap(),
        password: None,
        prefix: name.to_owned(),
        timeout: Duration::from_secs(2),
    };
    RedisLedger::new(SharedRedis::new(options, Arc::new(())), clock, Tasks::default())
}

fn total(limit: i64) -> Budgets {
    [budget(BudgetScope::All, Window::Total, limit), budget(BudgetScope::Client, Window::Month, i64::MAX)]
        .into()
}

#[tokio::test]
async fn redis_conforms() {
    let redis = Redis::start();
    super::conformance::run(|name, clock| Box::new(open(&redis, name, Some(clock)))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_replicas_never_exceed_a_budget() {
    let redis = Redis::start();
    let replicas: Vec<_> = (0..3).map(|_| open(&redis, "replicas", None)).collect();
    let budgets = total(1000);
    let spend = |ledger| {
        let budgets = &budgets;
        async move {
            let ledger: &RedisLedger = ledger;
            let reservation = ledger.reserve(reserve_request(7, budgets)).await.ok()?;
            let at_most: i64 =
                amounts(ledger, budgets).await.iter().take(1).map(|(spent, held)| spent + held).sum();
            assert!(at_most <= 1000, "{at_most}");
            Some(ledger.settle(reservation, cost(5)).await.charged.micro())
        }
    };
    let charged: Vec<i64> =
        join_all((0..600).map(|n| spend(&replicas[n % 3]))).await.into_iter().flatten().collect();
    assert!((142..=200).contains(&charged.len()), "{}", charged.len());
    let spent = charged.iter().sum();
    for replica in &replicas {
        assert_eq!(amounts(replica, &budgets).await[0], (spent, 0));
        let usage = replica.usage(Date::MIN..=Date::MAX).await.unwrap();
        assert_eq!(usage.iter().map(|row| row.tally.credits.micro()).sum::<i64>(), spent);
    }
}

#[tokio::test]
async fn a_reservation_of_a_killed_process_becomes_a_call_of_unknown_cost_after_a_day() {
    let (redis, clock) = (Redis::start(), ManualClock::new());
    let dies = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let gone = open(&redis, "gone", Some(clock.clone()));
    let held = dies
        .spawn(async move { (gone.reserve(reserve_request(60, &total(100))).await.unwrap(), gone) })
        .await
        .unwrap();
    dies.shutdown_background();
    // Like a killed process: the reservation is neither settled nor returned.
    std::mem::forget(held);
    let ledger = open(&redis, "gone", Some(clock.clone()));
    assert_eq!(amounts(&ledger, &total(100)).await[0], (0, 60));
    assert!(matches!(ledger.reserve(reserve_request(41, &total(100))).await, Err(ReserveError::Budget(_))));
    clock.forward(time::Duration::hours(25));
    assert_eq!(amounts_when_settled(&ledger, &total(100)).await[0], (60, 0));
    let tally = ledger.usage(Date::MIN..=Date::MAX).await.unwrap()[0].tally;
    assert_eq!((tally.calls, tally.unknown, tally.credits), (1, 1, micro(60)));
}

#[tokio::test]
async fn without_redis_nothing_is_reserved_and_earlier_reservations_are_settled_later() {
    let mut redis = Redis::start();
    let (ledger, budgets) = (open(&redis, "away", None), total(100));
    let (settled, held) = (
        ledger.reserve(reserve_request(10, &budgets)).await.unwrap(),
        ledger.reserve(reserve_request(30, &budgets)).await.unwrap(),
    );
    redis.stop();
    assert_eq!(ledger.settle(settled, cost(4)).await.charged, micro(4));
    assert!(matches!(ledger.reserve(reserve_request(1, &budgets)).await, Err(ReserveError::Ledger(_))));
    assert!(ledger.health().is_err());
    // Calls that cost nothing continue.
    let free = ledger.reserve(reserve_request(0, &budgets)).await.unwrap();
    ledger.settle(free, cost(0)).await;
    redis.start_again();
    let mut after = Vec::new();
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        after = ledger.standing(budgets.clone(), None).await.unwrap_or_default();
        if after.first().is_some_and(|standing| standing.spent == micro(4)) {
            break;
        }
    }
    assert_eq!((after[0].spent, after[0].reserved), (micro(4), micro(30)));
    assert_eq!(ledger.health(), Ok(()));
    ledger.settle(held, cost(30)).await;
    assert_eq!(amounts(&ledger, &budgets).await[0], (34, 0));
}

#[tokio::test]
async fn a_hanging_redis_costs_one_time_out_and_its_late_reservation_is_returned() {
    let redis = Redis::start();
    let (ledger, budgets) = (open(&redis, "hangs", None), total(100));
    ledger.settle(ledger.reserve(reserve_request(1, &budgets)).await.unwrap(), cost(1)).await;
    redis.signal("STOP");
    let start = std::time::Instant::now();
    for _ in 0..50 {
        assert!(matches!(ledger.reserve(reserve_request(9, &budgets)).await, Err(ReserveError::Ledger(_))));
    }
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    redis.signal("CONT");
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        if ledger
            .standing(budgets.clone(), None)
            .await
            .is_ok_and(|standings| standings[0].reserved == micro(0))
        {
            break;
        }
    }
    // Longer than the interval at which the ledger retries to return a reservation.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(amounts(&ledger, &budgets).await[0], (1, 0));
}

#[tokio::test]
async fn amounts_are_exact_beyond_the_precision_of_lua_numbers() {
    let redis = Redis::start();
    let ledger = open(&redis, "exact", None);
    let limit = (1_i64 << 60) + 1;
    let budgets = total(limit);
    let most = ledger.reserve(reserve_request(limit - 1, &budgets)).await.unwrap();
    let Err(ReserveError::Budget(refused)) = ledger.reserve(reserve_request(2, &budgets)).await else {
        panic!("1 is left")
    };
    assert_eq!(refused.left, micro(1));
    let last = ledger.reserve(reserve_request(1, &budgets)).await.unwrap();
    ledger.settle(last, cost(1)).await;
    ledger.settle(most, cost(i64::MAX)).await;
    assert!(
        matches!(ledger.reserve(reserve_request(1, &budgets)).await, Err(ReserveError::Budget(_))),
        "an absurd cost counts"
    );
    let other = ReserveRequest { client: Some("you".into()), ..reserve_request(1, &[].into()) };
    ledger.settle(ledger.reserve(other).await.unwrap(), cost(1)).await;
    assert_eq!(ledger.standing(budgets, None).await.unwrap()[0].spent, micro(i64::MAX));
}

/// Reserves while Redis refuses writes, and again when it accepts them.
async fn no_partial_reservation_is_stored(name: &str, breaks: &str, mends: &str) {
    let redis = Redis::start();
    let (ledger, budgets) = (open(&redis, name, None), total(100));
    ledger.settle(ledger.reserve(reserve_request(1, &budgets)).await.unwrap(), cost(1)).await;
    let before: Vec<String> = redis.ask("KEYS *:ledger:*");
    redis.tell(breaks);
    let client = ReserveRequest { client: Some("new".into()), ..reserve_request(9, &budgets) };
    for _ in 0..3 {
        assert!(matches!(ledger.reserve(client.clone()).await, Err(ReserveError::Ledger(_))));
        // Longer than the pause after a failed connection.
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert!(ledger.health().is_err());
    redis.tell(mends);
    assert_eq!(amounts(&ledger, &budgets).await[0], (1, 0), "{breaks}");
    let after: Vec<String> = redis.ask("KEYS *:ledger:*");
    assert_eq!(after.len(), before.len(), "{after:?}");
    assert!(ledger.health().is_err(), "a successful read does not show that Redis works");
    ledger.settle(ledger.reserve(client).await.unwrap(), cost(1)).await;
    assert_eq!(ledger.health(), Ok(()), "a successful write shows that Redis works");
}

#[tokio::test]
async fn a_full_or_read_only_redis_stores_no_partial_reservation() {
    no_partial_reservation_is_stored("full", "CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0").await;
    no_partial_reservation_is_stored("replica", "REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE").await;
}

#[tokio::test]
async fn a_ledger_is_not_used_if_keys_may_be_evicted_or_the_account_is_lost() {
    let redis = Redis::start();
    let (ledger, budgets) = (open(&redis, "guarded", None), total(100));
    ledger.settle(ledger.reserve(reserve_request(1, &budgets)).await.unwrap(), cost(1)).await;
    redis.tell("CONFIG SET maxmemory 20mb");
    for policy in ["allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-lru", "volatile-ttl"] {
        redis.tell(&format!("CONFIG SET maxmemory-policy {policy}"));
        let Err(ReserveError::Ledger(error)) = ledger.reserve(reserve_request(1, &budgets)).await else {
            panic!("{policy} evicts")
        };
        assert!(error.reason.contains(policy) && error.reason.contains("noeviction"), "{error}");
        assert_eq!(ledger.health(), Err(error));
    }
    redis.tell("CONFIG SET maxmemory-policy noeviction");
    let held = ledger.reserve(reserve_request(1, &budgets)).await.unwrap();
    assert_eq!(ledger.health(), Ok(()));
    redis.tell("FLUSHALL");
    assert!(matches!(ledger.reserve(reserve_request(1, &budgets)).await, Err(ReserveError::Ledger(_))));
    ledger.settle(held, cost(1)).await;
    ledger.look().await;
    assert!(ledger.health().is_err(), "a later settlement starts no new account");
    assert!(matches!(ledger.reserve(reserve_request(1, &budgets)).await, Err(ReserveError::Ledger(_))));
    // A replica that has seen no account starts a new one.
    let new = open(&redis, "guarded", None);
    new.reserve(reserve_request(1, &budgets)).await.unwrap();
    assert!(matches!(ledger.reserve(reserve_request(1, &budgets)).await, Err(ReserveError::Ledger(_))));
}

#[tokio::test]
async fn the_day_of_a_redis_clock_that_was_ahead_stays_until_the_loss_is_accepted() {
    let redis = Redis::start();
    let (ledger, budgets) = (open(&redis, "ahead", None), total(100));
    let day: Budgets = [budget(BudgetScope::All, Window::Day, 10)].into();
    ledger.settle(ledger.reserve(reserve_request(8, &day)).await.unwrap(), cost(8)).await;
    let now: Vec<i64> = redis.ask("TIME");
    let ahead = now[0] + 90 * 86_400;
    redis.tell(&format!("SET ahead:ledger:latest {ahead}"));
    ledger.settle(ledger.reserve(reserve_request(9, &day)).await.unwrap(), cost(9)).await;
    for replica in [&ledger, &open(&redis, "ahead", None)] {
        assert!(matches!(replica.reserve(reserve_request(2, &day)).await, Err(ReserveError::Budget(_))));
        assert_eq!(amounts(replica, &day).await, [(9, 0)]);
        assert_eq!(amounts(replica, &budgets).await[0], (17, 0));
    }
    let options = RedisOptions {
        address: redis.url().parse().unwrap(),
        password: None,
        prefix: "ahead".to_owned(),
        timeout: Duration::from_secs(2),
    };
    let (shared, folder) = (SharedRedis::new(options, Arc::new(())), super::common::folder());
    let said = RedisLedger::accept_loss(&shared, folder.path()).await.unwrap().to_string();
    assert!(said.contains("clock"), "{said}");
    assert_eq!(amounts(&ledger, &day).await, [(8, 0)], "the amount of today counts again");
    ledger.reserve(reserve_request(2, &day)).await.unwrap();
    let again = RedisLedger::accept_loss(&shared, folder.path()).await.unwrap().to_string();
    assert!(again.contains("Nothing was changed"), "{again}");
}
