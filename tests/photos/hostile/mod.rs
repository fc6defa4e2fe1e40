//! Files made to hurt: each gives a clear error or a correct picture, and costs next to nothing.

mod corpus;

use std::time::Duration;

use cpu_time::ThreadTime;
use pixcolor::photo::{Limits, Photo, PhotoError, Rgb};

use crate::child;
use crate::make::{small_jpeg, small_png, small_webp};
use corpus::{Becomes, corpus};

/// Most a hostile file may cost.
const MEMORY: u64 = 8 << 20;
const TIME: Duration = Duration::from_millis(50);

/// What [`calibration`] takes on a server's core of 2026 (40 to 41 ms in three runs); a slower core has as much more time.
const CALIBRATION: Duration = Duration::from_millis(40);

/// The time of a fixed piece of work: 40 million steps that depend on each other.
fn calibration() -> Duration {
    let start = ThreadTime::now();
    let mut value = 1_u64;
    for step in 0..40_000_000_u64 {
        value = std::hint::black_box(value.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(step));
    }
    start.elapsed()
}

/// As an upload.
fn outcome(bytes: &[u8]) -> (Becomes, String) {
    let photo = Photo::decode(bytes, &Limits::default());
    let is_damaged = photo.as_ref().is_ok_and(|photo| photo.damage.is_some());
    match told(photo.map(|photo| (photo.width(), photo.height()))) {
        (Becomes::Picture(width, height), words) if is_damaged => (Becomes::Damaged(width, height), words),
        other => other,
    }
}

/// As a provider's answer.
fn as_answer(bytes: &[u8]) -> (Becomes, String) {
    told(Rgb::decode(bytes, &Limits::default()).map(|rgb| (rgb.width, rgb.height)))
}

fn told(result: Result<(u32, u32), PhotoError>) -> (Becomes, String) {
    match result {
        Ok((width, height)) => (Becomes::Picture(width, height), String::new()),
        Err(error) => {
            let kind = match error {
                PhotoError::Unsupported(_) => Becomes::Unsupported,
                PhotoError::TooManyPixels(_) => Becomes::TooMany,
                PhotoError::Broken(_) => Becomes::Broken,
                PhotoError::Unwritable(_) => panic!("decoding writes nothing"),
                PhotoError::Panicked(..) => panic!("a codec's defect: {error}"),
            };
            (kind, error.to_string())
        }
    }
}

#[test]
fn hostile_files_become_a_clear_error_or_a_correct_picture() {
    let corpus = corpus();
    assert!(corpus.len() >= 100, "{} files", corpus.len());
    let wrong: Vec<String> = corpus
        .iter()
        .flat_map(|(name, bytes, wanted)| {
            let answer = match wanted {
                Becomes::Damaged(..) => Becomes::Broken,
                wanted => *wanted,
            };
            [(outcome(bytes), *wanted), (as_answer(bytes), answer)].map(|((got, words), wanted)| {
                (got != wanted).then(|| format!("{name}: {got:?} instead of {wanted:?} {words}"))
            })
        })
        .flatten()
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn hostile_files_cost_little_time_and_memory() {
    let report = child::run("hostile::measured", "");
    assert!(report.contains("measured"), "{report}");
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn measured() {
    if child::argument().is_none() {
        return;
    }
    // Tables that are made once, and the like, are not the files' cost.
    for bytes in [small_png(), small_jpeg(), small_webp(false).0] {
        outcome(&bytes);
        as_answer(&bytes);
    }
    let calibrated = calibration();
    let time_limit = TIME.mul_f64((calibrated.as_secs_f64() / CALIBRATION.as_secs_f64()).max(1.0));
    println!("measured the core: {calibrated:?}, so that a file may take {time_limit:?}");
    let mut dear = Vec::new();
    for (name, bytes, _) in corpus() {
        for decode in [outcome, as_answer] {
            let start = ThreadTime::now();
            let (_, memory) = child::peak(|| decode(&bytes));
            let time = start.elapsed();
            println!("measured {name}: {time:?}, {} KB", memory >> 10);
            if time > time_limit || memory > MEMORY {
                dear.push(format!("{name}: {time:?}, {} KB", memory >> 10));
            }
        }
    }
    assert!(dear.is_empty(), "{}", dear.join("\n"));
}
