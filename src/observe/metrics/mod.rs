//! Metrics, named by Prometheus's conventions: base units, `_total`, and no label whose values a client can choose.
//!
//! One file per module whose events are counted. All metrics together have at most 200 series with three providers,
//! buckets included. Therefore buckets are few, and requests are distinguished by method and not by route; the log
//! has the routes.
//!
//! The registry is passed in and never global, so that tests and several gateways in one process have separate
//! metrics. The ledger's totals are not counted here again: they are read from the ledger at each scrape and survive
//! a restart.

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

/// All metrics. Cheap to clone.
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
    /// Registers all metrics; fails if the registry has others of the same name.
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
            Opts::new("pixcolor_build_info", "Always 1; the label `version` is the version of this program."),
            &["version"],
        )?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        registry.register(Box::new(build))?;
        let process = prometheus::process_collector::ProcessCollector::for_self();
        registry.register(Box::new(process))?;
        let inner = Inner { registry, http, provider, rendition, cache, codec, quota, reload, shared };
        Ok(Self(Arc::new(inner)))
    }

    /// All metrics in Prometheus's text format, with the current state of the ledger.
    pub fn text(&self, account: &LedgerSnapshot) -> Result<String, prometheus::Error> {
        let mut families = self.0.registry.gather();
        families.extend(account.families()?);
        TextEncoder::new().encode_to_string(&families)
    }
}
