//! Kind `exec`: runs a program for each picture. The program receives the grey picture as a PNG file (8 bits, one
//! channel, no metadata) on standard input and writes a coloured picture, in any format that uploads may have, to
//! standard output.
//!
//! At most `concurrency` programs run at once; further calls wait in a bounded queue, which survives a reload of the
//! configuration. The run time, the size of the output and the logged part of standard error are limited.

mod process;
mod stderr;

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use secrecy::ExposeSecret;

use super::{
    Billed, Call, FailureKind, Provider, ProviderColor, ProviderError, ProviderInfo, ProviderResponse,
    Readiness, Step, Trace,
};
use crate::config::{Common, ExecConfig, Variable, Word};
use crate::credit::{CallFacts, Price, Usage};
use crate::photo::{Limits, OutputFormat, read_head};
use crate::queue::{Queue, QueueError};
use crate::tasks;
use process::{CompletedRun, FailedRun, Program, RunError};
use stderr::StderrReader;

pub struct ProgramProvider {
    info: ProviderInfo,
    /// The error says why the provider is not ready.
    program: Result<Program, String>,
    /// Values to mask in logs and errors.
    secrets: Vec<String>,
    /// The command and its environment for the trace, with secrets masked.
    shown: String,
    max_output: u64,
    timeout: Duration,
    price: Price,
    queue: Arc<Queue>,
}

impl ProgramProvider {
    /// If the program's file or a secret is missing, the provider is not ready. Reads file metadata, so it must not run
    /// on an async thread.
    pub fn new(name: &str, common: &Common, config: &ExecConfig, price: &Price, queue: Arc<Queue>) -> Self {
        let set = config.env.iter().filter(|variable| !variable.kept);
        let plain = set.filter_map(|variable| match &variable.value {
            Word::Plain(text) => Some((&variable.name, text)),
            Word::Secret(_) => None,
        });
        let info = ProviderInfo {
            name: name.to_owned(),
            kind: "exec",
            model: config.model.clone(),
            version: config.version.clone(),
            leaves_machine: config.leaves_machine,
            send_max_pixels: common.send_max_pixels,
            luma_lock: common.luma_lock,
            settings: format!("png {:?} {:?}", config.command, plain.collect::<Vec<_>>()),
        };
        let secrets = config.env.iter().filter_map(|variable| match &variable.value {
            Word::Plain(text) => Some(text.clone()).filter(|_| variable.may_be_secret()),
            Word::Secret(secret) => Some(secret.expose()?.expose_secret().to_owned()),
        });
        Self {
            info,
            program: program(config),
            secrets: secrets.collect(),
            shown: command_text(config),
            max_output: config.max_output,
            timeout: common.timeout,
            price: price.clone(),
            queue,
        }
    }

    /// The error of a program that was started. If calls cost credit, the cost of this call is unknown.
    fn failed(&self, kind: FailureKind, message: impl Into<String>) -> ProviderError {
        let billed = if self.price.is_free() { Billed::No } else { Billed::Unknown };
        ProviderError::new(kind, message).billed(billed)
    }

    fn run_failed(&self, FailedRun { why: error, cpu }: &FailedRun) -> ProviderError {
        let kind = match error {
            RunError::Start(error) => match error.kind() {
                // Too many processes or too little memory; temporary.
                ErrorKind::WouldBlock | ErrorKind::OutOfMemory => FailureKind::Unavailable,
                _ => FailureKind::NotReady,
            },
            RunError::OutputTooLarge(_) => FailureKind::BadAnswer,
            RunError::Late => FailureKind::Timeout,
            RunError::Lost(_) => FailureKind::Failed,
        };
        match error {
            RunError::Start(_) => ProviderError::new(kind, error.to_string()),
            _ => ProviderError { cpu: *cpu, ..self.failed(kind, error.to_string()) },
        }
    }

    /// The picture that the program wrote, or why the run failed.
    fn check_output(&self, ended: CompletedRun, trace: &Trace) -> Result<Bytes, ProviderError> {
        let CompletedRun { status, output, last_line, cpu } = ended;
        trace.report(Step::Reply, || {
            let words = if last_line.is_empty() { String::new() } else { format!(", saying: {last_line}") };
            let (bytes, seconds) = (output.len(), cpu.as_secs_f64());
            format!("{status}, {bytes} bytes on standard output, {seconds:.3} s of processor time{words}")
        });
        if !status.success() {
            let words = if last_line.is_empty() { "it said nothing".to_owned() } else { last_line };
            return Err(self.failed(FailureKind::Failed, format!("its program ended with {status}: {words}")));
        }
        let bad = |message: String| self.failed(FailureKind::BadAnswer, message);
        if output.is_empty() {
            return Err(bad("its program wrote nothing to standard output".to_owned()));
        }
        let head = read_head(&output, &Limits::NONE)
            .map_err(|error| bad(format!("the output of its program is not a usable picture: {error}")))?;
        trace.report(Step::Mapping, || {
            format!(
                "the output is a {} picture of {} x {} pixels",
                head.format.name(),
                head.width,
                head.height
            )
        });
        Ok(output)
    }
}

#[async_trait]
impl Provider for ProgramProvider {
    fn info(&self) -> &ProviderInfo {
        &self.info
    }

    fn readiness(&self) -> Readiness {
        match &self.program {
            Ok(_) => Readiness::Ready,
            Err(why) => Readiness::NotReady { why: why.clone(), retry_after: None },
        }
    }

    async fn colorize(&self, call: Call) -> Result<ProviderResponse, ProviderError> {
        let (gray, deadline, trace) = (call.gray.clone(), call.deadline, &call.trace);
        if deadline <= Instant::now() {
            return Err(ProviderError::new(
                FailureKind::Timeout,
                "the deadline had passed before the call began",
            ));
        }
        let slot = self.queue.enter(1, deadline).await.map_err(|error| match error {
            QueueError::Full => {
                ProviderError::new(FailureKind::Busy, "its queue is full: try again in a moment")
            }
            QueueError::Late => {
                ProviderError::new(FailureKind::Timeout, "the call was still in the queue at its deadline")
            }
        })?;
        let (width, height) = (gray.width, gray.height);
        let input = tasks::spawn_blocking(move || gray.encode(OutputFormat::Png, 100)).await;
        let input = input
            .map_err(|_| ProviderError::new(FailureKind::Failed, "the picture could not be prepared"))?
            .map_err(|error| ProviderError::new(FailureKind::Rejected, error.to_string()))?;
        trace.report(Step::Request, || self.shown.clone());
        trace.report(Step::Request, || {
            format!("standard input: a grey PNG of {width} x {height} pixels, {} bytes", input.len())
        });
        call.may_begin().await?;
        let program =
            self.program.as_ref().map_err(|why| ProviderError::new(FailureKind::NotReady, why.clone()))?;
        let mut stderr = StderrReader::new(&self.info.name, &self.secrets);
        let ran = program.run(input.into(), self.max_output, deadline, &mut stderr, slot).await;
        let ended = ran.map_err(|error| self.run_failed(&error))?;
        let cpu = ended.cpu;
        let picture = self.check_output(ended, trace).map_err(|error| error.cpu(cpu))?;
        let facts = CallFacts { sent_pixels: u64::from(width) * u64::from(height), timeout: self.timeout };
        let usage = Usage { credits: self.price.actual(&facts, None).ok(), cpu: Some(cpu) };
        Ok(ProviderResponse { color: ProviderColor::Picture(picture), usage })
    }
}

/// The program to run and its environment. The error is a message for the operator.
fn program(config: &ExecConfig) -> Result<Program, String> {
    let dir = std::path::absolute(&config.dir)
        .map_err(|error| format!("its folder {} cannot be used: {error}", config.dir.display()))?;
    let [name, arguments @ ..] = config.command.as_slice() else {
        return Err("it has no command".to_owned());
    };
    let env = config.env.iter().map(|Variable { name, value, .. }| match value {
        Word::Plain(text) => Ok((name.clone(), text.clone())),
        Word::Secret(secret) => match secret.expose() {
            Some(value) => Ok((name.clone(), value.expose_secret().to_owned())),
            None => Err(format!("`env.{name}` has no value: {}", secret.why_unset().unwrap_or_default())),
        },
    });
    Ok(Program {
        file: find_program(name, &dir, &config.path)?,
        arguments: arguments.to_vec(),
        env: env.collect::<Result<_, _>>()?,
        dir,
    })
}

/// The file of a program. A name with a `/` is relative to the working folder; another name is looked up in `PATH`.
fn find_program(name: &str, dir: &Path, path: &str) -> Result<PathBuf, String> {
    let runs = |file: &PathBuf| {
        std::fs::metadata(file).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    if name.contains('/') {
        let file = dir.join(name);
        return match runs(&file) {
            true => Ok(file),
            false => Err(format!("its program {} does not exist or is not executable", file.display())),
        };
    }
    let found = std::env::split_paths(path).map(|folder| dir.join(folder).join(name)).find(runs);
    found.ok_or_else(|| format!("its program `{name}` is not in any folder of PATH"))
}

/// The command and its environment, with secrets masked.
fn command_text(config: &ExecConfig) -> String {
    let env = config.env.iter().map(|Variable { name, value, kept }| match value {
        _ if *kept => name.clone(),
        Word::Plain(text) => format!("{name}={text}"),
        Word::Secret(secret) => format!("{name}={secret}"),
    });
    let env = env.collect::<Vec<_>>().join(", ");
    format!("run {:?} in {}, environment: {env}", config.command, config.dir.display())
}
