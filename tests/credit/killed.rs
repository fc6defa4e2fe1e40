//! A spending process is killed at random moments. The ledger never counts less than the process spent.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use pixcolor::credit::ledger::{FileLedger, FileOptions};
use pixcolor::credit::{BudgetScope, Budgets, Ledger, SystemClock, Window};

use super::common::{amounts, budget, cost, reserve_request};

const FOLDER: &str = "PIXCOLOR_TEST_LEDGER";
const TASKS: u64 = 8;

fn budgets() -> Budgets {
    [budget(BudgetScope::All, Window::Total, i64::MAX)].into()
}

/// A ledger whose file is compacted every few dozen calls.
fn open(folder: &Path) -> FileLedger {
    let options = FileOptions { rewrite_above: 4096, ..FileOptions::default() };
    FileLedger::open(folder, Arc::new(SystemClock), options).unwrap()
}

fn random(below: u64) -> u64 {
    uuid::Uuid::new_v4().as_u64_pair().0 % below
}

/// Starts a spending process. Its output lines arrive as it writes them.
fn spender(folder: &Path) -> (Child, Receiver<String>) {
    let this = std::env::current_exe().unwrap();
    let mut child = Command::new(this)
        .args(["--exact", "killed::spender_child", "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (send, lines) = channel();
    let output = BufReader::new(child.stdout.take().unwrap());
    std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
    (child, lines)
}

/// What a spending process reported.
#[derive(Default)]
struct Report {
    /// Total cost of its calls, in micro-credits.
    spent: i64,
    /// Reserved for calls that were not settled, in micro-credits.
    open: i64,
    settled: u32,
}

impl Report {
    fn read(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["reserved", most] => self.open += most.parse::<i64>().unwrap(),
            ["spent", cost] => self.spent += cost.parse::<i64>().unwrap(),
            ["settled", most] => {
                self.open -= most.parse::<i64>().unwrap();
                self.settled += 1;
            }
            // Other lines are output of the test harness.
            _ => {}
        }
    }
}

fn kill_spenders(times: u32) {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (mut spent_before, mut settled, mut unsettled) = (0, 0, 0);
    for time in 0..times {
        let (mut child, lines) = spender(folder.path());
        let mut report = Report::default();
        // The process is killed at a random moment after it has begun to spend.
        while report.open == 0 {
            report.read(&lines.recv_timeout(Duration::from_secs(60)).unwrap());
        }
        std::thread::sleep(Duration::from_micros(random(60_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        lines.iter().for_each(|line| report.read(&line));

        let ledger = open(folder.path());
        assert_eq!(ledger.health(), Ok(()), "kill {time}");
        let recovered = ledger.recovered();
        let (spent, reserved) = runtime.block_on(amounts(&ledger, &budgets()))[0];
        let counted = spent - spent_before;
        assert_eq!(reserved, 0);
        assert!(counted >= report.spent, "kill {time}: {counted} of {} are counted", report.spent);
        let over = counted - report.spent;
        let open = recovered.unsettled_credits.micro();
        assert!(over <= open, "kill {time}: {over} too much are counted, and {open} were open");
        // The ledger has no more open reservations than the process reported or was about to receive.
        assert!(recovered.unsettled <= TASKS && open <= report.open + TASKS as i64 * 1000, "kill {time}");
        spent_before = spent;
        settled += report.settled;
        unsettled += recovered.unsettled;
    }
    assert!(settled > times && unsettled > 0, "the spenders were killed before they spent");
    println!("{times} kills, {settled} calls settled, {unsettled} charged in full");
}

#[test]
fn spenders_killed_20_times_are_never_undercounted() {
    kill_spenders(20);
}

#[test]
#[ignore = "slow"]
fn spenders_killed_100_times_are_never_undercounted() {
    kill_spenders(100);
}

/// The process that the test kills. It flushes each line before the next step. Without its environment variable it
/// does nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "is run by another test"]
async fn spender_child() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let ledger = Arc::new(open(&folder));
    let say = |line: String| {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{line}").and_then(|()| out.flush()).unwrap();
    };
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..TASKS {
        let ledger = ledger.clone();
        tasks.spawn(async move {
            loop {
                let most = 1 + random(1000) as i64;
                let reservation = ledger.reserve(reserve_request(most, &budgets())).await.unwrap();
                say(format!("reserved {most}"));
                let actual = random(most as u64 + 1) as i64;
                tokio::time::sleep(Duration::from_micros(random(2000))).await;
                say(format!("spent {actual}"));
                ledger.settle(reservation, cost(actual)).await;
                say(format!("settled {most}"));
            }
        });
    }
    tasks.join_all().await;
}
