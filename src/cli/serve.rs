//! `pixcolor serve`: the server, from the first line it prints to the last.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use rocket::fairing::AdHoc;
use rocket::{Orbit, Rocket};

use super::CliError;
use crate::config::{self, Source};
use crate::gateway::Gateway;
use crate::provider::Readiness;
use crate::web::{Assets, server};

/// How long work that nobody waits for any more may go on after the server has stopped.
const GRACE: Duration = Duration::from_secs(10);

/// Serves until it is told to stop.
pub fn run(source: &Source) -> Result<ExitCode, CliError> {
    let loaded = super::load(source)?;
    let figment = config::server_figment(source)?;
    let assets =
        Assets::load(loaded.config.assets.templates.as_deref(), loaded.config.assets.r#static.as_deref())?;
    let gateway = super::gateway(loaded)?;
    let rocket = server(figment, gateway.clone(), assets)
        .attach(AdHoc::on_liftoff("announcement", |rocket| Box::pin(async move { announce(rocket) })));
    rocket::execute(async {
        let launched = rocket.launch().await;
        if !gateway.tasks().finish(GRACE).await {
            tracing::warn!(
                "work was still going on {} seconds after the server had stopped",
                GRACE.as_secs()
            );
        }
        launched.map(drop).map_err(|error| explain(&error))
    })?;
    println!("PixColor has stopped.");
    Ok(ExitCode::SUCCESS)
}

/// Says the address, the providers in use and how to stop.
fn announce(rocket: &Rocket<Orbit>) {
    let config = rocket.config();
    println!("PixColor {} listens on http://{}", env!("CARGO_PKG_VERSION"), address(config));
    if let Some(gateway) = rocket.state::<Arc<Gateway>>() {
        let snapshot = gateway.snapshot();
        let named = snapshot.route(None).unwrap_or_default();
        for (place, provider) in named.iter().enumerate() {
            let about = provider.about();
            let where_to = match about.leaves_machine {
                true => "pictures leave this machine",
                false => "pictures stay on this machine",
            };
            let ready = match provider.readiness() {
                Readiness::Ready => String::new(),
                Readiness::NotReady { why, .. } => format!("; not ready: {why}"),
            };
            println!(
                "  provider {}: {} ({} {}), {where_to}{ready}",
                place + 1,
                about.name,
                about.kind,
                about.model
            );
        }
    }
    println!("Stop it with Ctrl+C.");
}

fn address(config: &rocket::Config) -> std::net::SocketAddr {
    (config.address, config.port).into()
}

/// Why the server did not start, in words.
fn explain(error: &rocket::Error) -> CliError {
    use rocket::error::ErrorKind;
    match error.kind() {
        ErrorKind::Bind(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            "the port is taken: another program listens there. Stop it, or choose another port with \
             ROCKET_PORT=8081"
                .into()
        }
        ErrorKind::Bind(error) => format!("the server cannot listen on its address: {error}").into(),
        kind => format!("the server did not start: {kind}").into(),
    }
}
