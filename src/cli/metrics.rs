//! Serves metrics at their own address: a second server that starts before the public one and stops after it.

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

/// Serves metrics at `own` while `main` runs. `main` starts when the metrics can be reached.
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
        // The metrics server stops after the public server, and does not wait for its own requests.
        .merge(Serialized::global("shutdown.grace", 0));
    let begun = AdHoc::on_liftoff("metrics", |rocket| {
        Box::pin(async move {
            say(format_args!("  metrics at http://{}/metrics", address(rocket.config())));
            // The receiver is gone if the program is already stopping.
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
            let why = ended.err().map_or_else(|| "the metrics server has stopped".into(), |error| explain(&error));
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
        tracing::warn!("the metrics server stopped with an error: {}", explain(&error));
    }
    Ok(done)
}
