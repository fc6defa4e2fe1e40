//! Leaves a store alone that has failed, so that a dead one does not cost every request its time limit.
//!
//! One failure is enough: nothing is asked for a second. Then one request tries, and the others go on
//! without; each failure of such a try doubles the pause, up to a bound. So out of each pause at most one
//! request waits in vain, beside those that were under way when the store died.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The first pause.
const FIRST: Duration = Duration::from_secs(1);

/// Whether a store may be asked now.
pub struct Pause {
    longest: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Tries that failed since it last worked; 0 while it works.
    failures: u32,
    /// Nothing is asked before this time.
    until: Option<Instant>,
    /// Whether somebody is trying now.
    trying: bool,
    /// How it failed.
    why: String,
}

/// Leave to ask. Dropped without a result, it says nothing about the store.
pub struct Pass<'p> {
    pause: &'p Pause,
    tries: bool,
}

impl Pause {
    /// Pauses of a second and more, of at most so long.
    pub fn new(longest: Duration) -> Self {
        Self { longest, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leave to ask, or how long nobody has it, and why.
    pub fn enter(&self, now: Instant) -> Result<Pass<'_>, (Duration, String)> {
        let mut state = self.state();
        let tries = state.failures > 0;
        if tries {
            let left = state.until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
            if state.trying || !left.is_zero() {
                return Err((left, state.why.clone()));
            }
            state.trying = true;
        }
        Ok(Pass { pause: self, tries })
    }
}

impl Pass<'_> {
    /// It was asked: `failure` is how it failed, if it did. Says whether that changed anything.
    pub fn ended(mut self, failure: Option<String>, now: Instant) -> bool {
        let tried = std::mem::take(&mut self.tries);
        let mut state = self.pause.state();
        if tried {
            state.trying = false;
        } else if state.failures > 0 {
            // Asked before it was known to fail.
            return false;
        }
        let Some(why) = failure else {
            state.failures = 0;
            return tried;
        };
        let pause = FIRST.saturating_mul(1 << state.failures.min(16)).min(self.pause.longest);
        state.failures = state.failures.saturating_add(1);
        state.until = now.checked_add(pause);
        state.why = why;
        !tried
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.tries {
            // The next one may try at once.
            self.pause.state().trying = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_secs(5);

    fn failure() -> Option<String> {
        Some("it is dead".to_owned())
    }

    fn left(pause: &Pause, now: Instant) -> Option<Duration> {
        pause.enter(now).err().map(|(left, why)| {
            assert_eq!(why, "it is dead");
            left
        })
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_end_when_it_works() {
        let pause = Pause::new(LONGEST);
        let mut now = Instant::now();
        assert!(pause.enter(now).ok().unwrap().ended(failure(), now));
        for seconds in [1, 2, 4, 5, 5] {
            assert_eq!(left(&pause, now), Some(Duration::from_secs(seconds)));
            now += Duration::from_secs(seconds);
            assert!(!pause.enter(now).ok().unwrap().ended(failure(), now));
        }
        now += LONGEST;
        assert!(pause.enter(now).ok().unwrap().ended(None, now), "it works again");
        assert!(!pause.enter(now).ok().unwrap().ended(None, now));
        assert!(pause.enter(now).ok().unwrap().ended(failure(), now));
        assert_eq!(left(&pause, now), Some(FIRST));
    }

    #[test]
    fn many_that_fail_together_are_one_failure_and_one_tries() {
        let pause = Pause::new(LONGEST);
        let now = Instant::now();
        let passes: Vec<_> = (0..10).map(|_| pause.enter(now).ok().unwrap()).collect();
        let told = passes.into_iter().map(|pass| pass.ended(failure(), now));
        assert_eq!(told.filter(|told| *told).count(), 1);
        assert_eq!(left(&pause, now), Some(FIRST));
        let later = now + FIRST;
        let pass = pause.enter(later).ok().unwrap();
        assert!(pause.enter(later).is_err(), "a second must not try too");
        drop(pass);
        assert!(pause.enter(later).is_ok(), "a try that says nothing leaves the next one to try");
    }

    #[test]
    fn a_late_answer_from_before_does_not_end_a_pause() {
        let pause = Pause::new(LONGEST);
        let now = Instant::now();
        let slow = pause.enter(now).ok().unwrap();
        pause.enter(now).ok().unwrap().ended(failure(), now);
        slow.ended(None, now);
        assert_eq!(left(&pause, now), Some(FIRST));
    }
}
