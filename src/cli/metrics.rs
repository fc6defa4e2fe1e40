//! The metrics' own address: a small server beside the public one, that begins before it and ends after it.

use std::net::SocketAddr;
use std::sync::Arc;

use figment::providers::Serialized;
use rocket::fairing::AdHoc;
use rocket::figment::Figment;
use tokio::sync::oneshot;

use super::serve::{address, explain};
use super::{CliError, say};
use crate::gateway::Gateway;
use crate::web::metrics_server;

/// Serves the metrics at `own` for as long as `main` takes, which begins when they can be had.
pub async fn beside<T>(
    figment: Figment,
    gateway: Arc<Gateway>,
    own: SocketAddr,
    main: impl Future<Output = T>,
) -> Result<T, CliError> {
    let (up, is_up) = oneshot::channel();
    let figment = figment
        .merge(Serialized::global("address", own.ip()))
        .merge(Serialized::global("port", own.port()))
        // It ends with the public server, which the operator stops, and has nothing to wait for.
        .merge(Serialized::global("shutdown.grace", 0));
    let begun = AdHoc::on_liftoff("metrics", |rocket| {
        Box::pin(async move {
            say(format_args!("  metrics at http://{}/metrics", address(rocket.config())));
            // Nobody waits any more if the program ends already.
            let _ = up.send(());
        })
    });
    let advice = "another with `metrics.address` in pixcolor.toml";
    let explain = |error: &rocket::Error| explain(error, own, advice);
    let rocket =
        metrics_server(figment, gateway).attach(begun).ignite().await.map_err(|error| explain(&error))?;
    let stop = rocket.shutdown();
    let metrics = rocket.launch();
    tokio::pin!(metrics);
    tokio::select! {
        ended = &mut metrics => {
            let why = ended.err().map_or_else(|| "the server of the metrics has stopped".into(), |error| explain(&error));
            return Err(why);
        }
        _ = is_up => {}
    }
    let main = async {
        let done = main.await;
        stop.notify();
        done
    };
    let (done, ended) = futures::join!(main, metrics);
    if let Err(error) = ended {
        tracing::warn!("the server of the metrics did not end well: {}", explain(&error));
    }
    Ok(done)
}
