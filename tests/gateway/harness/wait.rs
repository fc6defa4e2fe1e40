//! Tests wait for conditions, not for fixed times.

use std::time::{Duration, Instant};

/// A time-out that is long enough for a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until a condition is true, and returns how long that took. Panics with `what` after `limit`.
#[track_caller]
#[allow(clippy::disallowed_methods, reason = "a test thread may sleep")]
pub fn within(limit: Duration, what: impl Fn() -> String, mut condition: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < limit, "not within {limit:?}: {}", what());
        // Polls often at first, then rarely, so that polling does not slow down the thing under test.
        let pause = start.elapsed() / 10;
        std::thread::sleep(pause.clamp(Duration::from_millis(5), Duration::from_millis(100)));
    }
    start.elapsed()
}

/// The same within [`PATIENCE`].
#[track_caller]
pub fn until(what: &str, condition: impl FnMut() -> bool) -> Duration {
    within(PATIENCE, || what.to_owned(), condition)
}
