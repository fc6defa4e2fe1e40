//! The connection to the Redis (or Valkey) that replicas share, the prefix of its keys, and its availability.
//!
//! The modules that store data there (`quota`, `credit::ledger`, `gateway::flight`) have their own scripts. An
//! unavailable Redis must not slow every request down. After a failure, all commands fail without being sent for a
//! short pause. Then one command at a time tests whether Redis answers again.
//!
//! A Redis that answers may still reject writes, because it is read-only or full or cannot save. So only a successful
//! write shows that Redis works.

mod address;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{ErrorKind, FromRedisValue, Pipeline, RedisError, RedisResult, Script, ScriptInvocation};
use secrecy::{ExposeSecret, SecretString};

pub use address::{Address, AddressError};

use crate::circuit::{Circuit, CircuitPass, CircuitPolicy};

/// The pause after a failure, in which commands fail without being sent.
const PAUSE: Duration = Duration::from_millis(250);

#[derive(Clone, Debug)]
pub struct RedisOptions {
    pub address: Address,
    pub password: Option<SecretString>,
    /// The prefix of all keys.
    pub prefix: String,
    /// Time-out for connecting and for each command.
    pub timeout: Duration,
}

/// The purpose of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandPurpose {
    /// Rate limits.
    Quota,
    /// The credit ledger.
    Ledger,
    /// Flights of all replicas.
    Flight,
    /// A check that Redis answers and accepts writes.
    Ping,
}

impl CommandPurpose {
    pub const fn label(self) -> &'static str {
        match self {
            Self::Quota => "quota",
            Self::Ledger => "ledger",
            Self::Flight => "flight",
            Self::Ping => "ping",
        }
    }
}

/// Receives events. Its methods must return quickly.
pub trait RedisObserver: Send + Sync {
    /// Whether Redis answers and accepts writes, as the last commands showed.
    fn answers(&self, yes: bool);

    fn failed(&self, purpose: CommandPurpose);
}

/// Ignores all events.
impl RedisObserver for () {
    fn answers(&self, _: bool) {}
    fn failed(&self, _: CommandPurpose) {}
}

/// Why a command failed or may have failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Redis at {address} {}: {reason}", if *.refused { "refuses" } else { "does not answer" })]
pub struct CommandError {
    address: Address,
    reason: String,
    /// Whether Redis returned an error.
    refused: bool,
    /// Whether the command may have been executed.
    pub sent: bool,
}

/// The shared Redis. Clones use the same connection.
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

/// What the success of a command proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CommandProof {
    /// Redis answers.
    Answers,
    /// Redis also accepts writes.
    Writes,
}

impl SharedRedis {
    /// Does not connect yet.
    pub fn new(options: RedisOptions, observer: Arc<dyn RedisObserver>) -> Self {
        let probe = Script::new(include_str!("probe.lua"));
        let circuit = Circuit::new(CircuitPolicy::first_failure(PAUSE, PAUSE), |_, _| {});
        Self(Arc::new(Inner { options, observer, probe, circuit, health: Mutex::default() }))
    }

    pub fn address(&self) -> &Address {
        &self.0.options.address
    }

    /// A key with our prefix.
    pub fn key(&self, rest: impl fmt::Display) -> String {
        format!("{}:{rest}", self.0.options.prefix)
    }

    pub async fn run<T: FromRedisValue>(
        &self,
        purpose: CommandPurpose,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, CommandError> {
        let (mut connection, pass) = self.connection(purpose)?;
        self.note(purpose, pass, CommandProof::Answers, script.invoke_async(&mut connection).await)
    }

    /// Runs a script that always writes.
    pub async fn write<T: FromRedisValue>(
        &self,
        purpose: CommandPurpose,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, CommandError> {
        let (mut connection, pass) = self.connection(purpose)?;
        self.note(purpose, pass, CommandProof::Writes, script.invoke_async(&mut connection).await)
    }

    /// Sends commands as a pipeline.
    pub async fn query<T: FromRedisValue>(
        &self,
        purpose: CommandPurpose,
        commands: &Pipeline,
    ) -> Result<T, CommandError> {
        let (mut connection, pass) = self.connection(purpose)?;
        self.note(purpose, pass, CommandProof::Answers, commands.query_async(&mut connection).await)
    }

    /// Checks that Redis answers and accepts writes.
    pub async fn ping(&self) -> Result<(), CommandError> {
        let mut probe = self.0.probe.prepare_invoke();
        probe.key(self.key("probe:text")).key(self.key("probe:hash"));
        self.write(CommandPurpose::Ping, &probe).await
    }

    /// An error if the last commands showed that Redis does not answer or rejects writes. Does not block.
    pub fn health(&self) -> Result<(), CommandError> {
        self.lock().trouble.clone().map_or(Ok(()), Err)
    }

    /// The error for an unexpected reply.
    pub fn confused(&self, reason: &str) -> CommandError {
        CommandError { address: self.address().clone(), reason: reason.to_owned(), refused: true, sent: true }
    }

    /// The connection, unless the circuit is open.
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

    /// Records the result of a command.
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
                // This also ends a pause that began after this command was sent, because Redis answers.
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
                        "{trouble}; meanwhile each replica counts its own requests, and providers that cost something \
                         are off"
                    );
                }
                if !error.is_io_error() {
                    // Redis may reject this connection, because of its password or because the server is no longer
                    // the primary. The connection manager reconnects by itself only after I/O errors.
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
        // Redis's own message, which the documentation of Redis explains, without the position in our script.
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
