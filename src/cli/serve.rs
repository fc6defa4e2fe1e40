//! `pixcolor serve`: starts the server, runs its periodic tasks and stops it.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use rocket::fairing::AdHoc;
use rocket::{Orbit, Rocket};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::signals::Signals;
use super::stop::{self, Connections};
use super::{CliError, LAST, metrics, say};
use crate::config::{self, ConfigSource, Loaded, Watch};
use crate::gateway::Gateway;
use crate::provider::{Readiness, balances};
use crate::web::{self, server};

/// How often expired cache entries and temporary results are removed.
const TIDY_EVERY: Duration = Duration::from_secs(600);

/// How often providers are asked for their account's balance.
const BALANCES_EVERY: Duration = Duration::from_secs(900);

/// How often the rate limits' counters of idle clients are removed.
const FORGET_EVERY: Duration = Duration::from_secs(10);

/// How often Redis and the ledger are checked.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Serves until a signal stops the program.
pub fn run(source: &ConfigSource) -> Result<ExitCode, CliError> {
    // The watch starts before the configuration is read, so that no change is missed.
    let watch = Watch::new(source.clone());
    let loaded = super::load(source)?;
    let figment = config::server_figment(source)?;
    let assets =
        web::assets(loaded.config.assets.templates.as_deref(), loaded.config.assets.r#static.as_deref())?;
    super::key::check(&loaded.config)?;
    let key = loaded.provenance("shared.redis").map_or_else(String::new, |origin| format!("{origin}: "));
    let files = files_in_effect(&loaded, source)?;
    let gateway = super::gateway(loaded, config::server_values(source)?)?;
    if let Err(error) = gateway.ledger_health() {
        tracing::error!("{error}");
    }
    let (connections, connected) = Connections::new();
    let rocket =
        server(figment.clone(), gateway.clone(), assets)
            .manage(connected)
            .attach(AdHoc::on_liftoff("announcement", |rocket| {
                Box::pin(async move { announce(rocket, &files) })
            }));
    let address = figment.extract::<rocket::Config>().map(|config| address(&config))?;
    let own = gateway.snapshot().config.metrics.address;
    if own.is_some_and(|own| own == address && own.port() > 0) {
        let twice =
            format!("`metrics.address` is {address}, where the server itself listens: choose another port");
        return Err(twice.into());
    }
    let runtime = super::runtime(&figment)?;
    let served = runtime.block_on(async {
        // Signals are handled before the server can be reached.
        let mut signals = Signals::new()?;
        let hangups = if signals.takes_hangup() { None } else { hangups() };
        meet(&gateway).await.map_err(|trouble| format!("{key}`shared.redis`: {trouble}"))?;
        let explain = |error: rocket::Error| {
            let next = address.port().saturating_add(1);
            explain(&error, address, &format!("another port, like ROCKET_PORT={next}"))
        };
        let rocket = rocket.ignite().await.map_err(explain)?;
        let times = config::stop_times(&figment);
        let serving = async {
            tokio::select! {
                served = stop::serve(rocket, connections, &mut signals, gateway.tasks(), times) => served,
                never = tidy(&gateway) => match never {},
                never = ask_balances(&gateway) => match never {},
                never = forget_idle_clients(&gateway) => match never {},
                never = follow(source, watch, hangups, &gateway) => match never {},
                never = look_after(&gateway) => match never {},
            }
        };
        let served = match own {
            Some(own) => metrics::beside(figment.clone(), gateway.clone(), own, serving).await?,
            None => serving.await,
        };
        served.map_err(explain)
    });
    // Dropping the runtime settles the reservations of aborted calls; dropping the gateway then flushes the ledger.
    runtime.shutdown_timeout(LAST);
    drop(gateway);
    served?;
    say("PixColor has stopped.");
    Ok(ExitCode::SUCCESS)
}

/// Receives SIGHUP, which reloads the configuration; `None` if that is impossible.
fn hangups() -> Option<Signal> {
    signal(SignalKind::hangup())
        .inspect_err(|error| {
            tracing::warn!("SIGHUP will stop the program instead of reading the configuration: {error}")
        })
        .ok()
}

/// Reloads the configuration when a file changes and on SIGHUP.
async fn follow(
    source: &ConfigSource,
    mut watch: Watch,
    mut hangups: Option<Signal>,
    gateway: &Arc<Gateway>,
) -> std::convert::Infallible {
    let source = Arc::new(source.clone());
    loop {
        let hangup = async {
            match &mut hangups {
                Some(hangups) => hangups.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = watch.changed() => {}
            _ = hangup => {}
        }
        watch.renew().await;
        gateway.reload(&source).await;
    }
}

/// Checks the shared Redis. An unavailable Redis is an error only if `shared.required` is set.
async fn meet(gateway: &Gateway) -> Result<(), String> {
    match (gateway.check_ledger().await, gateway.snapshot().config.shared.required) {
        (Err(trouble), true) => {
            Err(format!("{trouble}; with `shared.required` the gateway does not start without Redis"))
        }
        // The check itself has logged the failure.
        _ => Ok(()),
    }
}

/// Checks Redis and the ledger every two seconds, so that `/readyz` and metrics are current even without requests.
async fn look_after(gateway: &Gateway) -> std::convert::Infallible {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        // The check records its own failure.
        let _ = gateway.check_ledger().await;
    }
}

/// Periodically removes the rate limits' counters of idle clients.
async fn forget_idle_clients(gateway: &Arc<Gateway>) -> std::convert::Infallible {
    loop {
        tokio::time::sleep(FORGET_EVERY).await;
        let idle = gateway.clone();
        // A sweep over thousands of clients takes a while, so it runs in a blocking thread. It fails only at shutdown.
        let _ = gateway.tasks().spawn_blocking(move || idle.quotas().rates.sweep()).await;
    }
}

/// Periodically removes expired cache entries and temporary results.
async fn tidy(gateway: &Gateway) -> std::convert::Infallible {
    loop {
        tokio::time::sleep(TIDY_EVERY).await;
        if let Err(error) = gateway.cache().sweep().await {
            tracing::warn!("expired entries of the cache cannot be removed: {error}");
        }
        if let Err(error) = gateway.files().sweep().await {
            tracing::warn!("expired temporary results cannot be removed: {error}");
        }
    }
}

/// Periodically asks providers for their account's balance.
async fn ask_balances(gateway: &Gateway) -> std::convert::Infallible {
    loop {
        balances(&gateway.snapshot().config, gateway.memory()).await;
        tokio::time::sleep(BALANCES_EVERY).await;
    }
}

/// The paths of the configuration folder and of every configuration file in effect.
fn files_in_effect(loaded: &Loaded, source: &ConfigSource) -> Result<String, CliError> {
    let mut files = loaded.files_in_effect();
    if let Some(server) = config::server_file(source)? {
        files.push_str(&format!(", {}", std::path::absolute(&server).unwrap_or(server).display()));
    }
    Ok(files)
}

/// Prints the address, the configuration's files, the providers of the route and how to stop.
fn announce(rocket: &Rocket<Orbit>, files: &str) {
    let config = rocket.config();
    say(format_args!("PixColor {} listens on http://{}", env!("CARGO_PKG_VERSION"), address(config)));
    say(format_args!("  configuration: {files}"));
    if let Some(gateway) = rocket.state::<Arc<Gateway>>() {
        let snapshot = gateway.snapshot();
        let named = snapshot.route(None).unwrap_or_default();
        for (index, provider) in named.iter().enumerate() {
            let about = provider.info();
            let where_to = match about.leaves_machine {
                true => "pictures leave this machine",
                false => "pictures stay on this machine",
            };
            let ready = match provider.readiness() {
                Readiness::Ready => String::new(),
                Readiness::NotReady { why, .. } => format!("; not ready: {why}"),
            };
            say(format_args!(
                "  provider {}: {} ({} {}), {where_to}{ready}",
                index + 1,
                about.name,
                about.kind,
                about.model
            ));
        }
    }
    say("Stop it with Ctrl+C.");
}

pub(super) fn address(config: &rocket::Config) -> SocketAddr {
    (config.address, config.port).into()
}

/// Explains why a server did not start; `other` says how to choose another address.
pub(super) fn explain(error: &rocket::Error, address: SocketAddr, other: &str) -> CliError {
    use rocket::error::ErrorKind;
    match error.kind() {
        ErrorKind::Bind(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            let port = address.port();
            format!("port {port} is taken: another program listens on {address}. Stop it, or choose {other}")
                .into()
        }
        ErrorKind::Bind(error) => format!("the server cannot listen on {address}: {error}").into(),
        kind => format!("the server did not start: {kind}").into(),
    }
}
