//! `pixcolor health`: checks whether a gateway is alive. Container engines run this command, because the container
//! image has no other HTTP client.

use std::net::IpAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use reqwest::{StatusCode, Url};

use super::CliError;
use crate::config::{self, ConfigSource};
use crate::provider::{AddressPolicy, HttpClient, HttpTimeouts};

/// Time-out of the check, shorter than that of `HEALTHCHECK` in the Containerfile.
const TIME: Duration = Duration::from_secs(4);

/// Maximum size of a response in bytes.
const MOST: u64 = 1 << 20;

#[derive(clap::Args)]
pub struct Args {
    /// The gateway's URL [default: this machine at the configured port]
    #[arg(value_name = "URL")]
    url: Option<Url>,
    /// Check whether the gateway could colour a picture now (/readyz), not only whether it is alive (/healthz)
    #[arg(long)]
    ready: bool,
}

/// Prints the gateway's answer; fails unless its status is 200.
pub fn run(source: &ConfigSource, args: &Args) -> Result<ExitCode, CliError> {
    let base = match &args.url {
        Some(url) => url.clone(),
        None => here(source)?,
    };
    let path = if args.ready { "readyz" } else { "healthz" };
    let url = base.join(path)?;
    let client = HttpClient::new(HttpTimeouts { connect: TIME, first_byte: TIME }, AddressPolicy::Anywhere)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let reply = runtime.block_on(client.send(client.get(url.clone()), MOST, Instant::now() + TIME));
    let reply = reply.map_err(|error| format!("{url}: {error}"))?;
    let said = String::from_utf8_lossy(&reply.body);
    match reply.status {
        StatusCode::OK => {
            super::say(said);
            Ok(ExitCode::SUCCESS)
        }
        status => Err(format!("{url} answers with status {status}: {said}").into()),
    }
}

/// The URL of the gateway with this configuration on this machine.
fn here(source: &ConfigSource) -> Result<Url, CliError> {
    let settings = config::server_figment(source)?.extract::<rocket::Config>()?;
    let address = match settings.address {
        IpAddr::V4(address) if address.is_unspecified() => IpAddr::from([127, 0, 0, 1]),
        IpAddr::V6(address) if address.is_unspecified() => IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
        address => address,
    };
    if settings.port == 0 {
        return Err("`port` is 0, so the gateway chooses its own port: give its URL as an argument".into());
    }
    let address = std::net::SocketAddr::from((address, settings.port));
    Ok(format!("http://{address}/").parse()?)
}
