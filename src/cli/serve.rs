//! `pixcolor serve`: the server, from the first line it prints to the last.

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

/// How often the cache is looked through.
const TIDY_EVERY: Duration = Duration::from_secs(600);

/// How often providers are asked what is left on their accounts.
const BALANCES_EVERY: Duration = Duration::from_secs(900);

/// How often clients that are idle are forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(10);

/// How often Redis is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Serves until it is told to stop.
pub fn run(source: &ConfigSource) -> Result<ExitCode, CliError> {
    // Before it is read: no change is missed.
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
        // Before anybody can know that it runs: from here on no signal kills.
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
    // Reservations that are cut off go back to the ledger here, and the ledger is written to its end after that.
    runtime.shutdown_timeout(LAST);
    drop(gateway);
    served?;
    say("PixColor has stopped.");
    Ok(ExitCode::SUCCESS)
}

/// What asks for the configuration to be read again.
fn hangups() -> Option<Signal> {
    signal(SignalKind::hangup())
        .inspect_err(|error| {
            tracing::warn!("SIGHUP will stop the program instead of reading the configuration: {error}")
        })
        .ok()
}

/// Reads the configuration again whenever it has changed, and when it is told to.
async fn follow(
    source: &ConfigSource,
    mut watch: Watch,
    mut hangups: Option<Signal>,
    gateway: &Arc<Gateway>,
) -> std::convert::Infallible {
    let source = Arc::new(source.clone());
    loop {
        let told = async {
            match &mut hangups {
                Some(hangups) => hangups.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = watch.changed() => {}
            _ = told => {}
        }
        watch.renew().await;
        gateway.reload(&source).await;
    }
}

/// Sees whether what replicas share is there; an error only where it must be.
async fn meet(gateway: &Gateway) -> Result<(), String> {
    match (gateway.check_ledger().await, gateway.snapshot().config.shared.required) {
        (Err(trouble), true) => {
            Err(format!("{trouble}; with `shared.required` the gateway does not start without it"))
        }
        // The trouble itself has been warned of.
        _ => Ok(()),
    }
}

/// Now and then looks whether what replicas share can be used, so that `/readyz` and metrics are true though no request
/// needs it.
async fn look_after(gateway: &Gateway) -> std::convert::Infallible {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        // What is wrong is noted where it happens.
        let _ = gateway.check_ledger().await;
    }
}

/// Now and then forgets clients that have not come for a while.
async fn forget_idle_clients(gateway: &Arc<Gateway>) -> std::convert::Infallible {
    loop {
        tokio::time::sleep(FORGET_EVERY).await;
        let idle = gateway.clone();
        // Thousands of clients take a while. It fails only at the end of the program.
        let _ = gateway.tasks().spawn_blocking(move || idle.quotas().rates.sweep()).await;
    }
}

/// Now and then looks through what is kept, so that what has expired goes though nobody asks for it.
async fn tidy(gateway: &Gateway) -> std::convert::Infallible {
    loop {
        tokio::time::sleep(TIDY_EVERY).await;
        if let Err(error) = gateway.cache().sweep().await {
            tracing::warn!("the cache cannot be tidied: {error}");
        }
        if let Err(error) = gateway.files().sweep().await {
            tracing::warn!("temporary results cannot be tidied: {error}");
        }
    }
}

/// Now and then asks what is left on the providers' accounts.
async fn ask_balances(gateway: &Gateway) -> std::convert::Infallible {
    loop {
        balances(&gateway.snapshot().config, gateway.memory()).await;
        tokio::time::sleep(BALANCES_EVERY).await;
    }
}

/// The configuration's folder and every file that is in effect.
fn files_in_effect(loaded: &Loaded, source: &ConfigSource) -> Result<String, CliError> {
    let mut files = loaded.files_in_effect();
    if let Some(server) = config::server_file(source)? {
        files.push_str(&format!(", {}", std::path::absolute(&server).unwrap_or(server).display()));
    }
    Ok(files)
}

/// Says the address, the configuration's files, the providers in use and how to stop.
fn announce(rocket: &Rocket<Orbit>, files: &str) {
    let config = rocket.config();
    say(format_args!("PixColor {} listens on http://{}", env!("CARGO_PKG_VERSION"), address(config)));
    say(format_args!("  configuration: {files}"));
    if let Some(gateway) = rocket.state::<Arc<Gateway>>() {
        let snapshot = gateway.snapshot();
        let named = snapshot.route(None).unwrap_or_default();
        for (place, provider) in named.iter().enumerate() {
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
                place + 1,
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

/// Why a server did not start, in words; `other` is how to choose another address.
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
