//! The number of instructions that a merge executes, counted by callgrind. Unlike its time, it does not depend on how
//! busy the machine is.
//!
//! The crate `pixcolor-fast-photo` has the optimisations of a release. Valgrind offers no AVX-512, so on x86-64 the
//! AVX2 version of the loops runs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "the benchmarks use the rest")]
#[path = "../../benches/photograph/mod.rs"]
mod photograph;

use std::hint::black_box;
use std::path::Path;
use std::process::Command;

use photograph::{SIZES, photograph};
use pixcolor_fast_photo::photo::{Chroma, Photo, Rgb, merged};

/// Instructions of one merge at 1 megapixel on x86-64 with AVX2, without encoding, in a release; an incremental build
/// has 1.5 % less. To update this figure, run the test with `CARGO_INCREMENTAL=0` and store the number that it prints, and
/// the version of rustc.
const STORED: u64 = 123_800_000;

/// The compiler of the stored figure. Another version may need another figure.
const RUSTC: &str = "rustc 1.95.0";

/// How much a merge may differ from the stored figure, in percent.
const TOLERANCE: u64 = 5;

/// Callgrind counts only what this function calls.
#[inline(never)]
fn counted_merge(photo: &Photo, chroma: &Chroma) -> Rgb {
    black_box(merged(black_box(photo), black_box(chroma)).unwrap())
}

#[test]
#[ignore = "run by another test, under callgrind"]
fn one_merge() {
    let (name, width, height) = SIZES[0];
    assert_eq!(name, "1MP");
    let picture = |width, height| Rgb { width, height, pixels: photograph(width, height).into_raw() };
    let photo = Photo::from_gray(picture(width, height).gray());
    // As in the benchmark `photo`.
    let chroma = picture(816, 612).chroma().unwrap();
    // Tables that are computed once do not count.
    merged(&photo, &chroma).unwrap();
    counted_merge(&photo, &chroma);
}

/// Runs [`one_merge`] under callgrind and returns the number of instructions of [`counted_merge`].
fn counted() -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--toggle-collect=*counted_merge*"])
        .arg(format!("--callgrind-out-file={}", folder.path().join("callgrind").display()))
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "one_merge", "--ignored", "--test-threads=1"])
        // glibc clears memory with one repeated instruction if the processor is good at it. Callgrind counts each
        // repetition, so the figure would depend on the processor.
        .env("GLIBC_TUNABLES", "glibc.cpu.hwcaps=-ERMS,-FSRM")
        .output()
        .expect("valgrind is installed (tests/run installs it)");
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}{}", String::from_utf8_lossy(&output.stdout));
    let collected = log.lines().find_map(|line| line.split_once("Collected :"));
    collected.unwrap_or_else(|| panic!("no count: {log}")).1.trim().parse().unwrap()
}

fn rustc() -> String {
    let program = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(Path::new(&program)).arg("--version").output();
    output.map_or_else(
        |error| error.to_string(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

#[cfg(target_arch = "x86_64")]
fn has_avx2() -> bool {
    std::is_x86_feature_detected!("avx2")
}

#[cfg(not(target_arch = "x86_64"))]
fn has_avx2() -> bool {
    false
}

#[test]
fn a_merge_of_one_megapixel_executes_as_many_instructions_as_its_stored_figure() {
    if !has_avx2() {
        eprintln!("skipped: the stored figure is of a processor with AVX2, which this one lacks");
        return;
    }
    let counted = counted();
    println!("a merge of 1 megapixel: {counted} instructions, stored: {STORED}");
    assert!(counted > 0, "callgrind did not find the function `counted_merge`");
    let off = counted.abs_diff(STORED) as f64 * 100.0 / STORED as f64;
    assert!(
        counted.abs_diff(STORED) * 100 <= STORED * TOLERANCE,
        "A merge of 1 megapixel executes {counted} instructions, {off:.1} % off the stored {STORED} of {RUSTC} (this \
         is {}). If the merge has changed on purpose, or only the compiler has changed, set STORED to {counted} and \
         RUSTC to the version in tests/instructions/main.rs.",
        rustc()
    );
}
