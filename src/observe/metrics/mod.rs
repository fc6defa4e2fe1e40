//! Metrics, by Prometheus' conventions: base units, `_total`, no label whose values a client can choose.
//!
//! One file for each room of the house whose events are counted. All of them together are at most 200 series
//! with three providers, buckets included, which is why buckets are few and requests are told apart by method
//! and not by route: routes are in the log.
//!
//! The registry is handed in, never global, so that tests and several gateways in one process do not
//! share counts. What the ledger knows is not counted here a second time: it is read from there when the
//! metrics are asked for, so that it survives a restart.

mod cache;
mod codec;
mod http;
mod ledger;
mod make;
mod provider;
mod quota;
mod reload;
mod rendition;
mod shared;

use std::sync::Arc;

use prometheus::{IntGaugeVec, Opts, Registry, TextEncoder};

pub use ledger::LedgerSnapshot;
pub use rendition::Saving;

use make::Make;

/// Everything that is counted. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    http: http::HttpMetrics,
    provider: provider::ProviderMetrics,
    rendition: rendition::Renditions,
    cache: cache::Caches,
    codec: codec::Codecs,
    quota: quota::QuotaMetrics,
    reload: reload::ReloadMetrics,
    shared: shared::RedisMetrics,
}

impl Metrics {
    /// Registers all metrics; an error means that the registry has others of the same name.
    pub fn new(registry: Registry) -> Result<Self, prometheus::Error> {
        let make = Make(&registry);
        let http = http::HttpMetrics::new(&make)?;
        let provider = provider::ProviderMetrics::new(&make)?;
        let rendition = rendition::Renditions::new(&make)?;
        let cache = cache::Caches::new(&make)?;
        let codec = codec::Codecs::new(&make)?;
        let quota = quota::QuotaMetrics::new(&make)?;
        let reload = reload::ReloadMetrics::new(&make)?;
        let shared = shared::RedisMetrics::new(&make)?;
        let build = IntGaugeVec::new(
            Opts::new("pixcolor_build_info", "Always 1; its labels say which build this is."),
            &["version"],
        )?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        registry.register(Box::new(build))?;
        let process = prometheus::process_collector::ProcessCollector::for_self();
        registry.register(Box::new(process))?;
        let inner = Inner { registry, http, provider, rendition, cache, codec, quota, reload, shared };
        Ok(Self(Arc::new(inner)))
    }

    /// All metrics in Prometheus' text format, with what the ledger says now.
    pub fn text(&self, account: &LedgerSnapshot) -> Result<String, prometheus::Error> {
        let mut families = self.0.registry.gather();
        families.extend(account.families()?);
        TextEncoder::new().encode_to_string(&families)
    }
}
