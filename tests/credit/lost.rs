//! A ledger that has lost records grants no reservation until the operator accepts the loss.

use std::fs;
use std::path::{Path, PathBuf};

use pixcolor::credit::ledger::FileLedger;
use pixcolor::credit::{BudgetScope, Budgets, Clock, Ledger, LedgerError, ReserveError, Window};
use tempfile::TempDir;

use super::common::{ManualClock, amounts, budget, cost, folder, open, reserve_request};

fn budgets() -> Budgets {
    [budget(BudgetScope::All, Window::Total, 10_000)].into()
}

async fn spend(ledger: &FileLedger, credits: i64) -> Result<(), ReserveError> {
    let reservation = ledger.reserve(reserve_request(100, &budgets())).await?;
    ledger.settle(reservation, cost(credits)).await;
    Ok(())
}

async fn spent(folder: &Path) -> i64 {
    let ledger = open(folder, ManualClock::new());
    assert_eq!(ledger.health(), Ok(()));
    amounts(&ledger, &budgets()).await[0].0
}

/// A ledger with three calls of 1, 2 and 3 micro-credits: six records.
async fn three_calls() -> (TempDir, PathBuf) {
    let folder = folder();
    let ledger = open(folder.path(), ManualClock::new());
    for credits in 1..=3 {
        spend(&ledger, credits).await.unwrap();
    }
    let path = folder.path().join("ledger");
    (folder, path)
}

async fn refused(ledger: &FileLedger) -> String {
    let Err(ReserveError::Ledger(LedgerError { reason })) =
        ledger.reserve(reserve_request(1, &budgets())).await
    else {
        panic!("it was reserved")
    };
    assert!(ledger.health().is_err());
    reason
}

fn accept(folder: &Path) -> String {
    FileLedger::accept_loss(folder, ManualClock::new().now()).unwrap().to_string()
}

/// The byte offset of each line, and the end of the last one.
fn lines(bytes: &[u8]) -> Vec<usize> {
    let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    std::iter::once(0).chain(ends).collect()
}

#[tokio::test]
async fn a_cut_emptied_or_damaged_ledger_is_unchanged_until_the_loss_is_accepted() {
    let (_, path) = three_calls().await;
    let bytes = fs::read(&path).unwrap_or_default();
    assert_eq!(bytes, b"", "the folder was removed when it was dropped");
    let (folder, path) = three_calls().await;
    let bytes = fs::read(&path).unwrap();
    let at = lines(&bytes);
    let changed = |at: usize| {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        changed
    };
    let checkpoint = fs::read(folder.path().join("ledger.checkpoint")).unwrap();
    for (name, damaged, why, left) in [
        ("empty", vec![], " is empty", 0),
        ("only its header", bytes[..at[1]].to_vec(), " was cut: it has ", 0),
        ("whole lines are gone", bytes[..at[5]].to_vec(), " was cut: it has ", 3),
        ("the last line is torn", bytes[..at[7] - 1].to_vec(), " was cut: it has ", 103),
        ("within a line", bytes[..at[4] + 9].to_vec(), " was cut: it has ", 101),
        ("within its header", bytes[..5].to_vec(), " does not begin with the header of a ledger", 0),
        ("its header", changed(3), " does not begin with the header of a ledger", 6),
        ("a line", changed(at[4] + 20), " has damaged lines: 1, the first is line 5", 6 - 2 + 100),
        ("the last line", changed(at[6] + 20), " has damaged lines: 1, the first is line 7", 103),
        ("a line is gone", [&bytes[..at[2]], &bytes[at[3]..]].concat(), " was cut: it has ", 105),
        (
            "lines in another order",
            [&bytes[..at[1]], &bytes[at[3]..at[5]], &bytes[at[1]..at[3]], &bytes[at[5]..]].concat(),
            " differs from what was written",
            6,
        ),
        ("zeros", vec![0; bytes.len()], " does not begin with the header of a ledger", 0),
    ] {
        fs::write(&path, &damaged).unwrap();
        fs::write(folder.path().join("ledger.checkpoint"), &checkpoint).unwrap();
        for _ in 0..2 {
            let ledger = open(folder.path(), ManualClock::new());
            let reason = refused(&ledger).await;
            assert!(reason.contains(&format!("{}{why}", path.display())), "{name}: {reason}");
            assert!(reason.contains("pixcolor ledger accept-loss"), "{name}: {reason}");
        }
        assert_eq!(fs::read(&path).unwrap(), damaged, "{name}");
        let said = accept(folder.path());
        let (_, aside) = said.split_once("The file as it was: ").unwrap();
        assert_eq!(fs::read(aside.lines().next().unwrap()).unwrap(), damaged, "{name}");
        assert!(said.contains("\nKept: ") && said.contains("\nLost: "), "{said}");
        assert_eq!(spent(folder.path()).await, left, "{name}: {said}");
        assert!(accept(folder.path()).starts_with("Nothing is wrong with the ledger: "), "{name}");
    }
}

#[tokio::test]
async fn a_missing_ledger_is_not_replaced_by_a_new_one() {
    let (folder, path) = three_calls().await;
    let bytes = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let ledger = open(folder.path(), ManualClock::new());
    let reason = refused(&ledger).await;
    let missing = format!(
        "{} is missing, and ledger.checkpoint knows of 6 records and 0.000006 credits",
        path.display()
    );
    assert!(reason.starts_with(&missing), "{reason}");
    // The same `FileLedger` grants reservations again when the file is put back.
    fs::write(&path, &bytes).unwrap();
    spend(&ledger, 10).await.unwrap();
    assert_eq!(amounts(&ledger, &budgets()).await, [(16, 0)]);
    drop(ledger);

    fs::remove_file(&path).unwrap();
    let ledger = open(folder.path(), ManualClock::new());
    refused(&ledger).await;
    let said = accept(folder.path());
    assert!(
        said.contains("Lost: 8 records, 0.000016 credits") && said.contains("Kept: 0 records, 0 credits"),
        "{said}"
    );
    spend(&ledger, 4).await.unwrap();
    assert_eq!(ledger.health(), Ok(()));
    drop(ledger);
    assert_eq!(spent(folder.path()).await, 4);
}

#[tokio::test]
async fn an_older_copy_is_noticed_and_a_missing_checkpoint_loses_nothing() {
    let (folder, path) = three_calls().await;
    let (copy, checkpoint) = (fs::read(&path).unwrap(), folder.path().join("ledger.checkpoint"));
    let ledger = open(folder.path(), ManualClock::new());
    spend(&ledger, 4).await.unwrap();
    drop(ledger);
    let now = fs::read(&path).unwrap();
    fs::write(&path, copy).unwrap();
    let reason = refused(&open(folder.path(), ManualClock::new())).await;
    assert!(reason.contains(" was cut: it has "), "{reason}");

    fs::write(&path, now).unwrap();
    assert_eq!(spent(folder.path()).await, 10);
    fs::remove_file(&checkpoint).unwrap();
    assert_eq!(spent(folder.path()).await, 10);
    assert!(checkpoint.exists());
    for damaged in ["", "{}\n"] {
        fs::write(&checkpoint, damaged).unwrap();
        let reason = refused(&open(folder.path(), ManualClock::new())).await;
        assert!(reason.contains("ledger.checkpoint is damaged: "), "{reason}");
        let said = accept(folder.path());
        assert!(said.contains(" records, 0.00001 credits charged"), "{said}");
        assert_eq!(spent(folder.path()).await, 10);
    }
}

#[tokio::test]
async fn a_loss_cannot_be_accepted_while_a_program_has_the_ledger_open() {
    let nothing = folder();
    assert_eq!(accept(nothing.path()), "There is no ledger yet, and none was lost. Nothing was changed.");
    let (folder, _) = three_calls().await;
    let ledger = open(folder.path(), ManualClock::new());
    let error = FileLedger::accept_loss(folder.path(), ManualClock::new().now()).unwrap_err();
    assert!(error.reason.starts_with("another process uses it"), "{error}");
    drop(ledger);
    let said = accept(folder.path());
    assert_eq!(said, "Nothing is wrong with the ledger: 6 records, 0.000006 credits. Nothing was changed.");
}

#[tokio::test]
async fn a_file_removed_replaced_or_cut_while_open_is_noticed_before_the_next_reservation() {
    type Change = fn(&Path, &Path);
    let changes: [(&str, Change); 4] = [
        (" was removed while it was in use", |path, away| fs::rename(path, away).unwrap()),
        (" was replaced by another file while it was in use", |path, away| {
            fs::rename(path, away).unwrap();
            fs::copy(away, path).unwrap();
            fs::write(path, "pixcolor-ledger 1\n").unwrap();
        }),
        (" was cut while it was in use", |path, away| {
            fs::copy(path, away).unwrap();
            fs::OpenOptions::new().write(true).open(path).unwrap().set_len(20).unwrap();
        }),
        (" was cut while it was in use", |path, away| {
            fs::copy(path, away).unwrap();
            fs::write(path, "").unwrap();
        }),
    ];
    for (why, change) in changes {
        for restored in [true, false] {
            let (folder, path) = three_calls().await;
            let away = folder.path().join("away");
            let ledger = open(folder.path(), ManualClock::new());
            spend(&ledger, 4).await.unwrap();
            let in_hand = ledger.reserve(reserve_request(100, &budgets())).await.unwrap();
            let late = ledger.reserve(reserve_request(100, &budgets())).await.unwrap();
            change(&path, &away);
            let reason = refused(&ledger).await;
            assert!(
                reason.starts_with(&format!("{}{why}. The complete ledger is in ", path.display())),
                "{reason}"
            );
            // A call in progress is settled in memory.
            ledger.settle(in_hand, cost(30)).await;
            assert_eq!(amounts(&ledger, &budgets()).await, [(40, 100)]);
            refused(&ledger).await;
            if restored {
                fs::rename(&away, &path).unwrap();
            } else {
                let said = accept(folder.path());
                assert!(said.contains("Lost: nothing, the whole account was in "), "{said}");
            }
            spend(&ledger, 5).await.unwrap();
            assert_eq!(ledger.health(), Ok(()));
            assert_eq!(amounts(&ledger, &budgets()).await, [(45, 100)], "{why}");
            ledger.settle(late, cost(55)).await;
            drop(ledger);
            assert_eq!(spent(folder.path()).await, 100, "{why}");
        }
    }
}

#[tokio::test]
async fn the_periodic_check_notices_a_missing_file_without_a_request() {
    let (folder, path) = three_calls().await;
    let ledger = open(folder.path(), ManualClock::new());
    fs::remove_file(path).unwrap();
    for healthy in [false, true] {
        if healthy {
            accept(folder.path());
        }
        for _ in 0..1000 {
            if ledger.health().is_ok() == healthy {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        assert_eq!(ledger.health().is_ok(), healthy, "{:?}", ledger.health());
    }
}

#[tokio::test]
async fn the_latest_time_survives_a_restart_and_accepting_a_loss_corrects_it() {
    let folder = folder();
    let budgets: Budgets = [budget(BudgetScope::All, Window::Month, 100)].into();
    let clock = ManualClock::new();
    let ledger = open(folder.path(), clock.clone());
    clock.forward(time::Duration::days(365));
    let spend = async |ledger: &FileLedger, most| {
        let reservation = ledger.reserve(reserve_request(most, &budgets)).await?;
        ledger.settle(reservation, cost(most)).await;
        Ok::<_, ReserveError>(())
    };
    spend(&ledger, 90).await.unwrap();
    drop(ledger);
    clock.back(time::Duration::days(300));
    for _ in 0..2 {
        let ledger = open(folder.path(), clock.clone());
        let Err(ReserveError::Budget(refused)) = spend(&ledger, 11).await else {
            panic!("the window moved back")
        };
        assert_eq!(refused.renews, Some(time::macros::datetime!(2027-03-01 0:00 UTC)));
    }
    let said = FileLedger::accept_loss(folder.path(), clock.now()).unwrap().to_string();
    assert!(said.contains("The clock was at 2027-02-28 22:00:00.0 +00:00:00 before"), "{said}");
    let ledger = open(folder.path(), clock.clone());
    let Err(ReserveError::Budget(refused)) = spend(&ledger, 11).await else {
        panic!("the spent amount is forgotten")
    };
    assert_eq!(refused.renews, Some(time::macros::datetime!(2026-06-01 0:00 UTC)));
}
