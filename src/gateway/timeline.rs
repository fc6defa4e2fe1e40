//! The wall-clock time of each step of a request, for the header `Server-Timing` and for JSON responses.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A step of a request, in the usual order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimedStep {
    /// Reading the request.
    Receive,
    /// Looking for a cached result and waiting for rate limits, the same picture's flight and the decoder.
    Queue,
    /// Decoding the upload and computing its pixel key.
    Decode,
    /// Deciding whether the upload is in colour already, and what follows from that.
    Detect,
    /// Making the small grey image for a provider.
    Reduce,
    /// The call of a provider, with reserving and settling its credit.
    Provider,
    /// Decoding and checking what a provider returned.
    Guard,
    /// Reading a result or a colour from the cache.
    Cache,
    /// Merging the colour with the photo.
    Merge,
    /// Encoding the result.
    Encode,
    /// Storing colour and result.
    Store,
    /// Waiting for the result of another request's flight.
    Flight,
}

impl TimedStep {
    pub const fn label(self) -> &'static str {
        match self {
            Self::Receive => "receive",
            Self::Queue => "queue",
            Self::Decode => "decode",
            Self::Detect => "detect",
            Self::Reduce => "reduce",
            Self::Provider => "provider",
            Self::Guard => "guard",
            Self::Cache => "cache",
            Self::Merge => "merge",
            Self::Encode => "encode",
            Self::Store => "store",
            Self::Flight => "flight",
        }
    }

    /// Whether a cached result saves this step.
    pub const fn is_work(self) -> bool {
        !matches!(self, Self::Receive | Self::Queue | Self::Store | Self::Flight)
    }
}

/// The steps of one request. Each lasts from the end of the step before it to its own end, so they do not overlap, and
/// together they take as long as the request.
pub struct Timeline(Mutex<Ended>);

struct Ended {
    last: Instant,
    steps: Vec<(TimedStep, Duration)>,
}

impl Timeline {
    /// A timeline whose first step began at `start`.
    pub const fn since(start: Instant) -> Self {
        Self(Mutex::new(Ended { last: start, steps: Vec::new() }))
    }

    /// Ends a step. The times of a step that occurs several times are added.
    pub fn end(&self, step: TimedStep) {
        self.end_together([(step, Duration::from_secs(1))]);
    }

    /// Ends steps that took turns, and divides their time in proportion to these durations.
    pub fn end_together<const N: usize>(&self, parts: [(TimedStep, Duration); N]) {
        let mut ended = self.lock();
        let (now, whole) = (Instant::now(), parts.iter().map(|(_, part)| part.as_secs_f64()).sum::<f64>());
        let took = now.saturating_duration_since(ended.last);
        ended.last = now;
        for (step, part) in parts {
            let share = if whole > 0.0 { part.as_secs_f64() / whole } else { 1.0 / N as f64 };
            let took = took.mul_f64(share);
            match ended.steps.iter_mut().find(|(known, _)| *known == step) {
                Some((_, sum)) => *sum += took,
                None => ended.steps.push((step, took)),
            }
        }
    }

    /// The steps that have ended, in the order of their first end.
    pub fn steps(&self) -> Vec<(TimedStep, Duration)> {
        self.lock().steps.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Ended> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_add_up_to_the_time_since_the_start() {
        let start = Instant::now();
        let timeline = Timeline::since(start);
        timeline.end(TimedStep::Receive);
        timeline.end(TimedStep::Provider);
        let parts =
            [(TimedStep::Merge, Duration::from_millis(30)), (TimedStep::Encode, Duration::from_millis(10))];
        timeline.end_together(parts);
        let least = start.elapsed();
        timeline.end(TimedStep::Provider);
        let (steps, most) = (timeline.steps(), start.elapsed());
        let names: Vec<_> = steps.iter().map(|(step, _)| step.label()).collect();
        assert_eq!(names, ["receive", "provider", "merge", "encode"]);
        let sum: Duration = steps.iter().map(|(_, took)| *took).sum();
        // Dividing a time rounds it to a nanosecond.
        let rounding = Duration::from_nanos(4);
        assert!(
            (least..=most + rounding).contains(&(sum + rounding)),
            "{sum:?} is not {least:?} to {most:?}"
        );
        // Merging was given three times the time of encoding, each rounded to a nanosecond.
        let [merge, encode] = [2, 3].map(|i: usize| steps[i].1.as_nanos());
        assert!(merge.abs_diff(3 * encode) <= 3, "{merge} and {encode}");
    }

    #[test]
    fn steps_without_known_parts_are_divided_evenly() {
        let timeline = Timeline::since(Instant::now());
        timeline.end_together([(TimedStep::Merge, Duration::ZERO), (TimedStep::Encode, Duration::ZERO)]);
        assert_eq!(timeline.steps().len(), 2);
    }
}
