//! A ledger file that is cut, damaged, written by a newer version, locked or long, or whose folder cannot be created.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pixcolor::credit::ledger::{FileLedger, FileOptions};
use pixcolor::credit::{BudgetScope, Budgets, Clock, Ledger, ReserveError, Settlement, Window};
use proptest::prelude::*;
use tokio::runtime::Runtime;

use super::common::{
    ManualClock, ReserveRequest, amounts, budget, cost, folder, micro, open, reserve_request,
};

fn total() -> Budgets {
    [budget(BudgetScope::All, Window::Total, i64::MAX)].into()
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}

/// Makes calls that cost 1, 2, 3, ... micro-credits. Returns how much each record adds to the spent amount, in file
/// order.
async fn calls(folder: &Path, count: i64) -> Vec<i64> {
    let ledger = open(folder, ManualClock::new());
    let mut steps = Vec::new();
    for number in 1..=count {
        let reservation = ledger.reserve(reserve_request(100, &total())).await.unwrap();
        ledger.settle(reservation, cost(number)).await;
        // A reservation without a settlement counts in full.
        steps.extend([100, number - 100]);
    }
    steps
}

fn ledger_file(folder: &Path) -> PathBuf {
    folder.join("ledger")
}

/// The spent amount after the ledger is reopened.
fn spent(folder: &Path) -> i64 {
    let ledger = open(folder, ManualClock::new());
    assert_eq!(ledger.health(), Ok(()));
    runtime().block_on(amounts(&ledger, &total()))[0].0
}

fn reason(ledger: &FileLedger) -> String {
    ledger.health().unwrap_err().reason.replace(env!("CARGO_PKG_VERSION"), "VERSION")
}

#[test]
fn a_reopened_ledger_has_the_same_amounts() {
    let folder = folder();
    runtime().block_on(calls(folder.path(), 10));
    assert_eq!(spent(folder.path()), 55);
    let ledger = open(folder.path(), ManualClock::new());
    assert_eq!(ledger.recovered().records, 20);
    assert_eq!((ledger.recovered().kept_aside, ledger.recovered().unsettled), (None, 0));
    let first = fs::read_to_string(ledger_file(folder.path())).unwrap().lines().next().unwrap().to_owned();
    assert_eq!(first, "pixcolor-ledger 1");
}

#[test]
fn a_reservation_without_a_settlement_counts_as_spent_once() {
    let folder = folder();
    runtime().block_on(async {
        let ledger = open(folder.path(), ManualClock::new());
        let reservation = ledger.reserve(reserve_request(70, &total())).await.unwrap();
        // The program ends before the call does.
        std::mem::forget(reservation);
    });
    for unsettled in [1, 0, 0] {
        let ledger = open(folder.path(), ManualClock::new());
        assert_eq!(ledger.recovered().unsettled, unsettled);
        assert_eq!(runtime().block_on(amounts(&ledger, &total())), [(70, 0)]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// If a version without checkpoints wrote the ledger and its end is missing or unreadable, all complete records
    /// before that still count, and the unreadable rest is saved.
    #[test]
    fn a_broken_tail_is_cut_off_and_saved(cut: prop::sample::Index, garbage in "[ -~]{0,40}") {
        let folder = folder();
        let steps = runtime().block_on(calls(folder.path(), 5));
        let path = ledger_file(folder.path());
        fs::remove_file(folder.path().join("ledger.checkpoint")).unwrap();
        let whole = fs::read(&path).unwrap();
        let header = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        let cut = header + cut.index(whole.len() - header + 1);
        let broken = [&whole[..cut], garbage.as_bytes()].concat();
        fs::write(&path, &broken).unwrap();

        let lines = whole[header..cut].iter().filter(|byte| **byte == b'\n').count();
        prop_assert_eq!(spent(folder.path()), steps[..lines].iter().sum::<i64>());
        let end = whole[..cut].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
        let ledger = fs::read(&path).unwrap();
        prop_assert!(ledger.starts_with(&whole[..end]));
        let aside: Vec<Vec<u8>> = saved_files(folder.path());
        let expected: Vec<Vec<u8>> = Some(broken[end..].to_vec()).filter(|tail| !tail.is_empty()).into_iter().collect();
        prop_assert_eq!(aside, expected);
        // The repaired file needs no second repair.
        spent(folder.path());
        prop_assert!(saved_files(folder.path()).len() <= 1);
    }

    /// A damaged line stops the ledger. When the operator accepts the loss, only that line is lost.
    #[test]
    fn a_damaged_line_stops_the_ledger_and_accepting_the_loss_saves_the_file(at: prop::sample::Index, bit in 0..7_u8) {
        let folder = folder();
        runtime().block_on(calls(folder.path(), 5));
        let path = ledger_file(folder.path());
        let mut bytes = fs::read(&path).unwrap();
        let lines: Vec<usize> = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at).collect();
        // The header line is not damaged.
        let at = lines[0] + 1 + at.index(lines[lines.len() - 1] - lines[0]);
        // Without its line end, a line would also make the next line unreadable.
        prop_assume!(bytes[at] != b'\n');
        bytes[at] ^= 1 << bit;
        fs::write(&path, &bytes).unwrap();

        for _ in 0..2 {
            let ledger = open(folder.path(), ManualClock::new());
            let reason = reason(&ledger);
            prop_assert!(reason.contains(" has damaged lines: 1, the first is line "), "{reason}");
            prop_assert!(runtime().block_on(ledger.reserve(reserve_request(1, &total()))).is_err());
        }
        prop_assert_eq!(&fs::read(&path).unwrap(), &bytes);
        let said = FileLedger::accept_loss(folder.path(), ManualClock::new().now()).unwrap().to_string();
        prop_assert!(said.contains("Lost: 1 records, "), "{said}");
        // If the reservation was lost, its settlement replaces it. If the settlement was lost, the reservation counts.
        let spent_now = spent(folder.path());
        prop_assert!((15..=15 + 99).contains(&spent_now), "{spent_now}");
        prop_assert_eq!(saved_files(folder.path()), vec![bytes]);
        prop_assert_eq!(spent(folder.path()), spent_now);
        prop_assert_eq!(saved_files(folder.path()).len(), 1);
    }

    #[test]
    fn no_content_of_the_file_causes_a_panic_or_is_overwritten(bytes: Vec<u8>, header: bool) {
        let folder = folder();
        let bytes = if header { [b"pixcolor-ledger 1\n", bytes.as_slice()].concat() } else { bytes };
        fs::write(ledger_file(folder.path()), &bytes).unwrap();
        let ledger = open(folder.path(), ManualClock::new());
        // A last line without a line end may be incomplete.
        let usable = header && bytes.iter().filter(|byte| **byte == b'\n').count() == 1;
        prop_assert_eq!(ledger.health().is_ok(), usable, "{:?}", ledger.health());
        drop(ledger);
        if !usable {
            prop_assert_eq!(&fs::read(ledger_file(folder.path())).unwrap(), &bytes);
            FileLedger::accept_loss(folder.path(), ManualClock::new().now()).unwrap();
            prop_assert_eq!(spent(folder.path()), 0);
            prop_assert_eq!(saved_files(folder.path()), vec![bytes]);
        }
    }
}

fn saved_files(folder: &Path) -> Vec<Vec<u8>> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let aside =
        names.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("ledger.broken-"));
    aside.map(|path| fs::read(path).unwrap()).collect()
}

#[test]
fn a_ledger_of_a_newer_version_is_refused_and_unchanged() {
    let foreign = "pixcolor-ledger 1\n2c3ca063 {\"audit\":{\"id\":1}}\n";
    for (text, what) in [("pixcolor-ledger 2\nwhatever\n", "format 2"), (foreign, "unknown variant `audit`")]
    {
        let folder = folder();
        let path = ledger_file(folder.path());
        fs::write(&path, text).unwrap();
        let ledger = open(folder.path(), ManualClock::new());
        let reason = reason(&ledger);
        let (start, end) = (
            format!("{} exists, but a newer version of PixColor wrote it ({what}", path.display()),
            "), and this one, VERSION, would lose its data. Run that version; or, to begin a new ledger, move the \
             file away and run `pixcolor ledger accept-loss`",
        );
        assert!(reason.starts_with(&start) && reason.ends_with(end), "{reason}");
        runtime().block_on(async {
            assert!(matches!(
                ledger.reserve(reserve_request(1, &total())).await,
                Err(ReserveError::Ledger(_))
            ));
            assert!(ledger.usage(time::Date::MIN..=time::Date::MAX).await.is_err());
            let free = ledger.reserve(reserve_request(0, &total())).await.unwrap();
            ledger.settle(free, cost(0)).await;
        });
        drop(ledger);
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}

#[test]
fn a_file_that_is_not_a_ledger_is_refused_and_unchanged() {
    for text in ["hello\n", "pixcolor-ledger x\n", "pixcolor-ledger 0\n", "pixcolor-ledger 1", "\n"] {
        let folder = folder();
        fs::write(ledger_file(folder.path()), text).unwrap();
        let reason = reason(&open(folder.path(), ManualClock::new()));
        assert!(reason.contains("ledger does not begin with the header of a ledger"), "{reason}");
        assert_eq!(fs::read_to_string(ledger_file(folder.path())).unwrap(), text);
    }
}

#[tokio::test]
async fn a_second_program_can_read_but_not_spend_until_the_first_ends() {
    let folder = folder();
    calls(folder.path(), 3).await;
    let first = open(folder.path(), ManualClock::new());
    let second = open(folder.path(), ManualClock::new());
    let reason = reason(&second);
    assert!(reason.starts_with("another process uses it, such as a running gateway"), "{reason}");
    assert_eq!(amounts(&second, &total()).await, [(6, 0)]);
    assert!(matches!(second.reserve(reserve_request(1, &total())).await, Err(ReserveError::Ledger(_))));
    let more = first.reserve(reserve_request(100, &total())).await.unwrap();
    first.settle(more, cost(4)).await;
    drop(first);
    let reservation = second.reserve(reserve_request(100, &total())).await.unwrap();
    assert_eq!(second.health(), Ok(()));
    second.settle(reservation, cost(5)).await;
    assert_eq!(amounts(&second, &total()).await, [(15, 0)]);
}

#[tokio::test]
async fn paid_calls_are_off_until_the_folder_exists() {
    let folder = folder();
    let state_dir = folder.path().join("state");
    fs::write(&state_dir, "in the way").unwrap();
    let ledger = open(&state_dir, ManualClock::new());
    let reason = reason(&ledger);
    assert!(reason.starts_with(&format!("the folder {} cannot be made: ", state_dir.display())), "{reason}");
    let refused = ledger.reserve(reserve_request(1, &total())).await.unwrap_err();
    let start = "providers that cost something are off, because the ledger cannot be used: the folder ";
    assert!(refused.to_string().starts_with(start), "{refused}");
    let free = ledger.reserve(reserve_request(0, &total())).await.unwrap();
    ledger.settle(free, cost(0)).await;
    assert_eq!(amounts(&ledger, &total()).await, [(0, 0)]);

    fs::remove_file(&state_dir).unwrap();
    let reservation = ledger.reserve(reserve_request(1, &total())).await.unwrap();
    ledger.settle(reservation, cost(1)).await;
    drop(ledger);
    assert_eq!(amounts(&open(&state_dir, ManualClock::new()), &total()).await, [(1, 0)]);
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_read_the_ledger() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    runtime().block_on(calls(folder.path(), 1));
    for entry in fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o077, 0, "{:?}", entry.path());
    }
}

/// A year of calls gives the same amounts in a file that is compacted often as in one that never is.
#[tokio::test]
async fn a_long_file_is_compacted_and_keeps_its_amounts() {
    let (long, short) = (folder(), folder());
    let (long_clock, short_clock) = (ManualClock::new(), ManualClock::new());
    let never = FileOptions { rewrite_above: u64::MAX, ..FileOptions::default() };
    let often = FileOptions { rewrite_above: 4096, ..FileOptions::default() };
    let budgets: Budgets = [BudgetScope::All, BudgetScope::Provider("a".into()), BudgetScope::Client]
        .into_iter()
        .flat_map(|scope| Window::ALL.map(|window| budget(scope.clone(), window, i64::MAX)))
        .collect();
    let open = |folder: &Path, clock: &Arc<ManualClock>, options| {
        FileLedger::open(folder, clock.clone(), options).unwrap()
    };
    let (mut one, mut two) = (open(long.path(), &long_clock, never), open(short.path(), &short_clock, often));
    let mut most_bytes = 0;
    for number in 0..3000_i64 {
        for ledger in [&one, &two] {
            let provider = ["a", "b"][number as usize % 2].to_owned();
            let client = [Some("me"), Some("you"), None][number as usize % 3].map(Into::into);
            let request = ReserveRequest {
                provider,
                client,
                pixels: 1 << (number % 25),
                ..reserve_request(number % 90, &budgets)
            };
            let reservation = ledger.reserve(request).await.unwrap();
            if number % 50 == 0 {
                drop(reservation);
            } else {
                ledger
                    .settle(
                        reservation,
                        if number % 7 == 0 { Settlement::UNKNOWN } else { cost(number % 70) },
                    )
                    .await;
            }
        }
        for clock in [&long_clock, &short_clock] {
            clock.forward(time::Duration::hours(3));
        }
        most_bytes = most_bytes.max(fs::metadata(ledger_file(short.path())).unwrap().len());
        if number % 250 == 249 {
            assert_eq!(amounts(&one, &budgets).await, amounts(&two, &budgets).await);
            assert_eq!(one.experience().await, two.experience().await);
            (one, two) = {
                drop((one, two));
                (open(long.path(), &long_clock, never), open(short.path(), &short_clock, often))
            };
        }
    }
    let long_bytes = fs::metadata(ledger_file(long.path())).unwrap().len();
    assert!(most_bytes < long_bytes / 2, "{most_bytes} of {long_bytes}");
    let by_provider = |rows: Vec<pixcolor::credit::UsageRow>| {
        let mut sums = std::collections::BTreeMap::new();
        for row in rows {
            sums.entry((row.day, row.provider))
                .or_insert_with(pixcolor::credit::Tally::default)
                .add(&row.tally);
        }
        sums
    };
    let always = time::Date::MIN..=time::Date::MAX;
    let days = by_provider(one.usage(always.clone()).await.unwrap());
    assert_eq!(days, by_provider(two.usage(always).await.unwrap()));
    assert!(days.len() > 700);
    assert!(amounts(&two, &budgets).await[2].0 > micro(90_000).micro());
}
