//! `pixcolor health`: whether a gateway is alive, for container engines, whose images have no other program to ask.

use std::net::IpAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use reqwest::{StatusCode, Url};

use super::CliError;
use crate::config::{self, ConfigSource};
use crate::provider::{AddressPolicy, HttpClient, HttpTimeouts};

/// How long the gateway may take: less than engines wait for the command.
const TIME: Duration = Duration::from_secs(4);

/// Most bytes of an answer.
const MOST: u64 = 1 << 20;

/// What `health` is told.
#[derive(clap::Args)]
pub struct Args {
    /// The gateway [default: the one on this machine, at the configured port]
    #[arg(value_name = "URL")]
    url: Option<Url>,
    /// Ask whether it could colour a picture now, and not only whether it is alive
    #[arg(long)]
    ready: bool,
}

/// Asks; fails when the answer is not 200.
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

/// Where the gateway with this configuration listens, as seen from here.
fn here(source: &ConfigSource) -> Result<Url, CliError> {
    let settings = config::server_figment(source)?.extract::<rocket::Config>()?;
    let address = match settings.address {
        IpAddr::V4(address) if address.is_unspecified() => IpAddr::from([127, 0, 0, 1]),
        IpAddr::V6(address) if address.is_unspecified() => IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
        address => address,
    };
    if settings.port == 0 {
        return Err("the gateway chooses a port by itself (`port` is 0): name its address".into());
    }
    let address = std::net::SocketAddr::from((address, settings.port));
    Ok(format!("http://{address}/").parse()?)
}
