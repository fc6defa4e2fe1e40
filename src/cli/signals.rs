//! The signals that stop a command.

use std::fmt;
use std::io::{self, IsTerminal};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Receives the signals that stop the program. Once it has been created, these signals no longer kill the process.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// SIGHUP stops the program only if standard input is a terminal, because SIGHUP then means that the terminal was
    /// closed.
    hangup: Option<Signal>,
}

/// A signal that stops the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopSignal {
    /// Ctrl+C.
    Interrupt,
    /// `kill`, `docker stop`, systemd.
    Terminate,
    /// The terminal was closed.
    Hangup,
}

impl StopSignal {
    /// The exit status that a shell reports for a program ended by this signal: 128 plus its number.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Interrupt => 130,
            Self::Terminate => 143,
            Self::Hangup => 129,
        }
    }
}

impl fmt::Display for StopSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
            Self::Hangup => "SIGHUP, because its terminal was closed",
        })
    }
}

impl Signals {
    pub fn new() -> io::Result<Self> {
        let hangup = io::stdin().is_terminal().then(|| signal(SignalKind::hangup())).transpose()?;
        let (interrupt, terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        Ok(Self { interrupt, terminate, hangup })
    }

    /// Whether SIGHUP stops the program.
    pub const fn takes_hangup(&self) -> bool {
        self.hangup.is_some()
    }

    /// Waits for the next signal.
    pub async fn next(&mut self) -> StopSignal {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => StopSignal::Interrupt,
            _ = self.terminate.recv() => StopSignal::Terminate,
            _ = hangup => StopSignal::Hangup,
        }
    }
}
