//! Many concurrent requests in random order and with every outcome: no budget is exceeded and no reservation is left
//! behind.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use futures::FutureExt;
use pixcolor::credit::{Budget, BudgetScope, Budgets, Ledger, Settlement, Window};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::task::{JoinSet, yield_now};

use super::common::{
    ManualClock, ReserveRequest, amounts_when_settled, budget, cost, folder, micro, open, reserve_request,
};

const SCHEDULES: u32 = 10_000;

/// One request: what it reserves, and how it ends.
#[derive(Clone, Debug)]
struct Request {
    provider: &'static str,
    client: Option<&'static str>,
    most: i64,
    /// How often it yields to other tasks: before it reserves, and during the call.
    waits: (u8, u8),
    end: End,
}

#[derive(Clone, Debug)]
enum End {
    /// The call costs this percentage of the reserved amount.
    Costs(i64),
    /// The cost is unknown.
    Unknown,
    /// The reservation is dropped during the call.
    Dropped,
    /// The caller is cancelled while it waits for the reservation.
    LeavesEarly,
    /// The caller is cancelled while it waits for the settlement.
    LeavesLate(i64),
}

fn request() -> impl Strategy<Value = Request> {
    let end = prop_oneof![
        4 => (0..=100_i64).prop_map(End::Costs),
        1 => Just(End::Unknown),
        1 => Just(End::Dropped),
        1 => Just(End::LeavesEarly),
        1 => (0..=100_i64).prop_map(End::LeavesLate),
    ];
    let provider = prop::sample::select(vec!["a", "b"]);
    let client = prop::sample::select(vec![Some("me"), Some("you"), None]);
    (provider, client, 1..1000_i64, (0..4_u8, 0..4_u8), end)
        .prop_map(|(provider, client, most, waits, end)| Request { provider, client, most, waits, end })
}

fn budgets() -> impl Strategy<Value = Vec<Budget>> {
    let scope = prop::sample::select(vec![
        BudgetScope::All,
        BudgetScope::Provider("a".into()),
        BudgetScope::Provider("b".into()),
        BudgetScope::Client,
    ]);
    let window = prop::sample::select(Window::ALL.to_vec());
    vec((scope, window, 0..40_000_i64).prop_map(|(scope, window, limit)| budget(scope, window, limit)), 1..4)
}

/// The test's own count of spent and reserved amounts, by budget and client. It counts a reservation after the ledger
/// does, and the end of a reservation before the ledger does, so it never counts more than the ledger.
struct Watch {
    budgets: Budgets,
    held: Vec<[AtomicI64; 3]>,
}

impl Watch {
    fn new(budgets: Budgets) -> Self {
        let held = budgets.iter().map(|_| Default::default()).collect();
        Self { budgets, held }
    }

    /// Adds an amount to every budget that applies. Returns each budget's new amount and its limit.
    fn count(&self, request: &Request, amount: i64) -> Vec<(i64, i64)> {
        let place = |budget: &Budget| match &budget.scope {
            BudgetScope::All => Some(0),
            BudgetScope::Provider(name) => (name == request.provider).then_some(0),
            BudgetScope::Client => request.client.map(|client| if client == "me" { 1 } else { 2 }),
        };
        let each = self.budgets.iter().zip(&self.held).filter_map(|(budget, held)| {
            let before = held[place(budget)?].fetch_add(amount, Ordering::SeqCst);
            Some((before + amount, budget.limit.micro()))
        });
        each.collect()
    }
}

async fn go(request: Request, ledger: Arc<dyn Ledger>, watch: Arc<Watch>) {
    for _ in 0..request.waits.0 {
        yield_now().await;
    }
    let reserve = ReserveRequest {
        provider: request.provider.into(),
        client: request.client.map(Into::into),
        ..reserve_request(request.most, &watch.budgets)
    };
    if matches!(request.end, End::LeavesEarly) {
        // A reservation that was granted at once is dropped and charged in full.
        if let Some(Ok(_)) = pin!(ledger.reserve(reserve)).as_mut().now_or_never() {
            watch.count(&request, request.most);
        }
        return;
    }
    let Ok(reservation) = ledger.reserve(reserve).await else { return };
    for (held, limit) in watch.count(&request, request.most) {
        assert!(held <= limit, "{held} of {limit} are spent or set aside");
    }
    for _ in 0..request.waits.1 {
        yield_now().await;
    }
    let actual = |percent: i64| request.most * percent / 100;
    match request.end {
        End::Costs(percent) => {
            watch.count(&request, actual(percent) - request.most);
            let settled = ledger.settle(reservation, cost(actual(percent))).await;
            assert_eq!(settled.charged, micro(actual(percent)));
        }
        End::Unknown => {
            let settled = ledger.settle(reservation, Settlement::UNKNOWN).await;
            assert_eq!(settled.charged, micro(request.most));
        }
        End::Dropped => drop(reservation),
        End::LeavesLate(percent) => {
            watch.count(&request, actual(percent) - request.most);
            let _ = pin!(ledger.settle(reservation, cost(actual(percent)))).as_mut().now_or_never();
        }
        End::LeavesEarly => {}
    }
}

#[test]
fn ten_thousand_schedules_never_exceed_a_budget_and_leave_no_reservation() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let config = Config { cases: SCHEDULES, failure_persistence: None, ..Config::default() };
    let schedules = (budgets(), vec(request(), 64..80));
    let run = |(budgets, requests): (Vec<Budget>, Vec<Request>)| {
        let folder = folder();
        let budgets: Budgets = budgets.into();
        let ledger: Arc<dyn Ledger> = Arc::new(open(folder.path(), ManualClock::new()));
        let watch = Arc::new(Watch::new(budgets.clone()));
        runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for request in requests {
                tasks.spawn(go(request, ledger.clone(), watch.clone()));
            }
            while let Some(done) = tasks.join_next().await {
                done.map_err(|error| TestCaseError::fail(error.to_string()))?;
            }
            let spent = amounts_when_settled(&*ledger, &budgets).await;
            for ((spent, _), (budget, held)) in spent.iter().zip(budgets.iter().zip(&watch.held)) {
                let mine = usize::from(budget.scope == BudgetScope::Client);
                prop_assert_eq!(*spent, held[mine].load(Ordering::SeqCst));
                prop_assert!(*spent <= budget.limit.micro());
            }
            // A reopened ledger has the same amounts.
            drop(ledger);
            prop_assert_eq!(
                amounts_when_settled(&open(folder.path(), ManualClock::new()), &budgets).await,
                spent
            );
            Ok(())
        })
    };
    TestRunner::new(config).run(&schedules, run).unwrap();
}
