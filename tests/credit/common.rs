//! Shared by the ledger tests.

use std::path::Path;
use std::sync::{Arc, Mutex};

pub use pixcolor::credit::ReserveRequest;
use pixcolor::credit::ledger::{FileLedger, FileOptions};
use pixcolor::credit::{
    Budget, BudgetScope, BudgetStatus, Budgets, Clock, Credits, Ledger, Settlement, Window,
};
use tempfile::TempDir;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

/// A clock that the test sets.
pub struct ManualClock(Mutex<OffsetDateTime>);

impl ManualClock {
    /// Two hours before the end of a month.
    pub fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(datetime!(2026-02-28 22:00 UTC))))
    }

    pub fn forward(&self, time: Duration) {
        *self.0.lock().unwrap() += time;
    }

    pub fn back(&self, time: Duration) {
        *self.0.lock().unwrap() -= time;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> OffsetDateTime {
        *self.0.lock().unwrap()
    }
}

/// An empty folder, on a memory file system if there is one: these tests sync to disk thousands of times.
pub fn folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

pub fn open(folder: &Path, clock: Arc<dyn Clock>) -> FileLedger {
    let options = FileOptions { retry: std::time::Duration::ZERO, ..FileOptions::default() };
    FileLedger::open(folder, clock, options).unwrap()
}

pub const fn micro(micro: i64) -> Credits {
    Credits::from_micro(micro)
}

/// A budget that is named after its scope and window.
pub fn budget(scope: BudgetScope, window: Window, limit: i64) -> Budget {
    Budget { name: format!("{scope} {window}"), scope, window, limit: micro(limit) }
}

/// A call of provider `paid` by client `me`, for a photo of 12 megapixels.
pub fn reserve_request(most: i64, budgets: &Budgets) -> ReserveRequest {
    ReserveRequest {
        provider: "paid".into(),
        client: Some("me".into()),
        most: micro(most),
        pixels: 12_000_000,
        sent_pixels: 500_000,
        budgets: budgets.clone(),
    }
}

/// The outcome of a successful call that cost this much.
pub fn cost(credits: i64) -> Settlement {
    Settlement { credits: Some(micro(credits)), colored: true, ..Settlement::UNKNOWN }
}

/// The spent and reserved amounts of each budget for client `me`, in micro-credits.
pub async fn amounts(ledger: &dyn Ledger, budgets: &Budgets) -> Vec<(i64, i64)> {
    let standings = ledger.standing(budgets.clone(), Some("me".into())).await.unwrap();
    let each = |standing: BudgetStatus| (standing.spent.micro(), standing.reserved.micro());
    standings.into_iter().map(each).collect()
}

/// Like [`amounts`], after all dropped reservations have been returned or charged.
pub async fn amounts_when_settled(ledger: &dyn Ledger, budgets: &Budgets) -> Vec<(i64, i64)> {
    for _ in 0..1000 {
        let standings = amounts(ledger, budgets).await;
        if standings.iter().all(|(_, reserved)| *reserved == 0) {
            return standings;
        }
        tokio::task::yield_now().await;
    }
    panic!("a reservation is neither returned nor charged: {:?}", amounts(ledger, budgets).await);
}
