//! A disk that fails while the ledger is in use.

use std::collections::HashSet;
use std::fs::{self, OpenOptions};
use std::time::Duration;

use time::macros::date;
use tokio::sync::oneshot;

use super::*;
use crate::credit::amount::Credits;
use crate::credit::budget::{Budget, BudgetScope, BudgetStatus};
use crate::credit::window::{SystemClock, Window};

const TEN: Credits = Credits::from_micro(10);

struct Setup {
    folder: tempfile::TempDir,
    writer: LedgerWriter,
}

fn setup(retry: Duration) -> Setup {
    let folder = tempfile::tempdir().unwrap();
    let options = FileOptions { retry, ..FileOptions::default() };
    let back: ReservationReturn = Arc::new(|_, _| ());
    let writer =
        LedgerWriter::open(folder.path().into(), Arc::new(SystemClock), options, Arc::default(), back);
    Setup { folder, writer }
}

impl Setup {
    /// Runs one command, as the thread would.
    fn does(&mut self, command: WriterCommand) {
        let mut batch = Batch::default();
        self.writer.take(command, &mut batch);
        self.writer.commit(batch);
    }

    fn reserve(&mut self) -> Result<ReservationRecord, ReserveError> {
        let (answer, mut answered) = oneshot::channel();
        let wish = ReserveRequest {
            provider: "paid".into(),
            client: None,
            most: TEN,
            pixels: 1,
            sent_pixels: 1,
            budgets: Arc::new([]),
        };
        self.does(WriterCommand::Reserve(wish, answer));
        answered.try_recv().unwrap().map(|reservation| reservation.take().unwrap())
    }

    fn settle(&mut self, ticket: ReservationRecord, micro: i64) {
        let settlement = Settlement { credits: Some(Credits::from_micro(micro)), ..Settlement::UNKNOWN };
        self.does(WriterCommand::Settle(ticket, settlement, oneshot::channel().0));
    }

    /// Fills the disk: from now on, the kernel refuses every write.
    fn fill_disk(&mut self) {
        let Access::Open(store) = &mut self.writer.access else { panic!("it is not open") };
        store.break_file(OpenOptions::new().write(true).open("/dev/full").unwrap());
        fs::create_dir(self.folder.path().join("ledger.new")).unwrap();
    }

    fn empty_disk(&mut self) {
        fs::remove_dir(self.folder.path().join("ledger.new")).unwrap();
    }

    fn standing(&self) -> (i64, i64) {
        let all = Budget {
            name: "all".into(),
            scope: BudgetScope::All,
            window: Window::Total,
            limit: Credits::MAX,
        };
        let standing = self.writer.state.as_ref().unwrap().standing(&[all], None, date!(2026 - 03 - 01));
        let [BudgetStatus { spent, reserved, .. }] = standing.as_slice() else { panic!("one budget") };
        (spent.micro(), reserved.micro())
    }
}

#[test]
fn while_the_disk_is_full_nothing_is_reserved_and_no_settlement_is_lost() {
    let mut setup = setup(Duration::ZERO);
    let (before, open) = (setup.reserve().unwrap(), setup.reserve().unwrap());
    setup.fill_disk();
    let refused = setup.reserve().unwrap_err();
    let ReserveError::Ledger(LedgerError { reason }) = &refused else { panic!("{refused:?}") };
    assert!(reason.starts_with("it cannot be written: "), "{reason}");
    assert_eq!(setup.writer.trouble().reason, *reason);
    // A refused request reserves nothing, and running calls can still be settled.
    assert_eq!(setup.standing(), (0, 20));
    setup.settle(before, 3);
    assert_eq!(setup.standing(), (3, 10));
    assert!(setup.reserve().is_err());

    setup.empty_disk();
    let after = setup.reserve().unwrap();
    assert_eq!(setup.writer.shared.trouble.lock().unwrap().clone(), None);
    assert_eq!(setup.standing(), (3, 20));
    setup.settle(after, 4);
    drop(open);
    let Setup { folder, writer } = setup;
    drop(writer);

    let (_, state, recovered) =
        LedgerFile::open(folder.path(), SystemClock.now(), &HashSet::new()).ok().unwrap();
    assert_eq!((recovered.unsettled, recovered.unsettled_credits), (1, TEN));
    let rows = state.usage(&(Date::MIN..=Date::MAX));
    let charged: Credits = rows.iter().map(|row| row.tally.credits).sum();
    assert_eq!(charged, Credits::from_micro(3 + 4 + 10));
}

#[test]
fn a_failed_disk_is_tried_again_only_after_a_while() {
    let mut setup = setup(Duration::from_secs(3600));
    setup.fill_disk();
    assert!(setup.reserve().is_err());
    setup.empty_disk();
    assert!(setup.reserve().is_err());
}

#[test]
fn a_file_that_cannot_be_shortened_keeps_growing() {
    let mut setup = setup(Duration::ZERO);
    setup.writer.options.rewrite_above = 100;
    fs::create_dir(setup.folder.path().join("ledger.new")).unwrap();
    let length = |setup: &Setup| fs::metadata(setup.folder.path().join("ledger")).unwrap().len();
    for _ in 0..100 {
        let ticket = setup.reserve().unwrap();
        setup.settle(ticket, 1);
    }
    let long = length(&setup);
    assert!(long > 10_000, "{long}");
    setup.empty_disk();
    for _ in 0..400 {
        let ticket = setup.reserve().unwrap();
        setup.settle(ticket, 1);
    }
    assert!(length(&setup) < long, "{}", length(&setup));
    assert_eq!(setup.standing(), (500, 0));
}

#[test]
fn a_rewrite_that_is_interrupted_at_any_point_leaves_a_complete_ledger() {
    let files = ["ledger", "ledger.checkpoint", "ledger.new"];
    for steps in 0..4 {
        let mut setup = setup(Duration::ZERO);
        for micro in 1..5 {
            let ticket = setup.reserve().unwrap();
            setup.settle(ticket, micro);
        }
        let Setup { folder, mut writer } = setup;
        let (Access::Open(store), Some(state)) = (&mut writer.access, &mut writer.state) else { panic!() };
        let new = store.write_new(state).unwrap();
        // Simulates a crash of the process after this many steps. Everything written before the crash is on disk.
        if steps >= 1 {
            store.note(state, Some(&new), true).unwrap();
        }
        match steps {
            2 => fs::rename(folder.path().join("ledger.new"), folder.path().join("ledger")).unwrap(),
            3 => store.replace(new, state).unwrap(),
            _ => {}
        }
        let crashed = tempfile::tempdir().unwrap();
        for name in files {
            let _ = fs::copy(folder.path().join(name), crashed.path().join(name));
        }
        drop(writer);
        let opened = LedgerFile::open(crashed.path(), SystemClock.now(), &HashSet::new());
        let (mut store, state, _) = opened.map_err(|closed| closed.reason).unwrap();
        assert_eq!(state.total(), Credits::from_micro(10), "{steps}");
        store.rewrite(&state).unwrap();
        drop(store);
        assert!(LedgerFile::open(crashed.path(), SystemClock.now(), &HashSet::new()).is_ok(), "{steps}");
    }
}

#[test]
fn records_that_a_power_failure_damaged_are_removed_if_they_were_never_synced() {
    let setup = setup(Duration::ZERO);
    let Setup { folder, mut writer } = setup;
    let path = folder.path().join("ledger");
    let Access::Open(store) = &mut writer.access else { panic!("it is not open") };
    store.sync(&LedgerState::default(), true).unwrap();
    drop(writer);
    let mut lines = [&[0; 700], &b"{}}\n"[..]].concat();
    encode(&Record::Release { id: 9 }, &mut lines).unwrap();
    lines.extend_from_slice(b"1234 {\"rel");
    fs::write(&path, [fs::read(&path).unwrap(), lines].concat()).unwrap();
    let (_, _, recovered) = LedgerFile::open(folder.path(), SystemClock.now(), &HashSet::new())
        .map_err(|closed| closed.reason)
        .unwrap();
    assert!(recovered.records == 1 && recovered.kept_aside.is_some(), "{recovered:?}");
}
