//! What replicas share: the connection to one Redis (or Valkey), the prefix of its keys, and whether it answers.
//!
//! The rooms that keep something there (`quota`, `credit::ledger`, `gateway::flight`) each have their own
//! scripts; this room knows none of them. A Redis that does not answer must not slow every request down: after a
//! failure everybody is told so at once, and only one command at a time goes out to see whether it is back.
//!
//! A Redis that answers may still refuse to be written: a replica, a server that is full or cannot save. So only a
//! command that has written shows that all is well; one that has read does not.

mod address;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{ErrorKind, FromRedisValue, Pipeline, RedisError, RedisResult, Script, ScriptInvocation};
use secrecy::{ExposeSecret, SecretString};

pub use address::{Address, AddressError};

use crate::circuit::{Circuit, CircuitPass, CircuitPolicy};

/// How long after a failure nobody asks again.
const PAUSE: Duration = Duration::from_millis(250);

/// How to reach what is shared.
#[derive(Clone, Debug)]
pub struct RedisOptions {
    /// Where it is.
    pub address: Address,
    /// The password, if it wants one.
    pub password: Option<SecretString>,
    /// What all keys begin with.
    pub prefix: String,
    /// How long connecting may take, and each answer.
    pub timeout: Duration,
}

/// What a command is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandPurpose {
    /// Limits on rates.
    Quota,
    /// The account of credit.
    Ledger,
    /// One call for all who want the same.
    Flight,
    /// To see whether it answers and can be written.
    Ping,
}

impl CommandPurpose {
    /// The label in metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Quota => "quota",
            Self::Ledger => "ledger",
            Self::Flight => "flight",
            Self::Ping => "ping",
        }
    }
}

/// Told what happens; must be quick.
pub trait RedisObserver: Send + Sync {
    /// Whether Redis answers and can be written, as far as is known.
    fn answers(&self, yes: bool);

    /// A command failed.
    fn failed(&self, purpose: CommandPurpose);
}

/// Nobody is told.
impl RedisObserver for () {
    fn answers(&self, _: bool) {}
    fn failed(&self, _: CommandPurpose) {}
}

/// Why a command was not carried out, or is not known to have been.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Redis at {address} {}: {reason}", if *.refused { "refuses" } else { "does not answer" })]
pub struct CommandError {
    address: Address,
    reason: String,
    /// It answered, with an error.
    refused: bool,
    /// Whether the command may have been carried out all the same.
    pub sent: bool,
}

/// What replicas share. Clones are the same connection.
#[derive(Clone)]
pub struct SharedRedis(Arc<Inner>);

struct Inner {
    options: RedisOptions,
    observer: Arc<dyn RedisObserver>,
    probe: Script,
    circuit: Circuit<CommandError>,
    health: Mutex<RedisHealth>,
}

#[derive(Default)]
struct RedisHealth {
    connection: Option<ConnectionManager>,
    trouble: Option<CommandError>,
}

/// What the success of a command shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CommandProof {
    /// That Redis answers.
    Answers,
    /// That it can be written, too.
    Writes,
}

impl SharedRedis {
    /// Connects to nobody yet.
    pub fn new(options: RedisOptions, observer: Arc<dyn RedisObserver>) -> Self {
        let probe = Script::new(include_str!("probe.lua"));
        let circuit = Circuit::new(CircuitPolicy::first_failure(PAUSE, PAUSE), |_, _| {});
        Self(Arc::new(Inner { options, observer, probe, circuit, health: Mutex::default() }))
    }

    /// Where it is.
    pub fn address(&self) -> &Address {
        &self.0.options.address
    }

    /// A key of ours.
    pub fn key(&self, rest: impl fmt::Display) -> String {
        format!("{}:{rest}", self.0.options.prefix)
    }

    /// Runs a script.
    pub async fn run<T: FromRedisValue>(
        &self,
        purpose: CommandPurpose,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, CommandError> {
        let (mut connection, pass) = self.connection(purpose)?;
        self.note(purpose, pass, CommandProof::Answers, script.invoke_async(&mut connection).await)
    }

    /// Runs a script that writes, whatever it finds.
    pub async fn write<T: FromRedisValue>(
        &self,
        purpose: CommandPurpose,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, CommandError> {
        let (mut connection, pass) = self.connection(purpose)?;
        self.note(purpose, pass, CommandProof::Writes, script.invoke_async(&mut connection).await)
    }

    /// Sends commands together.
    pub async fn query<T: FromRedisValue>(
        &self,
        purpose: CommandPurpose,
        commands: &Pipeline,
    ) -> Result<T, CommandError> {
        let (mut connection, pass) = self.connection(purpose)?;
        self.note(purpose, pass, CommandProof::Answers, commands.query_async(&mut connection).await)
    }

    /// Sees whether it answers and can be written.
    pub async fn ping(&self) -> Result<(), CommandError> {
        let mut probe = self.0.probe.prepare_invoke();
        probe.key(self.key("probe:text")).key(self.key("probe:hash"));
        self.write(CommandPurpose::Ping, &probe).await
    }

    /// Whether it answers and can be written, as far as is known. Asks nobody.
    pub fn health(&self) -> Result<(), CommandError> {
        self.lock().trouble.clone().map_or(Ok(()), Err)
    }

    /// That an answer makes no sense.
    pub fn confused(&self, reason: &str) -> CommandError {
        CommandError { address: self.address().clone(), reason: reason.to_owned(), refused: true, sent: true }
    }

    /// The connection, unless it has just failed.
    fn connection(
        &self,
        purpose: CommandPurpose,
    ) -> Result<(ConnectionManager, CircuitPass<'_, CommandError>), CommandError> {
        let pass = self.0.circuit.enter(Instant::now()).map_err(|open| match open.reason {
            Some(trouble) => CommandError { sent: false, ..trouble },
            None => self.confused("it failed a moment ago"),
        })?;
        let mut health = self.lock();
        if let Some(connection) = &health.connection {
            return Ok((connection.clone(), pass));
        }
        match self.open() {
            Ok(connection) => Ok((health.connection.insert(connection).clone(), pass)),
            Err(error) => {
                drop(health);
                self.note(purpose, pass, CommandProof::Answers, Err(error))
            }
        }
    }

    fn open(&self) -> RedisResult<ConnectionManager> {
        let RedisOptions { address, password, timeout, .. } = &self.0.options;
        let client = address.client(password.as_ref().map(ExposeSecret::expose_secret))?;
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(0)
            .set_connection_timeout(Some(*timeout))
            .set_response_timeout(Some(*timeout));
        ConnectionManager::new_lazy_with_config(client, config)
    }

    /// Takes note of how a command went.
    fn note<T>(
        &self,
        purpose: CommandPurpose,
        pass: CircuitPass<'_, CommandError>,
        proof: CommandProof,
        result: RedisResult<T>,
    ) -> Result<T, CommandError> {
        let Inner { options: RedisOptions { address, .. }, observer, .. } = &*self.0;
        let mut health = self.lock();
        match result {
            Ok(value) => {
                // Also ends a pause that began after this command was sent: Redis answers.
                self.0.circuit.close();
                if proof == CommandProof::Writes && health.trouble.take().is_some() {
                    tracing::info!("Redis at {address} answers again");
                }
                observer.answers(health.trouble.is_none());
                Ok(value)
            }
            Err(error) => {
                let trouble = trouble(address, &error);
                if health.trouble.is_none() {
                    tracing::warn!(
                        "{trouble}; meanwhile each replica counts its own requests, and providers that cost something are off"
                    );
                }
                if !error.is_io_error() {
                    // It may be this connection that is refused, with its password, or as that of a server which is
                    // not the primary any more. The connection manager itself begins anew only after I/O errors.
                    health.connection = None;
                }
                health.trouble = Some(trouble.clone());
                pass.end(Err(trouble.clone()), Instant::now());
                observer.answers(false);
                observer.failed(purpose);
                Err(trouble)
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, RedisHealth> {
        self.0.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn trouble(address: &Address, error: &RedisError) -> CommandError {
    let refused = error.code().is_some() || error.kind() == ErrorKind::AuthenticationFailed;
    let reason = match (error.code(), error.detail()) {
        // In Redis's own words, which its documentation explains; without the place in our script.
        (Some(code), Some(detail)) => {
            let detail = detail.split_once(" script: ").map_or(detail, |(detail, _)| detail);
            format!("{code} {detail}")
        }
        _ if error.is_timeout() => "it took too long".to_owned(),
        _ => error.to_string(),
    };
    CommandError {
        address: address.clone(),
        reason,
        refused,
        sent: !error.is_connection_refusal() && !refused,
    }
}
