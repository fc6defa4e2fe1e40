//! Hostile files: each gives a clear error or a correct picture, and costs little time and memory.

mod corpus;

use std::time::Duration;

use cpu_time::ThreadTime;
use pixcolor::photo::{Limits, Photo, PhotoError, Rgb};

use crate::child;
use crate::make::{small_jpeg, small_png, small_webp};
use corpus::{Becomes, corpus};

/// The most memory and processor time that a hostile file may take.
const MEMORY: u64 = 8 << 20;
const TIME: Duration = Duration::from_millis(50);

/// Duration of [`calibration`] on a server's core of 2026 (40 to 41 ms in three runs). A slower core gets a
/// proportionally longer time limit.
const CALIBRATION: Duration = Duration::from_millis(40);

/// Measures a fixed amount of work: 40 million steps, each depending on the previous one.
fn calibration() -> Duration {
    let start = ThreadTime::now();
    let mut value = 1_u64;
    for step in 0..40_000_000_u64 {
        value = std::hint::black_box(value.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(step));
    }
    start.elapsed()
}

/// Decodes the file as an upload.
fn outcome(bytes: &[u8]) -> (Becomes, String) {
    let photo = Photo::decode(bytes, &Limits::default());
    let is_damaged = photo.as_ref().is_ok_and(|photo| photo.damage.is_some());
    match classify(photo.map(|photo| (photo.width(), photo.height()))) {
        (Becomes::Picture(width, height), words) if is_damaged => (Becomes::Damaged(width, height), words),
        other => other,
    }
}

/// Decodes the file as a provider's image.
fn as_provider_image(bytes: &[u8]) -> (Becomes, String) {
    classify(Rgb::decode(bytes, &Limits::default()).map(|rgb| (rgb.width, rgb.height)))
}

fn classify(result: Result<(u32, u32), PhotoError>) -> (Becomes, String) {
    match result {
        Ok((width, height)) => (Becomes::Picture(width, height), String::new()),
        Err(error) => {
            let kind = match error {
                PhotoError::Unsupported(_) => Becomes::Unsupported,
                PhotoError::TooManyPixels(_) => Becomes::TooMany,
                PhotoError::Broken(_) => Becomes::Broken,
                PhotoError::NoSuchPage { .. } => panic!("every file has a first page"),
                PhotoError::Unwritable(_) => panic!("decoding writes nothing"),
                PhotoError::Panicked(..) => panic!("a codec's defect: {error}"),
            };
            (kind, error.to_string())
        }
    }
}

#[test]
fn hostile_files_give_a_clear_error_or_a_correct_picture() {
    let corpus = corpus();
    assert!(corpus.len() >= 100, "{} files", corpus.len());
    let wrong: Vec<String> = corpus
        .iter()
        .flat_map(|(name, bytes, wanted)| {
            let answer = match wanted {
                Becomes::Damaged(..) => Becomes::Broken,
                wanted => *wanted,
            };
            [(outcome(bytes), *wanted), (as_provider_image(bytes), answer)].map(|((got, words), wanted)| {
                (got != wanted).then(|| format!("{name}: {got:?} instead of {wanted:?} {words}"))
            })
        })
        .flatten()
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn hostile_files_cost_little_time_and_memory() {
    let report = child::run("hostile::cost_of_each_file", "");
    assert!(report.contains("measured"), "{report}");
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn cost_of_each_file() {
    if child::argument().is_none() {
        return;
    }
    // Decode good files first, so that tables that are built once do not count.
    for bytes in [small_png(), small_jpeg(), small_webp(false).0] {
        outcome(&bytes);
        as_provider_image(&bytes);
    }
    let calibrated = calibration();
    let time_limit = TIME.mul_f64((calibrated.as_secs_f64() / CALIBRATION.as_secs_f64()).max(1.0));
    println!("measured the core: {calibrated:?}, so that a file may take {time_limit:?}");
    let mut over_limit = Vec::new();
    for (name, bytes, _) in corpus() {
        for decode in [outcome, as_provider_image] {
            let start = ThreadTime::now();
            let (_, memory) = child::peak(|| decode(&bytes));
            let time = start.elapsed();
            println!("measured {name}: {time:?}, {} KB", memory >> 10);
            if time > time_limit || memory > MEMORY {
                over_limit.push(format!("{name}: {time:?}, {} KB", memory >> 10));
            }
        }
    }
    assert!(over_limit.is_empty(), "{}", over_limit.join("\n"));
}
