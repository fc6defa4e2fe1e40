//! Logging: text on a terminal, JSON lines otherwise. Every line that is logged for a request has the request's ID
//! (`web/identity.rs`). No line contains a body, a key, a query or a client's whole address.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::IsTerminal;
use std::panic::PanicHookInfo;

use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt};

/// The default of `RUST_LOG`: our own events and other crates' warnings. Rocket is excluded (`_` is its target for
/// details), because it logs its start as a warning and each 404 as an error; PixColor logs both itself.
const DEFAULT: &str = "warn,pixcolor=info,rocket=off,_=off";

/// Target of Rocket's lines about individual requests, which are never logged, whatever `RUST_LOG` says: they contain
/// paths and queries, where clients may put tokens by mistake.
const NEVER: &str = "rocket::server";

/// Starts logging to standard error, including panics. Must be called before Rocket is built, because Rocket would
/// install its own logger. If a logger is installed already, it is kept.
pub fn init() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT));
    let logs = fmt::layer()
        .with_writer(std::io::stderr)
        // If a line cannot be written, reporting that would fail, too, and end the program.
        .log_internal_errors(false);
    let logs = match std::io::stderr().is_terminal() {
        true => logs.boxed(),
        false => logs.json().flatten_event(true).with_span_list(false).boxed(),
    };
    let allowed = filter_fn(|line| !line.target().starts_with(NEVER));
    let result = tracing_subscriber::registry().with(filter).with(logs.with_filter(allowed)).try_init();
    if let Err(error) = result {
        tracing::debug!("a logger is installed already: {error}");
    }
    std::panic::set_hook(Box::new(log_panic));
}

/// Maximum length of a logged panic message, in characters: some messages quote values, which may be part of an image.
const LONGEST: usize = 200;

/// Logs a panic with its location and the request ID; with `RUST_BACKTRACE` also with a backtrace.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let words = panic.payload().downcast_ref::<&str>().copied();
    let words = words.or_else(|| panic.payload().downcast_ref::<String>().map(String::as_str));
    let words: String = words.unwrap_or("no message").chars().take(LONGEST).collect();
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    tracing::error!(place, backtrace, "a panic, which is a defect in this program: {words}");
}
