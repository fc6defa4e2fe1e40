//! Colours pictures in this process, with the server's pipeline.

use std::sync::Arc;
use std::time::{Duration, Instant};

use time::{Date, OffsetDateTime};
use tokio_util::sync::CancellationToken;

use super::super::{complain, usage};
use super::work::ColoredPicture;
use crate::config::{Config, OutputConfig};
use crate::credit::Credits;
use crate::gateway::{
    Client, ColorizeRequest, Connection, Error, Gateway, RenditionOptions, RenditionOrigin, Reuse, Upload,
};
use crate::hex::hex;
use crate::provider::{Readiness, Trace};

/// A picture waits for the decoder and for providers at least this long.
const PATIENCE: Duration = Duration::from_secs(600);

/// The command line as the client: connected until a signal stops the command.
#[derive(Debug)]
struct Terminal(CancellationToken);

impl Connection for Terminal {
    fn is_open(&self) -> bool {
        !self.0.is_cancelled()
    }
}

/// A gateway in this process.
pub struct Local {
    pub gateway: Arc<Gateway>,
    pub provider: Option<String>,
    /// Cancelled by a signal: calls that have not begun are dropped.
    pub stop: CancellationToken,
}

impl Local {
    pub async fn color(&self, upload: Upload, options: RenditionOptions) -> Result<ColoredPicture, Error> {
        let snapshot = self.gateway.snapshot();
        // Waiting for a decoder counts towards the deadline.
        let deadline = Instant::now() + snapshot.config.limits.request.max(PATIENCE);
        let request = ColorizeRequest {
            upload,
            provider: self.provider.clone(),
            options,
            client: Client { address: None, key: None },
            reuse: Reuse::default(),
            received: Instant::now(),
            deadline,
            trace: Trace::default(),
            connection: Some(Arc::new(Terminal(self.stop.clone()))),
        };
        let rendition = self.gateway.colorize(snapshot.clone(), request).await?;
        let colored_by = rendition.colored_by();
        let credits = rendition.spent().credits;
        let worth = colored_by.and_then(|(provider, _)| snapshot.config.worth(provider));
        Ok(ColoredPicture {
            provider: colored_by.map(|(provider, _)| provider.to_owned()),
            model: colored_by.map(|(_, model)| model.to_owned()),
            width: rendition.width,
            height: rendition.height,
            credits,
            money: worth.zip(credits).map(|(worth, credits)| worth.of(credits)),
            damage: rendition.damage.as_ref().map(ToString::to_string),
            cached: matches!(rendition.origin, RenditionOrigin::Cached(_) | RenditionOrigin::Merged(_)),
            bytes: rendition.bytes,
        })
    }

    /// The most that a call for one picture may cost.
    pub fn most(&self) -> Credits {
        let snapshot = self.gateway.snapshot();
        let route = snapshot.route(self.provider.as_deref()).unwrap_or_default();
        // A provider that is not ready now may become ready during the run.
        let may_be_called = |readiness| match readiness {
            Readiness::Ready => true,
            Readiness::NotReady { retry_after, .. } => retry_after.is_some(),
        };
        let called = route.iter().filter(|provider| may_be_called(provider.readiness()));
        let most = called.map(|provider| {
            let about = provider.info();
            snapshot.max_cost(&about.name, about.send_max_pixels)
        });
        most.max().unwrap_or_default()
    }

    /// Everything of the configuration that changes results.
    pub fn settings(&self) -> Vec<String> {
        let snapshot = self.gateway.snapshot();
        let config = &snapshot.config;
        let OutputConfig { jpeg_quality, webp_quality, mark } = config.output;
        let mut settings = vec![
            format!("jpeg={jpeg_quality} webp={webp_quality} mark={mark}"),
            // Their words in the configuration: names of types may change.
            serde_json::json!([config.on_color, config.on_damage]).to_string(),
        ];
        let route = snapshot.route(self.provider.as_deref()).unwrap_or_default();
        settings.extend(route.iter().map(|provider| hex(&provider.info().identity().0)));
        settings
    }

    /// Whether a call may cost credit. If the ledger cannot be used, prints what to do and returns false.
    pub fn costs_credit(&self) -> bool {
        let snapshot = self.gateway.snapshot();
        // An unknown provider is reported for each photograph.
        let mut asked = snapshot.route(self.provider.as_deref()).unwrap_or_default();
        asked.retain(|provider| {
            let about = provider.info();
            let most = snapshot.max_cost(&about.name, about.send_max_pixels);
            provider.readiness() == Readiness::Ready && !most.is_zero()
        });
        if let (Some(first), Err(error)) = (asked.first(), self.gateway.ledger_health()) {
            complain(format_args!(
                "Provider {} costs credit and is not called, because the ledger cannot be used: {}; use a running gateway with `--gateway URL`, stop it, or use another ledger with `--state-dir FOLDER`.",
                first.info().name,
                error.reason
            ));
            return false;
        }
        !asked.is_empty()
    }
}

/// Computes from the ledger what the command line's calls have cost.
pub struct CostSummary {
    config: Config,
    since: Date,
    before: Option<Credits>,
}

impl CostSummary {
    pub fn new(config: Config) -> Self {
        let since = OffsetDateTime::now_utc().date();
        let before = usage::charged_since(&config, since);
        Self { config, since, before }
    }

    /// Describes the charges since this summary was created.
    pub fn charged(&self, cut_off: usize) -> String {
        match (self.before, usage::charged_since(&self.config, self.since)) {
            (Some(before), Some(now)) => {
                let in_full = if cut_off > 0 { ", in full for calls that were cut off" } else { "" };
                format!("{} credits were charged{in_full}", now.minus(before))
            }
            _ => "`pixcolor usage` shows what was charged".to_owned(),
        }
    }
}
