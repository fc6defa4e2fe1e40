//! A circuit breaker: stops calls to a dependency that keeps failing.
//!
//! The circuit opens when enough of the most recent calls failed. After a pause one call may pass as a probe
//! (half-open) while all others are still refused. A successful probe closes the circuit; a failed probe starts
//! another pause, twice as long, up to a bound. A call that ends without a result, because it was cancelled, counts
//! neither as a success nor as a failure.
//!
//! `provider::breaker` decides which errors count and sets a gauge. `cache::objects` defines the error that callers see
//! while the circuit is open. `shared` adds a second condition: Redis must also accept writes.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// When a circuit opens, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct CircuitPolicy {
    /// The number of failures among the last `window` calls that opens the circuit; at least 1.
    pub failures: u32,
    /// The number of latest calls that count, from 1 to 64.
    pub window: u32,
    pub first_pause: Duration,
    /// The pause doubles after each failed probe, up to this length.
    pub longest_pause: Duration,
}

impl CircuitPolicy {
    /// A single failure opens the circuit.
    pub const fn first_failure(first_pause: Duration, longest_pause: Duration) -> Self {
        Self { failures: 1, window: 1, first_pause, longest_pause }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CircuitPhase {
    /// All calls pass.
    Closed,
    /// A probe is under way; no other call passes.
    HalfOpen,
    /// No call passes until the pause is over; then the next one is the probe.
    Open,
}

/// A circuit breaker; `R` is the reason of a failure.
pub struct Circuit<R> {
    policy: CircuitPolicy,
    on_change: Box<dyn Fn(CircuitPhase, CircuitPhase) + Send + Sync>,
    state: Mutex<State<R>>,
}

struct State<R> {
    phase: CircuitPhase,
    /// One bit for each of the last 64 calls, set if the call failed. The lowest bit is the newest call.
    results: u64,
    /// The end of the current or last pause.
    until: Option<Instant>,
    /// The number of the latest probe. Probes are numbered from 1.
    probe: u64,
    /// The number of failed probes since the circuit opened.
    failed_probes: u32,
    /// The reason of the last failure that counted.
    reason: Option<R>,
}

/// Why a call may not pass.
#[derive(Debug, PartialEq, Eq)]
pub struct CircuitOpen<R> {
    /// The rest of the pause; zero while a probe is under way.
    pub left: Duration,
    pub reason: Option<R>,
}

/// A call that may pass. If it is dropped without a result, it counts neither as a success nor as a failure.
pub struct CircuitPass<'c, R> {
    circuit: &'c Circuit<R>,
    /// The number of this probe; `None` if the call is not a probe.
    probe: Option<u64>,
}

impl<R: Clone> Circuit<R> {
    /// A closed circuit. `on_change` receives the old and the new phase at each change; it runs under the circuit's
    /// lock, so it must be quick and must not use the circuit.
    pub fn new(
        policy: CircuitPolicy,
        on_change: impl Fn(CircuitPhase, CircuitPhase) + Send + Sync + 'static,
    ) -> Self {
        let state = State {
            phase: CircuitPhase::Closed,
            results: 0,
            until: None,
            probe: 0,
            failed_probes: 0,
            reason: None,
        };
        Self { policy, on_change: Box::new(on_change), state: Mutex::new(state) }
    }

    /// Returns a pass if a call may be made now. After a pause, the first call gets the pass of the probe.
    pub fn enter(&self, now: Instant) -> Result<CircuitPass<'_, R>, CircuitOpen<R>> {
        let mut state = self.lock();
        if state.phase == CircuitPhase::Closed {
            self.open_if_failing(&mut state, now);
        }
        let left = state.left(now);
        match state.phase {
            CircuitPhase::Closed => Ok(CircuitPass { circuit: self, probe: None }),
            CircuitPhase::Open if left.is_zero() => {
                self.change(&mut state, CircuitPhase::HalfOpen);
                state.probe += 1;
                Ok(CircuitPass { circuit: self, probe: Some(state.probe) })
            }
            CircuitPhase::Open | CircuitPhase::HalfOpen => {
                Err(CircuitOpen { left, reason: state.reason.clone() })
            }
        }
    }

    /// For how long calls are refused; `None` if the circuit is closed or its pause is over. Zero while a probe is
    /// under way.
    pub fn refuses_for(&self, now: Instant) -> Option<Duration> {
        let state = self.lock();
        match state.phase {
            CircuitPhase::Closed => None,
            CircuitPhase::Open => Some(state.left(now)).filter(|left| !left.is_zero()),
            CircuitPhase::HalfOpen => Some(Duration::ZERO),
        }
    }

    /// Counts a failure that was detected after its call had ended, if the circuit is closed. If enough calls have
    /// failed, the next call opens the circuit and is refused.
    pub fn record_failure(&self, reason: R) {
        let mut state = self.lock();
        if state.phase == CircuitPhase::Closed {
            state.push(true);
            state.reason = Some(reason);
        }
    }

    /// Closes the circuit in any phase.
    pub fn close(&self) {
        self.change(&mut self.lock(), CircuitPhase::Closed);
    }

    /// Calls `on_change` with the current phase as the old and the new one.
    pub fn notify(&self) {
        let state = self.lock();
        (self.on_change)(state.phase, state.phase);
    }

    fn open_if_failing(&self, state: &mut State<R>, now: Instant) {
        let window = u64::MAX >> (u64::BITS - self.policy.window);
        if (state.results & window).count_ones() >= self.policy.failures {
            state.failed_probes = 0;
            self.open(state, now);
        }
    }

    fn open(&self, state: &mut State<R>, now: Instant) {
        let factor = 1 << state.failed_probes.min(16);
        let pause = self.policy.first_pause.saturating_mul(factor).min(self.policy.longest_pause);
        state.until = now.checked_add(pause);
        self.change(state, CircuitPhase::Open);
    }

    fn change(&self, state: &mut State<R>, phase: CircuitPhase) {
        let before = std::mem::replace(&mut state.phase, phase);
        if phase == CircuitPhase::Closed {
            state.results = 0;
        }
        if before != phase {
            (self.on_change)(before, phase);
        }
    }
}

impl<R> Circuit<R> {
    fn lock(&self) -> MutexGuard<'_, State<R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R> State<R> {
    fn left(&self, now: Instant) -> Duration {
        self.until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    fn push(&mut self, failed: bool) {
        self.results = self.results << 1 | u64::from(failed);
    }
}

impl<R: Clone> CircuitPass<'_, R> {
    /// Records how the call ended. Unless the circuit is closed, only the result of the current probe counts.
    pub fn end(mut self, result: Result<(), R>, now: Instant) {
        let circuit = self.circuit;
        let probe = self.probe.take();
        let mut state = circuit.lock();
        match state.phase {
            CircuitPhase::Closed => {
                state.push(result.is_err());
                state.reason = result.err().or(state.reason.take());
                circuit.open_if_failing(&mut state, now);
            }
            CircuitPhase::HalfOpen if probe == Some(state.probe) => match result {
                Ok(()) => circuit.change(&mut state, CircuitPhase::Closed),
                Err(reason) => {
                    state.reason = Some(reason);
                    state.failed_probes = state.failed_probes.saturating_add(1);
                    circuit.open(&mut state, now);
                }
            },
            CircuitPhase::HalfOpen | CircuitPhase::Open => {}
        }
    }
}

impl<R> Drop for CircuitPass<'_, R> {
    fn drop(&mut self) {
        if self.probe.is_none() {
            return;
        }
        let mut state = self.circuit.lock();
        // If `close` was called since this probe began, another call may be the probe now.
        if state.phase == CircuitPhase::HalfOpen && self.probe == Some(state.probe) {
            // The pause is over, so the next call may probe at once.
            state.phase = CircuitPhase::Open;
            (self.circuit.on_change)(CircuitPhase::HalfOpen, CircuitPhase::Open);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(1);
    const LONGEST: Duration = Duration::from_secs(5);
    const HALF: CircuitPolicy =
        CircuitPolicy { failures: 3, window: 6, first_pause: PAUSE, longest_pause: PAUSE };

    fn first_failure() -> Circuit<&'static str> {
        Circuit::new(CircuitPolicy::first_failure(PAUSE, LONGEST), |_, _| {})
    }

    fn call(circuit: &Circuit<&'static str>, now: Instant, works: bool) {
        let result = if works { Ok(()) } else { Err("it is down") };
        circuit.enter(now).unwrap_or_else(|_| panic!("refused")).end(result, now);
    }

    fn left(circuit: &Circuit<&'static str>, now: Instant) -> Option<Duration> {
        circuit.enter(now).err().map(|open| {
            assert_eq!(open.reason, Some("it is down"));
            open.left
        })
    }

    #[test]
    fn opens_when_half_of_the_last_calls_failed_and_not_before() {
        let now = Instant::now();
        for (calls, open) in [
            (&[false, false][..], false),
            (&[false, false, false], true),
            (&[true, true, true, false, false, true, false], true),
            (&[false, true, false, true, true, true, true, false], false),
        ] {
            let circuit = Circuit::new(HALF, |_, _| {});
            calls.iter().for_each(|works| call(&circuit, now, *works));
            assert_eq!(circuit.refuses_for(now).is_some(), open, "{calls:?}");
            assert_eq!(circuit.enter(now).is_err(), open, "{calls:?}");
        }
    }

    #[test]
    fn one_probe_decides_after_the_pause() {
        let now = Instant::now();
        for works in [true, false] {
            let circuit = Circuit::new(HALF, |_, _| {});
            (0..3).for_each(|_| call(&circuit, now, false));
            assert_eq!(left(&circuit, now), Some(PAUSE));
            let later = now + PAUSE;
            assert_eq!(circuit.refuses_for(later), None);
            let probe = circuit.enter(later).ok().unwrap();
            assert_eq!(left(&circuit, later), Some(Duration::ZERO), "a second probe");
            assert_eq!(circuit.refuses_for(later), Some(Duration::ZERO));
            probe.end(if works { Ok(()) } else { Err("it is down") }, later);
            assert_eq!(circuit.enter(later).is_ok(), works);
        }
    }

    #[test]
    fn an_old_probe_does_not_decide_for_the_current_probe() {
        let circuit = first_failure();
        let now = Instant::now();
        let later = now + LONGEST;
        for dropped in [true, false] {
            call(&circuit, now, false);
            let old = circuit.enter(later).ok().unwrap();
            circuit.close();
            call(&circuit, now, false);
            let current = circuit.enter(later).ok().unwrap();
            if dropped {
                drop(old)
            } else {
                old.end(Err("it is down"), later)
            }
            assert_eq!(left(&circuit, later), Some(Duration::ZERO), "the current probe is under way");
            current.end(Ok(()), later);
            assert_eq!(circuit.refuses_for(later), None);
        }
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_start_over_after_a_success() {
        let circuit = first_failure();
        let mut now = Instant::now();
        call(&circuit, now, false);
        for seconds in [1, 2, 4, 5, 5] {
            assert_eq!(left(&circuit, now), Some(Duration::from_secs(seconds)));
            now += Duration::from_secs(seconds);
            call(&circuit, now, false);
        }
        now += LONGEST;
        call(&circuit, now, true);
        call(&circuit, now, true);
        call(&circuit, now, false);
        assert_eq!(left(&circuit, now), Some(PAUSE));
    }

    #[test]
    fn concurrent_failures_open_the_circuit_once_and_after_a_dropped_probe_the_next_call_probes() {
        let circuit = first_failure();
        let now = Instant::now();
        let passes: Vec<_> = (0..10).map(|_| circuit.enter(now).ok().unwrap()).collect();
        passes.into_iter().for_each(|pass| pass.end(Err("it is down"), now));
        assert_eq!(left(&circuit, now), Some(PAUSE));
        let later = now + PAUSE;
        drop(circuit.enter(later).ok().unwrap());
        assert!(circuit.enter(later).is_ok());
    }

    #[test]
    fn the_success_of_a_call_that_began_before_the_circuit_opened_does_not_close_it_but_close_does() {
        let circuit = first_failure();
        let now = Instant::now();
        let slow = circuit.enter(now).ok().unwrap();
        call(&circuit, now, false);
        slow.end(Ok(()), now);
        assert_eq!(left(&circuit, now), Some(PAUSE));
        circuit.close();
        assert!(circuit.enter(now).is_ok());
    }

    #[test]
    fn failures_recorded_after_successful_calls_open_it() {
        let now = Instant::now();
        let circuit = Circuit::new(HALF, |_, _| {});
        for _ in 0..3 {
            call(&circuit, now, true);
            circuit.record_failure("it is down");
        }
        assert_eq!(left(&circuit, now), Some(PAUSE));
    }

    #[test]
    fn every_change_is_reported() {
        use CircuitPhase::{Closed, HalfOpen, Open};
        let changes = std::sync::Arc::new(Mutex::new(Vec::new()));
        let seen = changes.clone();
        let policy = CircuitPolicy::first_failure(PAUSE, PAUSE);
        let circuit = Circuit::new(policy, move |from, to| seen.lock().unwrap().push((from, to)));
        let now = Instant::now();
        call(&circuit, now, false);
        drop(circuit.enter(now + PAUSE));
        call(&circuit, now + PAUSE, false);
        call(&circuit, now + 2 * PAUSE, true);
        let once = [(Closed, Open), (Open, HalfOpen), (HalfOpen, Open)];
        let rest = [(Open, HalfOpen), (HalfOpen, Open), (Open, HalfOpen), (HalfOpen, Closed)];
        assert_eq!(*changes.lock().unwrap(), [&once[..], &rest[..]].concat());
    }
}
