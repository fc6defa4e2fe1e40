//! The tests that every ledger must pass, in a file or in Redis.

use std::ops::RangeInclusive;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::join_all;
use pixcolor::credit::{
    ANONYMOUS_CLIENTS_A_DAY, BudgetScope, BudgetStatus, Budgets, Clock, Ledger, ReserveError, Settlement,
    SizeClass, Tally, UsageRow, Window,
};
use time::Date;
use time::macros::{date, datetime};

use super::common::{
    ManualClock, ReserveRequest, amounts, amounts_when_settled, budget, cost, micro, reserve_request,
};

const ALWAYS: RangeInclusive<Date> = Date::MIN..=Date::MAX;

/// Runs the suite. `make` creates an empty ledger with this name and clock.
pub async fn run(make: impl Fn(&str, Arc<dyn Clock>) -> Box<dyn Ledger>) {
    let clock = ManualClock::new();
    let ledger = |name: &str| make(name, clock.clone());
    a_call_is_reserved_then_settled(&*ledger("settled")).await;
    a_budget_that_has_too_little_left_refuses(&*ledger("refused")).await;
    a_budget_for_others_neither_refuses_nor_counts(&*ledger("concerned")).await;
    a_call_of_unknown_cost_is_charged_in_full(&*ledger("unknown")).await;
    an_overrun_is_charged_and_later_calls_are_refused(&*ledger("overrun")).await;
    free_calls_are_never_refused(&*ledger("free")).await;
    free_calls_of_many_addresses_share_one_row_and_each_key_has_its_own(&*ledger("named")).await;
    a_dropped_reservation_is_charged_or_returned(&*ledger("dropped")).await;
    a_released_reservation_is_not_counted_as_a_call(&*ledger("released")).await;
    concurrent_calls_never_exceed_a_budget(&*ledger("many")).await;
    usage_is_reported_by_day_provider_and_client(&*ledger("usage")).await;
    experience_is_reported_by_provider_and_size(&*ledger("experience")).await;
    let clock = ManualClock::new();
    a_window_renews_when_it_ends(&*make("windows", clock.clone()), &clock).await;
    let clock = ManualClock::new();
    a_call_counts_on_the_day_it_began(&*make("midnight", clock.clone()), &clock).await;
    let clock = ManualClock::new();
    a_clock_that_is_set_back_does_not_reopen_a_window(&*make("back", clock.clone()), &clock).await;
}

fn all_windows(limit: i64) -> Budgets {
    let scopes = [BudgetScope::All, BudgetScope::Provider("paid".into()), BudgetScope::Client];
    let each = scopes.into_iter().flat_map(|scope| Window::ALL.map(|window| (scope.clone(), window)));
    each.map(|(scope, window)| budget(scope, window, limit)).collect()
}

async fn a_call_is_reserved_then_settled(ledger: &dyn Ledger) {
    let budgets = all_windows(100);
    assert_eq!(ledger.health(), Ok(()));
    assert_eq!(amounts(ledger, &budgets).await, [(0, 0); 9]);
    let reservation = ledger.reserve(reserve_request(60, &budgets)).await.unwrap();
    assert_eq!(reservation.most(), micro(60));
    assert_eq!(amounts(ledger, &budgets).await, [(0, 60); 9]);
    let settled = ledger.settle(reservation, cost(7)).await;
    assert_eq!((settled.charged, settled.unknown, settled.overrun), (micro(7), false, micro(0)));
    assert_eq!(amounts(ledger, &budgets).await, [(7, 0); 9]);
    let again = ledger.reserve(reserve_request(93, &budgets)).await.unwrap();
    ledger.settle(again, Settlement::FREE).await;
    assert_eq!(amounts(ledger, &budgets).await, [(7, 0); 9]);
}

async fn a_budget_that_has_too_little_left_refuses(ledger: &dyn Ledger) {
    let budgets: Budgets = [
        budget(BudgetScope::All, Window::Total, 1000),
        budget(BudgetScope::Provider("paid".into()), Window::Month, 100),
        budget(BudgetScope::All, Window::Day, 1000),
    ]
    .into();
    let held = ledger.reserve(reserve_request(60, &budgets)).await.unwrap();
    let Err(ReserveError::Budget(refused)) = ledger.reserve(reserve_request(41, &budgets)).await else {
        panic!("60 and 41 are more than 100");
    };
    assert_eq!(refused.budget, "provider:paid month");
    assert_eq!((refused.limit, refused.left, refused.wanted), (micro(100), micro(40), micro(41)));
    assert_eq!(refused.renews, Some(datetime!(2026-03-01 0:00 UTC)));
    assert_eq!(
        refused.to_string(),
        "budget `provider:paid month` has 0.00004 of 0.0001 credits left, and this call may cost 0.000041; it renews \
         on 2026-03-01"
    );
    // A refused request reserves nothing in any budget.
    assert_eq!(amounts(ledger, &budgets).await, [(0, 60); 3]);
    let rest = ledger.reserve(reserve_request(40, &budgets)).await.unwrap();
    ledger.settle(rest, Settlement::FREE).await;
    ledger.settle(held, Settlement::FREE).await;
}

async fn a_budget_for_others_neither_refuses_nor_counts(ledger: &dyn Ledger) {
    let budgets: Budgets = [
        budget(BudgetScope::Provider("other".into()), Window::Day, 0),
        budget(BudgetScope::Client, Window::Day, 10),
    ]
    .into();
    let mine = ledger.reserve(reserve_request(10, &budgets)).await.unwrap();
    assert!(matches!(ledger.reserve(reserve_request(1, &budgets)).await, Err(ReserveError::Budget(_))));
    for client in [None, Some("you".to_owned())] {
        let theirs =
            ledger.reserve(ReserveRequest { client, ..reserve_request(10, &budgets) }).await.unwrap();
        ledger.settle(theirs, cost(10)).await;
    }
    ledger.settle(mine, cost(10)).await;
    assert_eq!(amounts(ledger, &budgets).await, [(0, 0), (10, 0)]);
    // Client budgets do not apply to a call without a client.
    let standings = ledger.standing(budgets, None).await.unwrap();
    assert!(
        matches!(standings.as_slice(), [BudgetStatus { spent, .. }] if *spent == micro(0)),
        "{standings:?}"
    );
}

async fn a_call_of_unknown_cost_is_charged_in_full(ledger: &dyn Ledger) {
    let budgets = all_windows(100);
    let reservation = ledger.reserve(reserve_request(60, &budgets)).await.unwrap();
    let settled = ledger.settle(reservation, Settlement::UNKNOWN).await;
    assert_eq!((settled.charged, settled.unknown), (micro(60), true));
    assert_eq!(amounts(ledger, &budgets).await, [(60, 0); 9]);
    let tally = ledger.usage(ALWAYS).await.unwrap()[0].tally;
    assert_eq!((tally.calls, tally.failed, tally.unknown, tally.credits), (1, 1, 1, micro(60)));
}

async fn an_overrun_is_charged_and_later_calls_are_refused(ledger: &dyn Ledger) {
    let budgets = all_windows(100);
    let reservation = ledger.reserve(reserve_request(60, &budgets)).await.unwrap();
    let settled = ledger.settle(reservation, cost(130)).await;
    assert_eq!((settled.charged, settled.overrun), (micro(130), micro(70)));
    assert_eq!(amounts(ledger, &budgets).await, [(130, 0); 9]);
    let Err(ReserveError::Budget(refused)) = ledger.reserve(reserve_request(1, &budgets)).await else {
        panic!("nothing is left");
    };
    assert_eq!((refused.left, refused.renews), (micro(0), None));
    assert_eq!(ledger.standing(budgets, None).await.unwrap()[0].left(), micro(0));
    let tally = ledger.usage(ALWAYS).await.unwrap()[0].tally;
    assert_eq!((tally.overruns, tally.overrun, tally.credits), (1, micro(70), micro(130)));
}

async fn free_calls_are_never_refused(ledger: &dyn Ledger) {
    let budgets = all_windows(0);
    for settlement in
        [cost(0), Settlement { cpu: Duration::from_millis(250), ..cost(0) }, Settlement::UNKNOWN]
    {
        let reservation = ledger.reserve(reserve_request(0, &budgets)).await.unwrap();
        assert_eq!(reservation.most(), micro(0));
        let settled = ledger.settle(reservation, settlement).await;
        assert_eq!((settled.charged, settled.unknown), (micro(0), false));
    }
    let [row] = <[UsageRow; 1]>::try_from(ledger.usage(ALWAYS).await.unwrap()).unwrap();
    assert_eq!((row.tally.calls, row.tally.failed, row.tally.unknown), (3, 1, 0));
    assert_eq!((row.tally.cpu_us, row.tally.pixels), (250_000, 24_000_000));
    assert_eq!(
        row.client.as_deref(),
        Some("me"),
        "usage names the client of every call, whatever the call costs"
    );
}

async fn free_calls_of_many_addresses_share_one_row_and_each_key_has_its_own(ledger: &dyn Ledger) {
    let none: Budgets = [].into();
    let call = async |client: String, most: i64| {
        let request = ReserveRequest { client: Some(client), ..reserve_request(most, &none) };
        let reservation = ledger.reserve(request).await.unwrap();
        ledger.settle(reservation, cost(0)).await;
    };
    let addresses = |from: usize, to: usize| (from..to).map(|n| format!("ip:10.0.{}.{}", n / 256, n % 256));
    for client in addresses(0, ANONYMOUS_CLIENTS_A_DAY + 20) {
        call(client, 0).await;
    }
    // An address that already has a row, an API key, an address whose call could have cost credit, and a new address.
    for (client, most) in [("ip:10.0.0.0", 0), ("key:bob", 0), ("ip:192.0.2.1", 5), ("ip:192.0.2.2", 0)] {
        call(client.to_owned(), most).await;
    }
    let rows = ledger.usage(ALWAYS).await.unwrap();
    let calls = |client: Option<&str>| {
        let row = rows.iter().find(|row| row.client.as_deref() == client);
        row.map_or(0, |row| row.tally.calls)
    };
    assert_eq!(calls(None), 21);
    assert_eq!(calls(Some("ip:10.0.0.0")), 2);
    assert_eq!((calls(Some("key:bob")), calls(Some("ip:192.0.2.1")), calls(Some("ip:192.0.2.2"))), (1, 1, 0));
    assert_eq!(rows.len(), ANONYMOUS_CLIENTS_A_DAY + 3);
    let all: u64 = rows.iter().map(|row| row.tally.calls).sum();
    assert_eq!(all as usize, ANONYMOUS_CLIENTS_A_DAY + 24);
}

async fn a_dropped_reservation_is_charged_or_returned(ledger: &dyn Ledger) {
    let budgets = all_windows(10_000);
    // The reservation was granted, so the call may have happened.
    drop(ledger.reserve(reserve_request(100, &budgets)).await.unwrap());
    assert_eq!(amounts_when_settled(ledger, &budgets).await, [(100, 0); 9]);
    // A future of `reserve` is dropped before it returns a reservation, or it returns one, which is dropped at once.
    let mut spent = 100;
    for _ in 0..50 {
        drop(ledger.reserve(reserve_request(100, &budgets)));
        if let Some(granted) = pin!(ledger.reserve(reserve_request(100, &budgets))).as_mut().now_or_never() {
            spent += granted.unwrap().most().micro();
        }
    }
    assert_eq!(amounts_when_settled(ledger, &budgets).await, [(spent, 0); 9]);
    // A settlement that had started is still recorded.
    let before = ledger.usage(ALWAYS).await.unwrap()[0].tally;
    let reservation = ledger.reserve(reserve_request(100, &budgets)).await.unwrap();
    let _ = pin!(ledger.settle(reservation, cost(1))).as_mut().now_or_never();
    assert_eq!(amounts_when_settled(ledger, &budgets).await, [(spent + 1, 0); 9]);
    // A settlement that had not started counts as a dropped reservation.
    let reservation = ledger.reserve(reserve_request(100, &budgets)).await.unwrap();
    drop(ledger.settle(reservation, cost(1)));
    assert_eq!(amounts_when_settled(ledger, &budgets).await, [(spent + 101, 0); 9]);
    let tally = ledger.usage(ALWAYS).await.unwrap()[0].tally;
    assert_eq!((tally.calls - before.calls, tally.unknown - before.unknown), (2, 1));
}

async fn a_released_reservation_is_not_counted_as_a_call(ledger: &dyn Ledger) {
    let budgets = all_windows(100);
    for most in [60, 0] {
        ledger.reserve(reserve_request(most, &budgets)).await.unwrap().release();
    }
    assert_eq!(amounts_when_settled(ledger, &budgets).await, [(0, 0); 9]);
    assert_eq!(ledger.usage(ALWAYS).await, Ok(vec![]));
}

async fn concurrent_calls_never_exceed_a_budget(ledger: &dyn Ledger) {
    let budgets = all_windows(100);
    let granted = join_all((0..200).map(|_| ledger.reserve(reserve_request(7, &budgets)))).await;
    assert_eq!(granted.iter().filter(|one| one.is_ok()).count(), 14);
    assert_eq!(amounts(ledger, &budgets).await, [(0, 98); 9]);
    join_all(granted.into_iter().flatten().map(|one| ledger.settle(one, cost(7)))).await;
    assert_eq!(amounts(ledger, &budgets).await, [(98, 0); 9]);
}

async fn usage_is_reported_by_day_provider_and_client(ledger: &dyn Ledger) {
    let none: Budgets = [].into();
    for (provider, client) in [("b", Some("you")), ("a", Some("me")), ("a", None), ("a", Some("me"))] {
        let request = ReserveRequest {
            provider: provider.into(),
            client: client.map(Into::into),
            ..reserve_request(50, &none)
        };
        let reservation = ledger.reserve(request).await.unwrap();
        let settlement = Settlement { took: Duration::from_millis(1500), ..cost(5) };
        ledger.settle(reservation, settlement).await;
    }
    let day = date!(2026 - 02 - 28);
    let rows = ledger.usage(day..=day).await.unwrap();
    let one = Tally {
        calls: 1,
        credits: micro(5),
        pixels: 12_000_000,
        sent_pixels: 500_000,
        took_ms: 1500,
        ..Tally::default()
    };
    let mut two = one;
    two.add(&one);
    let row = |provider: &str, client: Option<&str>, tally| UsageRow {
        day,
        provider: provider.into(),
        client: client.map(Into::into),
        tally,
    };
    assert_eq!(rows, [row("a", None, one), row("a", Some("me"), two), row("b", Some("you"), one)]);
    assert_eq!(ledger.usage(date!(2026 - 03 - 01)..=Date::MAX).await, Ok(vec![]));
    assert_eq!(ledger.usage(Date::MIN..=date!(2026 - 02 - 27)).await, Ok(vec![]));
}

async fn experience_is_reported_by_provider_and_size(ledger: &dyn Ledger) {
    let none: Budgets = [].into();
    for (pixels, settlement) in [
        (400_000, cost(10)),
        (400_000, cost(30)),
        (400_000, cost(20)),
        (12_000_000, Settlement { took: Duration::from_secs(6), ..cost(60) }),
        (12_000_000, Settlement { colored: false, ..cost(60) }),
    ] {
        let request = ReserveRequest { pixels, ..reserve_request(1000, &none) };
        let reservation = ledger.reserve(request).await.unwrap();
        ledger.settle(reservation, settlement).await;
    }
    let experience = ledger.experience().await.unwrap();
    assert_eq!(experience.len(), 2);
    let small = &experience[&("paid".to_owned(), SizeClass::Half)];
    assert_eq!(small.credits_per_megapixel(), Some(micro(50)));
    let range = small.credits().unwrap();
    assert_eq!((range.low, range.typical, range.high), (micro(10), micro(20), micro(30)));
    let large = &experience[&("paid".to_owned(), SizeClass::More)];
    assert_eq!(large.credits_per_megapixel(), Some(micro(10)));
    assert_eq!(large.time_per_megapixel(), Some(Duration::from_millis(500)));
}

async fn a_window_renews_when_it_ends(ledger: &dyn Ledger, clock: &ManualClock) {
    let budgets: Budgets = [
        budget(BudgetScope::All, Window::Day, 100),
        budget(BudgetScope::All, Window::Month, 250),
        budget(BudgetScope::All, Window::Total, 420),
    ]
    .into();
    // 22:00 on the last day of February; then on 1, 2 and 3 March.
    for (wanted, refused, renews) in [
        (100, "all day", Some(datetime!(2026-03-01 0:00 UTC))),
        (100, "all day", Some(datetime!(2026-03-02 0:00 UTC))),
        (100, "all day", Some(datetime!(2026-03-03 0:00 UTC))),
        (50, "all month", Some(datetime!(2026-04-01 0:00 UTC))),
    ] {
        let reservation = ledger.reserve(reserve_request(wanted, &budgets)).await.unwrap();
        ledger.settle(reservation, cost(wanted)).await;
        let Err(ReserveError::Budget(error)) = ledger.reserve(reserve_request(1, &budgets)).await else {
            panic!("{refused}")
        };
        assert_eq!((error.budget.as_str(), error.renews), (refused, renews));
        clock.forward(time::Duration::DAY);
    }
    clock.forward(time::Duration::days(31));
    let Err(ReserveError::Budget(error)) = ledger.reserve(reserve_request(71, &budgets)).await else {
        panic!("350 + 71 > 420")
    };
    assert_eq!((error.budget.as_str(), error.left, error.renews), ("all total", micro(70), None));
    assert_eq!(amounts(ledger, &budgets).await, [(0, 0), (0, 0), (350, 0)]);
}

async fn a_call_counts_on_the_day_it_began(ledger: &dyn Ledger, clock: &ManualClock) {
    let budgets: Budgets =
        [budget(BudgetScope::All, Window::Day, 100), budget(BudgetScope::All, Window::Total, 1000)].into();
    let before = ledger.reserve(reserve_request(100, &budgets)).await.unwrap();
    clock.forward(time::Duration::hours(3));
    let after = ledger.reserve(reserve_request(100, &budgets)).await.unwrap();
    assert_eq!(amounts(ledger, &budgets).await, [(0, 100), (0, 200)]);
    ledger.settle(before, cost(10)).await;
    assert_eq!(amounts(ledger, &budgets).await, [(0, 100), (10, 100)]);
    ledger.settle(after, cost(20)).await;
    assert_eq!(amounts(ledger, &budgets).await, [(20, 0), (30, 0)]);
    let days: Vec<Date> = ledger.usage(ALWAYS).await.unwrap().iter().map(|row| row.day).collect();
    assert_eq!(days, [date!(2026 - 02 - 28), date!(2026 - 03 - 01)]);
}

async fn a_clock_that_is_set_back_does_not_reopen_a_window(ledger: &dyn Ledger, clock: &ManualClock) {
    let budgets: Budgets =
        [budget(BudgetScope::All, Window::Day, 100), budget(BudgetScope::Client, Window::Month, 150)].into();
    let spend = async |most| {
        let reservation = ledger.reserve(reserve_request(most, &budgets)).await?;
        Ok::<_, ReserveError>(ledger.settle(reservation, cost(most)).await)
    };
    let renews = async || {
        let standings = ledger.standing(budgets.clone(), Some("me".into())).await.unwrap();
        standings.iter().map(|standing| standing.renews).collect::<Vec<_>>()
    };
    spend(20).await.unwrap();
    clock.forward(time::Duration::days(40));
    spend(90).await.unwrap();
    let ends = [Some(datetime!(2026-04-10 0:00 UTC)), Some(datetime!(2026-05-01 0:00 UTC))];
    for back in [1, 9, 31] {
        clock.back(time::Duration::days(back));
        assert_eq!(amounts(ledger, &budgets).await, [(90, 0), (90, 0)]);
        assert_eq!(renews().await, ends);
        let Err(ReserveError::Budget(refused)) = spend(11).await else { panic!("{back} days back") };
        assert_eq!((refused.budget.as_str(), refused.left, refused.renews), ("all day", micro(10), ends[0]));
    }
    spend(10).await.unwrap();
    assert_eq!(amounts(ledger, &budgets).await, [(100, 0), (100, 0)]);
    // A new day begins only when the clock has passed the day of the latest reservation.
    clock.forward(time::Duration::days(42));
    assert_eq!(amounts(ledger, &budgets).await, [(0, 0), (100, 0)]);
    spend(50).await.unwrap();
    assert!(matches!(spend(1).await, Err(ReserveError::Budget(_))));
}
