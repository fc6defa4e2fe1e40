//! Circuit breaker: a provider that fails again and again is left alone for a while, so that requests go
//! to the next one at once instead of waiting for each failure, and the host can recover.
//!
//! It opens when so many of the last twice as many calls failed. After a pause one call tries the
//! provider (half-open): if it works everything is as before, if not the pause begins anew. What counts
//! is trouble of the provider itself: a picture that it refuses, or our own queue, is not.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::memory::lock;
use super::{About, Answer, Billed, Call, FailureKind, Provider, ProviderError, Readiness};
use crate::config::BreakerConfig;
use crate::observe::Metrics;

/// A provider behind its circuit.
pub struct Breaker {
    inner: Arc<dyn Provider>,
    config: BreakerConfig,
    circuit: Arc<Circuit>,
}

impl Breaker {
    /// Puts a provider behind its circuit.
    pub fn new(inner: Arc<dyn Provider>, config: BreakerConfig, circuit: Arc<Circuit>) -> Self {
        // One that waits for its key is nothing to show yet.
        lock(&circuit.shown).worth_it = inner.readiness() == Readiness::Ready;
        Self { inner, config, circuit }
    }

    fn words(&self, left: Duration) -> String {
        let (failures, calls) = (self.config.failures, self.config.window());
        let seconds = left.as_secs_f64().ceil();
        format!("left alone for {seconds} s, because {failures} of its last {calls} calls failed")
    }
}

#[async_trait]
impl Provider for Breaker {
    fn about(&self) -> &About {
        self.inner.about()
    }

    fn readiness(&self) -> Readiness {
        match self.circuit.left(Instant::now()) {
            Some(left) => Readiness::NotReady { why: self.words(left), retry_after: Some(left) },
            None => self.inner.readiness(),
        }
    }

    async fn colorize(&self, call: Call) -> Result<Answer, ProviderError> {
        let pass = self.circuit.enter(Instant::now(), &self.config).map_err(|left| {
            ProviderError::new(FailureKind::NotReady, self.words(left)).retry_after(Some(left))
        })?;
        let result = self.inner.colorize(call).await;
        match result.as_ref().map_or_else(verdict, |_| Some(true)) {
            Some(worked) => pass.ended(worked, Instant::now(), &self.config),
            None => drop(pass),
        }
        result
    }
}

/// What a failure says about the provider: that it works, that it does not, or nothing.
fn verdict(error: &ProviderError) -> Option<bool> {
    match error.kind {
        FailureKind::Busy | FailureKind::Rejected => Some(true),
        FailureKind::NotReady | FailureKind::Budget | FailureKind::Ledger | FailureKind::Abandoned => None,
        // A call that was never sent for want of time.
        FailureKind::Timeout if error.billed == Billed::No => None,
        FailureKind::Unreachable
        | FailureKind::Unavailable
        | FailureKind::Timeout
        | FailureKind::Denied
        | FailureKind::Failed
        | FailureKind::BadAnswer => Some(false),
    }
}

/// How the calls of one provider went, and what follows from it.
pub struct Circuit {
    name: String,
    metrics: Metrics,
    state: Mutex<State>,
    /// Taken while the other is held, never the other way round.
    shown: Mutex<Shown>,
}

#[derive(Default)]
struct Shown {
    /// Whether there is something to show.
    worth_it: bool,
    /// Whether it is the provider's circuit now: calls through an earlier one may still be under way.
    in_force: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Calls pass. One bit for each of the last calls, the newest lowest: set if it failed.
    Closed(u64),
    /// No call passes before this time.
    Open(Instant),
    /// One call is trying.
    HalfOpen,
}

impl State {
    /// The value of the gauge.
    const fn level(self) -> i64 {
        match self {
            Self::Closed(_) => 0,
            Self::HalfOpen => 1,
            Self::Open(_) => 2,
        }
    }
}

/// A call that was let through. Dropped without a result, it says nothing about the provider.
struct Pass<'c> {
    circuit: &'c Circuit,
    tries: bool,
}

impl Circuit {
    /// A circuit through which nothing has passed yet.
    pub fn new(name: &str, metrics: Metrics) -> Self {
        Self { name: name.to_owned(), metrics, state: Mutex::new(State::Closed(0)), shown: Mutex::default() }
    }

    /// Tells the gauge from now on, or never more.
    pub fn show(&self, in_force: bool) {
        let mut state = lock(&self.state);
        lock(&self.shown).in_force = in_force;
        self.set(&mut state, None);
    }

    /// How long no call will pass; none when one would.
    fn left(&self, now: Instant) -> Option<Duration> {
        match *lock(&self.state) {
            State::Closed(_) => None,
            State::Open(until) => Some(until.saturating_duration_since(now)).filter(|left| !left.is_zero()),
            // Soon it is known; meanwhile others can be asked.
            State::HalfOpen => Some(Duration::from_secs(1)),
        }
    }

    fn enter(&self, now: Instant, config: &BreakerConfig) -> Result<Pass<'_>, Duration> {
        let mut state = lock(&self.state);
        if let State::Closed(outcomes) = *state {
            // The guard may have counted a failure after the call had ended.
            self.judge(&mut state, outcomes, now, config);
        }
        match *state {
            State::Closed(_) => Ok(Pass { circuit: self, tries: false }),
            State::Open(until) if until <= now => {
                self.set(&mut state, Some(State::HalfOpen));
                Ok(Pass { circuit: self, tries: true })
            }
            State::Open(until) => Err(until - now),
            State::HalfOpen => Err(Duration::from_secs(1)),
        }
    }

    /// The guard refused what the last call answered.
    pub fn refused(&self) {
        if let State::Closed(outcomes) = &mut *lock(&self.state) {
            *outcomes = *outcomes << 1 | 1;
        }
    }

    /// Opens if too many of the outcomes are failures.
    fn judge(&self, state: &mut State, outcomes: u64, now: Instant, config: &BreakerConfig) {
        let window = u64::MAX >> (u64::BITS - config.window());
        if (outcomes & window).count_ones() >= config.failures {
            tracing::warn!(
                provider = %self.name,
                "provider {} is left alone for {} s: {} of its last {} calls failed",
                self.name,
                config.pause.as_secs_f64(),
                config.failures,
                config.window(),
            );
            self.set(state, Some(State::Open(now + config.pause)));
        } else {
            *state = State::Closed(outcomes);
        }
    }

    fn set(&self, state: &mut State, to: Option<State>) {
        *state = to.unwrap_or(*state);
        let shown = lock(&self.shown);
        if shown.worth_it && shown.in_force {
            self.metrics.breaker_state(&self.name, state.level());
        }
    }
}

impl Pass<'_> {
    fn ended(mut self, worked: bool, now: Instant, config: &BreakerConfig) {
        let circuit = self.circuit;
        let mut state = lock(&circuit.state);
        match (*state, worked) {
            (State::HalfOpen, true) if self.tries => {
                tracing::info!(provider = %circuit.name, "provider {} works again", circuit.name);
                circuit.set(&mut state, Some(State::Closed(0)));
            }
            (State::HalfOpen, false) if self.tries => {
                circuit.set(&mut state, Some(State::Open(now + config.pause)));
            }
            (State::Closed(outcomes), worked) => {
                circuit.judge(&mut state, outcomes << 1 | u64::from(!worked), now, config);
            }
            // A call from before it opened.
            (State::Open(_) | State::HalfOpen, _) => {}
        }
        self.tries = false;
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.tries {
            let mut state = lock(&self.circuit.state);
            // The next call may try at once.
            self.circuit.set(&mut state, Some(State::Open(Instant::now())));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: BreakerConfig = BreakerConfig { failures: 3, pause: Duration::from_secs(30) };

    fn circuit() -> Circuit {
        Circuit::new("it", Metrics::new(prometheus::Registry::new()).unwrap())
    }

    fn calls(circuit: &Circuit, now: Instant, outcomes: &[bool]) {
        for &worked in outcomes {
            circuit.enter(now, &CONFIG).ok().unwrap().ended(worked, now, &CONFIG);
        }
    }

    #[test]
    fn it_opens_when_half_of_the_last_calls_failed_and_not_before() {
        let now = Instant::now();
        for (outcomes, open) in [
            (&[false, false][..], false),
            (&[false, false, false], true),
            (&[true, true, true, false, false, true, false], true),
            (&[false, true, false, true, true, true, true, false], false),
        ] {
            let circuit = circuit();
            calls(&circuit, now, outcomes);
            assert_eq!(circuit.left(now).is_some(), open, "{outcomes:?}");
            assert_eq!(circuit.enter(now, &CONFIG).is_err(), open, "{outcomes:?}");
        }
    }

    #[test]
    fn after_the_pause_one_call_tries_and_decides() {
        let now = Instant::now();
        let later = now + CONFIG.pause;
        for works in [true, false] {
            let circuit = circuit();
            calls(&circuit, now, &[false; 3]);
            assert_eq!(circuit.enter(now, &CONFIG).err(), Some(CONFIG.pause));
            let pass = circuit.enter(later, &CONFIG).ok().unwrap();
            assert!(circuit.enter(later, &CONFIG).is_err(), "a second call must not try too");
            pass.ended(works, later, &CONFIG);
            assert_eq!(circuit.enter(later, &CONFIG).is_ok(), works);
        }
    }

    #[test]
    fn a_try_that_says_nothing_leaves_the_next_one_to_try() {
        let now = Instant::now();
        let circuit = circuit();
        calls(&circuit, now, &[false; 3]);
        let later = Instant::now() + CONFIG.pause;
        drop(circuit.enter(later, &CONFIG).ok().unwrap());
        assert!(circuit.enter(later, &CONFIG).is_ok());
    }

    #[test]
    fn answers_that_the_guard_refuses_open_it_though_every_call_worked() {
        let now = Instant::now();
        let circuit = circuit();
        for _ in 0..3 {
            calls(&circuit, now, &[true]);
            circuit.refused();
        }
        assert!(circuit.enter(now, &CONFIG).is_err());
    }

    #[test]
    fn one_that_is_not_in_force_any_more_is_not_shown_whatever_calls_still_end() {
        let now = Instant::now();
        let circuit = circuit();
        let shown =
            || circuit.metrics.text(&crate::observe::Account::default()).unwrap().contains("breaker_state{");
        lock(&circuit.shown).worth_it = true;
        calls(&circuit, now, &[false; 3]);
        assert!(!shown());
        circuit.show(true);
        assert!(shown());
        circuit.show(false);
        circuit.metrics.forget_provider("it");
        let later = now + CONFIG.pause;
        circuit.enter(later, &CONFIG).ok().unwrap().ended(true, later, &CONFIG);
        assert!(!shown());
    }

    #[test]
    fn a_late_result_from_before_does_not_close_it() {
        let now = Instant::now();
        let circuit = circuit();
        let slow = circuit.enter(now, &CONFIG).ok().unwrap();
        calls(&circuit, now, &[false; 3]);
        slow.ended(true, now, &CONFIG);
        assert!(circuit.enter(now, &CONFIG).is_err());
    }
}
