//! A validated configuration and its providers. It is immutable: a request reads it once, a reload replaces it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::Error;
use crate::config::Config;
use crate::credit::Credits;
use crate::observe::Metrics;
use crate::provider::{BuildError, Inputs, Provider, ProviderMemory, Readiness, build};

pub struct Snapshot {
    pub config: Config,
    /// The configuration for the operator: each value with its file and line, secrets masked.
    pub report: serde_json::Value,
    /// Fetches images from URLs that clients send; `None` if no hosts are allowed.
    pub inputs: Option<Inputs>,
    providers: BTreeMap<String, Arc<dyn Provider>>,
}

impl Snapshot {
    /// Builds all providers. `memory` has their state that outlives a reload. This function may read files, so it must
    /// not run on an async thread.
    pub fn build(
        config: Config,
        report: serde_json::Value,
        memory: &ProviderMemory,
    ) -> Result<Self, BuildError> {
        let providers = config
            .providers
            .iter()
            .map(|(name, provider)| build(provider, memory).map(|built| (name.clone(), built)))
            .collect::<Result<_, _>>()?;
        let facade = &config.facades.algorithmia;
        let inputs =
            (!facade.hosts.is_empty()).then(|| Inputs::new(facade.hosts.clone(), facade.allow_private));
        let inputs = inputs.transpose().map_err(BuildError::Inputs)?;
        Ok(Self { config, report, inputs, providers })
    }

    /// A snapshot with a test's own providers.
    #[cfg(test)]
    pub(super) fn with(config: Config, providers: impl IntoIterator<Item = Arc<dyn Provider>>) -> Self {
        let providers = providers.into_iter().map(|provider| (provider.info().name.clone(), provider));
        let report = serde_json::Value::Null;
        Self { config, report, inputs: None, providers: providers.collect() }
    }

    /// Creates the metrics of providers that cost credit. Providers that are not ready, for example because they lack
    /// an API key, are left out.
    pub(super) fn count_paid(&self, metrics: &Metrics) {
        let ready = self.providers.values().filter(|provider| provider.readiness() == Readiness::Ready);
        ready
            .map(|provider| provider.info())
            .filter(|about| !self.max_cost(&about.name, about.send_max_pixels).is_zero())
            .for_each(|about| metrics.paid_provider(&about.name));
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.providers.keys().map(String::as_str)
    }

    /// All providers: first those on the route in its order, with their position from 1, then the others by name.
    pub fn in_order(&self) -> impl Iterator<Item = (Option<usize>, &Arc<dyn Provider>)> {
        let route = &self.config.route;
        let on_route = route
            .iter()
            .enumerate()
            .filter_map(|(index, name)| self.providers.get(name).map(|provider| (Some(index + 1), provider)));
        let others = self.providers.iter().filter(|(name, _)| !route.contains(name));
        on_route.chain(others.map(|(_, provider)| (None, provider)))
    }

    /// The most that a provider's call for a picture of this many pixels may cost. Unknown provider: `Credits::MAX`, so
    /// that no budget allows it.
    pub fn max_cost(&self, provider: &str, sent_pixels: u64) -> Credits {
        let config = self.config.providers.get(provider);
        config.map_or(Credits::MAX, |config| config.most_for(sent_pixels))
    }

    /// The least and the most that a provider's call for a picture of this many pixels may cost.
    pub fn cost_bounds(&self, provider: &str, sent_pixels: u64) -> (Credits, Credits) {
        let least = self.config.providers.get(provider).map(|config| config.least_for(sent_pixels));
        (least.unwrap_or_default(), self.max_cost(provider, sent_pixels))
    }

    /// The providers to try, in order: the named one, or the configured route.
    pub fn route(&self, named: Option<&str>) -> Result<Vec<Arc<dyn Provider>>, Error> {
        match named {
            Some(name) => self.providers.get(name).map(|provider| vec![provider.clone()]).ok_or_else(|| {
                let known: Vec<&str> = self.providers.keys().map(String::as_str).collect();
                Error::UnknownProvider { name: name.to_owned(), known: known.join(", ") }
            }),
            // In a validated configuration every name on the route is a provider.
            None => {
                Ok(self.config.route.iter().filter_map(|name| self.providers.get(name)).cloned().collect())
            }
        }
    }
}
