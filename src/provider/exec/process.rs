//! One run of a program. The input is written while the output is read. Processes that the program leaves behind are
//! killed.
//!
//! The program leads its own process group. The whole group is killed when the program ends, when it exceeds its time
//! or its output limit, and when the call is dropped. The leader is reaped only after that, so that the system cannot
//! have given the group's ID to another process.

use std::future::Future;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::pin::pin;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::FutureExt;
use futures::future::FusedFuture;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};
use tokio::sync::oneshot;
use wait4::Wait4;

use super::stderr::StderrReader;
use crate::provider::context::next_hop;
use crate::provider::memory::lock;
use crate::tasks;

/// How long output is read after the program's end. All output is already in the pipe, but a process that left the
/// group may hold the pipe open.
const DRAIN: Duration = Duration::from_millis(500);

/// How long to wait until a killed program has ended, because only then its processor time is known.
const REAP: Duration = Duration::from_millis(400);

/// The command line of a program.
#[derive(Clone)]
pub struct Program {
    /// The absolute path of the program.
    pub file: PathBuf,
    pub arguments: Vec<String>,
    /// The working folder.
    pub dir: PathBuf,
    /// All environment variables of the program.
    pub env: Vec<(String, String)>,
}

pub struct CompletedRun {
    pub status: ExitStatus,
    /// Standard output.
    pub output: Bytes,
    /// The last line of standard error, shortened and with secrets masked.
    pub last_line: String,
    /// Processor time of the program and of the children that it waited for.
    pub cpu: Duration,
}

/// A run that failed.
pub struct FailedRun {
    pub why: RunError,
    /// Processor time of the failed run, if known.
    pub cpu: Option<Duration>,
}

#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("its program cannot be started: {0}")]
    Start(io::Error),
    #[error("its program wrote more than {0} bytes and was killed")]
    OutputTooLarge(u64),
    #[error("its program was not done in time and was killed")]
    Late,
    /// A system call failed.
    #[error("its program could not be observed: {0}")]
    Lost(io::Error),
}

impl Program {
    /// Runs the program until it ends, the deadline passes, or it has written more than `max_bytes`. `slot` is dropped
    /// when the process has ended, which may be after the future was dropped.
    pub async fn run(
        &self,
        input: Bytes,
        max_bytes: u64,
        deadline: Instant,
        reader: &mut StderrReader<'_>,
        slot: impl Send + 'static,
    ) -> Result<CompletedRun, FailedRun> {
        let failed = |why| FailedRun { why, cpu: None };
        let group = ProcessGuard(ProcessGroup::default());
        let mut command = self.command();
        // OpenTelemetry's convention for passing the trace context to a program.
        command.envs(next_hop().map(|hop| ("TRACEPARENT", hop.to_string())));
        let (started, pipes) = oneshot::channel();
        let watch = {
            let group = group.0.clone();
            move || {
                let watched = group.watch(command, started);
                drop(slot);
                watched
            }
        };
        let mut watch = tasks::spawn_blocking(watch)
            .map(|watched| watched.unwrap_or_else(|error| Err(RunError::Lost(io::Error::other(error)))));
        let Ok(pipes) = pipes.await else {
            // The program did not start; `watch` returns the reason.
            return Err(failed(watch.await.err().unwrap_or(RunError::Late)));
        };
        let Pipes { mut stdin, mut stdout, mut stderr } =
            pipes.map_err(|error| failed(RunError::Lost(error)))?;
        let mut output = Vec::new();
        let feed = async move {
            // A program need not read its whole input, so a write error is ignored.
            let _ = stdin.write_all(&input).await;
            drop(stdin);
        };
        let log = reader.read_all(&mut stderr);
        let read = read(&mut stdout, &mut output, max_bytes);
        let work = async {
            let mut transfer =
                pin!(async { futures::try_join!(feed.map(Ok), log.map(Ok), read).map(|_| ()) });
            let (ended, transferred) = tokio::select! {
                ended = &mut watch => (ended, None),
                transferred = &mut transfer => {
                    transferred.as_ref().map_err(|()| RunError::OutputTooLarge(max_bytes))?;
                    ((&mut watch).await, Some(transferred))
                }
            };
            if transferred.is_none() {
                let transferred = tokio::time::timeout(DRAIN, &mut transfer).await.unwrap_or(Ok(()));
                transferred.map_err(|()| RunError::OutputTooLarge(max_bytes))?;
            }
            ended
        };
        let ended = by(deadline, work).await.unwrap_or(Err(RunError::Late));
        let (status, cpu) = match ended {
            Ok(ended) => ended,
            Err(why) => {
                group.0.end();
                if !watch.is_terminated() {
                    // If the program has not ended after `REAP`, its processor time stays unknown.
                    let _ = tokio::time::timeout(REAP, &mut watch).await;
                }
                return Err(FailedRun { why, cpu: group.0.cpu() });
            }
        };
        let last_line = reader.last_line();
        Ok(CompletedRun { status, output: output.into(), last_line, cpu })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.file);
        command
            .args(&self.arguments)
            .current_dir(&self.dir)
            .env_clear()
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

async fn by<T>(deadline: Instant, work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout_at(deadline.into(), work).await.ok()
}

/// Reads to the end. Fails if there are more than `max_bytes`.
async fn read(from: &mut (impl AsyncRead + Unpin), into: &mut Vec<u8>, max_bytes: u64) -> Result<(), ()> {
    // A broken pipe counts as the end of the output.
    let _ = from.take(max_bytes + 1).read_to_end(into).await;
    if into.len() as u64 > max_bytes { Err(()) } else { Ok(()) }
}

struct Pipes {
    stdin: ChildStdin,
    stdout: ChildStdout,
    stderr: ChildStderr,
}

impl Pipes {
    fn of(child: &mut Child) -> io::Result<Self> {
        let piped = || io::Error::other("it has no pipes");
        Ok(Self {
            stdin: ChildStdin::from_std(child.stdin.take().ok_or_else(piped)?)?,
            stdout: ChildStdout::from_std(child.stdout.take().ok_or_else(piped)?)?,
            stderr: ChildStderr::from_std(child.stderr.take().ok_or_else(piped)?)?,
        })
    }
}

/// The processes of one run.
#[derive(Clone, Default)]
struct ProcessGroup(Arc<Mutex<State>>);

#[derive(Clone, Copy, Default)]
enum State {
    #[default]
    Planned,
    /// The leader is not reaped yet, so its process ID still identifies the group.
    Running(Pid),
    /// The run has ended. Contains its processor time, if known.
    Over(Option<Duration>),
}

impl ProcessGroup {
    /// Starts a program, sends its pipes to `started`, and blocks until the program has ended. Returns its exit status
    /// and processor time.
    fn watch(
        &self,
        mut command: Command,
        started: oneshot::Sender<io::Result<Pipes>>,
    ) -> Result<(ExitStatus, Duration), RunError> {
        if matches!(*lock(&self.0), State::Over(_)) {
            return Err(RunError::Late);
        }
        let mut child = command.spawn().map_err(RunError::Start)?;
        let pid = Pid::from_child(&child);
        {
            let mut state = lock(&self.0);
            match *state {
                State::Planned => *state = State::Running(pid),
                // The call was dropped meanwhile.
                State::Running(_) | State::Over(_) => kill(pid),
            }
        }
        // If the receiver is gone, the call was dropped and the program is killed.
        let _ = started.send(Pipes::of(&mut child));
        let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while let Err(Errno::INTR) = waitid(WaitId::Pid(pid), ended) {}
        let mut state = lock(&self.0);
        // The program has ended; this kills the children that it left in its process group.
        kill(pid);
        *state = State::Over(None);
        let used = child.wait4().map_err(RunError::Lost)?;
        let cpu = used.rusage.utime + used.rusage.stime;
        *state = State::Over(Some(cpu));
        Ok((used.status, cpu))
    }

    fn end(&self) {
        let mut state = lock(&self.0);
        match *state {
            State::Running(pid) => kill(pid),
            State::Planned => *state = State::Over(None),
            State::Over(_) => {}
        }
    }

    fn cpu(&self) -> Option<Duration> {
        match *lock(&self.0) {
            State::Over(cpu) => cpu,
            State::Planned | State::Running(_) => None,
        }
    }
}

/// Kills a process group. This fails only if the group has no process left, so errors are ignored.
fn kill(group: Pid) {
    let _ = kill_process_group(group, Signal::KILL);
}

/// Kills the processes when the call is dropped.
struct ProcessGuard(ProcessGroup);

impl Drop for ProcessGuard {
    fn drop(&mut self) {
        self.0.end();
    }
}
