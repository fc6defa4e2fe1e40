//! Logs: for people on a terminal, as JSON lines otherwise. What is logged while a request is answered is told with its
//! id (`web/identity.rs`). No line holds a body, a key, a query or a client's whole address.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::IsTerminal;
use std::panic::PanicHookInfo;

use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt};

/// What is logged unless `RUST_LOG` says otherwise: our own news and other crates' trouble. Rocket calls its
/// start a warning and each 404 an error (`_` is its target for details); we log requests ourselves.
const DEFAULT: &str = "warn,pixcolor=info,rocket=off,_=off";

/// What is not logged whatever `RUST_LOG` says: Rocket's lines about single requests, which hold paths and queries, and
/// so what clients put there by mistake, such as tokens.
const NEVER: &str = "rocket::server";

/// Starts logging to standard error. Must come before Rocket is built, whose own logger would
/// otherwise be installed. Does nothing when a logger is there already.
pub fn init() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT));
    let logs = fmt::layer()
        .with_writer(std::io::stderr)
        // Where a line cannot be written, no other can: saying so would end the program.
        .log_internal_errors(false);
    let logs = match std::io::stderr().is_terminal() {
        true => logs.boxed(),
        false => logs.json().flatten_event(true).with_span_list(false).boxed(),
    };
    let allowed = filter_fn(|line| !line.target().starts_with(NEVER));
    let result = tracing_subscriber::registry().with(filter).with(logs.with_filter(allowed)).try_init();
    if let Err(error) = result {
        tracing::debug!("logging was set up before: {error}");
    }
    std::panic::set_hook(Box::new(log_panic));
}

/// Most characters of a panic's own words that are logged: some quote the values that they are about, which may be a
/// part of a picture.
const LONGEST: usize = 200;

/// Logs a panic with its place, and with the id of the request that met it. With `RUST_BACKTRACE` also how it came there.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let words = panic.payload().downcast_ref::<&str>().copied();
    let words = words.or_else(|| panic.payload().downcast_ref::<String>().map(String::as_str));
    let words: String = words.unwrap_or("it says nothing").chars().take(LONGEST).collect();
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    tracing::error!(place, backtrace, "a panic, which is a defect in this program: {words}");
}
