use std::sync::atomic::{AtomicU64, Ordering};

use futures::FutureExt;
use proptest::prelude::*;

use super::super::{LimitScope, RatePeriod, Unit};
use super::*;

fn limit(name: &str, of: Unit, rate: u64, per: RatePeriod, burst: u64) -> Arc<Limit> {
    Arc::new(Limit::new(name, LimitScope::Client, of, rate, per, burst).unwrap())
}

fn client(number: u32) -> ClientBucket {
    ClientBucket::network(std::net::Ipv4Addr::from(number).into(), 64)
}

fn charge(limit: &Arc<Limit>, number: u32, amount: u64) -> Charge {
    Charge { limit: limit.clone(), bucket: client(number), amount }
}

/// A clock that a test sets.
#[derive(Clone, Default)]
struct TestClock(Arc<AtomicU64>);

impl TestClock {
    fn advance(&self, time: Duration) {
        self.0.fetch_add(nanos(time), Ordering::Relaxed);
    }
}

fn quota() -> (InProcess, TestClock) {
    let clock = TestClock::default();
    clock.advance(Duration::from_secs(1_000));
    let read = clock.clone();
    (InProcess::with_clock(move || Duration::from_nanos(read.0.load(Ordering::Relaxed))), clock)
}

fn clients(quota: &InProcess) -> usize {
    quota.lock().values().map(HashMap::len).sum()
}

#[test]
fn the_status_follows_from_the_theoretical_arrival_time() {
    let limit =
        Arc::new(Limit::new("x", LimitScope::Client, Unit::Requests, 2, RatePeriod::Second, 5).unwrap());
    let millis = Duration::from_millis;
    for (ahead, remaining, more_in) in
        [(0, 5, 0), (1, 4, 1), (500, 4, 500), (501, 3, 1), (2499, 0, 499), (2500, 0, 500)]
    {
        let level = status(&limit, millis(ahead), Duration::ZERO);
        assert_eq!((level.remaining, level.more_in), (remaining, millis(more_in)), "{ahead}");
    }
}

#[tokio::test]
async fn a_burst_passes_at_once_then_the_rate_applies_per_client() {
    let (quota, clock) = quota();
    let limit = limit("requests", Unit::Requests, 2, RatePeriod::Second, 5);
    let one = [charge(&limit, 1, 1)];
    for left in (0..5).rev() {
        quota.check(&one).await.unwrap();
        let level = quota.look(&one).await.remove(0);
        assert_eq!((level.remaining, level.more_in), (left, Duration::from_millis(500)));
    }
    let refusal = quota.check(&one).await.unwrap_err();
    assert_eq!(refusal.wait, Duration::from_millis(500));
    assert_eq!(refusal.levels[0].limit, limit);
    quota.check(&[charge(&limit, 2, 1)]).await.unwrap();
    clock.advance(Duration::from_millis(499));
    assert_eq!(quota.check(&one).await.unwrap_err().wait, Duration::from_millis(1));
    clock.advance(Duration::from_millis(1));
    quota.check(&one).await.unwrap();
    assert!(quota.check(&one).await.is_err());
}

#[tokio::test]
async fn a_rejected_request_takes_nothing_from_any_limit() {
    let (quota, clock) = quota();
    let (few, many) = (
        limit("few", Unit::Requests, 1, RatePeriod::Second, 1),
        limit("many", Unit::Bytes, 10 << 10, RatePeriod::Second, 100 << 10),
    );
    let both = [charge(&many, 1, 50 << 10), charge(&few, 1, 1)];
    quota.check(&both).await.unwrap();
    for _ in 0..10 {
        let refusal = quota.check(&both).await.unwrap_err();
        assert_eq!(refusal.levels.iter().map(|level| level.limit.name()).collect::<Vec<_>>(), ["few"]);
    }
    let level = quota.look(&both).await.remove(0);
    assert_eq!((level.remaining, level.wait), (50 << 10, Duration::ZERO));
    clock.advance(Duration::from_secs(1));
    quota.check(&both).await.unwrap();
    // Both limits reject the request now. After the stated wait it is accepted.
    let refusal = quota.check(&both).await.unwrap_err();
    assert_eq!((refusal.levels.len(), refusal.wait), (2, Duration::from_secs(4)));
    clock.advance(refusal.wait);
    quota.check(&both).await.unwrap();
}

#[tokio::test]
async fn looking_takes_nothing_and_stores_no_client() {
    let (quota, _clock) = quota();
    let limit = limit("pictures", Unit::Pictures, 1, RatePeriod::Day, 3);
    for _ in 0..100 {
        let level = quota.look(&[charge(&limit, 1, 1)]).await.remove(0);
        assert_eq!((level.remaining, level.more_in, level.wait), (3, Duration::ZERO, Duration::ZERO));
    }
    assert_eq!(clients(&quota), 0);
}

#[tokio::test]
async fn a_charge_of_nothing_stores_no_client() {
    let (quota, _) = quota();
    let limit = limit("bytes", Unit::Bytes, 1024, RatePeriod::Second, 1024);
    quota.check(&[charge(&limit, 1, 0)]).await.unwrap();
    assert_eq!(clients(&quota), 0);
    quota.check(&[charge(&limit, 1, 1)]).await.unwrap();
    assert_eq!(clients(&quota), 1);
}

#[tokio::test]
async fn more_than_the_burst_counts_as_the_burst() {
    let (quota, clock) = quota();
    let limit = limit("megapixels", Unit::Megapixels, 60, RatePeriod::Minute, 50);
    let huge = [charge(&limit, 1, 90_000_000)];
    quota.check(&huge).await.unwrap();
    assert_eq!(quota.look(&huge).await[0].remaining, 0);
    assert_eq!(quota.check(&huge).await.unwrap_err().wait, Duration::from_secs(50));
    clock.advance(Duration::from_secs(50));
    quota.check(&huge).await.unwrap();
}

#[tokio::test]
async fn a_changed_limit_starts_afresh_and_the_old_one_is_dropped() {
    let (quota, clock) = quota();
    let (old, new) = (
        limit("x", Unit::Requests, 1, RatePeriod::Minute, 1),
        limit("x", Unit::Requests, 2, RatePeriod::Minute, 2),
    );
    quota.check(&[charge(&old, 1, 1)]).await.unwrap();
    assert!(quota.check(&[charge(&old, 1, 1)]).await.is_err());
    quota.check(&[charge(&new, 1, 1)]).await.unwrap();
    clock.advance(Duration::from_secs(121));
    quota.sweep();
    assert_eq!(quota.lock().len(), 0);
}

#[tokio::test]
async fn a_million_addresses_take_bounded_memory_and_are_dropped_when_idle() {
    let (quota, clock) = quota();
    let limit = limit("requests", Unit::Requests, 10, RatePeriod::Second, 10);
    for number in 0..1_000_000_u32 {
        // Spreads the clients over the whole address space, so that they are in as many networks as possible.
        let spread = number.wrapping_mul(2_654_435_761);
        quota.check(&[charge(&limit, spread, 1)]).await.unwrap_or_default();
    }
    // The clients that are counted separately, and the networks of all others: about 10 MB.
    let most = MOST_CLIENTS + (1 << 16);
    assert!((MOST_CLIENTS..=most).contains(&clients(&quota)), "{}", clients(&quota));
    assert!(std::mem::size_of::<(ClientBucket, u64)>() <= 48);
    // No client is idle yet, so the sweep removes nothing.
    let before = clients(&quota);
    quota.sweep();
    assert_eq!(clients(&quota), before);
    clock.advance(Duration::from_secs(2));
    quota.sweep();
    assert_eq!(clients(&quota), 0);
}

#[tokio::test]
async fn a_flood_from_one_network_does_not_lock_out_other_networks() {
    let (quota, _clock) = quota();
    let limit = limit("requests", Unit::Requests, 1, RatePeriod::Hour, 5);
    let v6 = |high: u128, low: u128| {
        ClientBucket::network(std::net::Ipv6Addr::from(high << 96 | low << 64).into(), 64)
    };
    let charge = |bucket| Charge { limit: limit.clone(), bucket, amount: 1 };
    let mut refused = 0;
    for low in 0..200_000 {
        refused += usize::from(quota.check(&[charge(v6(0x2001_0db8, low))]).await.is_err());
    }
    assert!(refused > 90_000, "{refused}");
    quota.check(&[charge(v6(0x2001_0db9, 7))]).await.unwrap();
    // A client that was counted before the flood keeps its own counter.
    let known = quota.look(&[charge(v6(0x2001_0db8, 0))]).await.remove(0);
    assert_eq!(known.remaining, 4);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Checks the definition: in no span of time does a client get more than burst + rate x span, and after the wait
    /// that a rejection states, the request is accepted.
    #[test]
    fn no_schedule_exceeds_the_limit_and_every_wait_is_exact(
        rate in 1_u64..50,
        burst in 1_u64..20,
        steps in prop::collection::vec((0_u64..2_000, 1_u64..25), 1..60),
    ) {
        let (quota, clock) = quota();
        let limit = limit("x", Unit::Requests, rate, RatePeriod::Second, burst);
        let mut now = 0;
        let mut taken: Vec<(u64, u64)> = Vec::new();
        for (pause, amount) in steps {
            clock.advance(Duration::from_millis(pause));
            now += pause * 1_000_000;
            let asked = [charge(&limit, 1, amount)];
            if let Err(refusal) = quota.check(&asked).now_or_never().unwrap() {
                prop_assert!(refusal.wait > Duration::ZERO);
                clock.advance(refusal.wait);
                now += u64::try_from(refusal.wait.as_nanos()).unwrap();
                prop_assert!(quota.check(&asked).now_or_never().unwrap().is_ok());
            }
            taken.push((now, amount.min(burst)));
        }
        let cell = 1_000_000_000 / rate;
        for (index, (from, _)) in taken.iter().enumerate() {
            let mut sum = 0;
            for (until, amount) in &taken[index..] {
                sum += amount;
                prop_assert!(sum <= burst + (until - from) / cell + 1, "{sum} in {} ns", until - from);
            }
        }
    }
}
