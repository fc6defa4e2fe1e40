//! Account balances, for providers whose API reports one. A background task fetches them for a metric.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::Value;

use super::HttpHost;
use super::pick::Picker;
use super::request::TemplateValues;
use crate::config::{BalanceConfig, Common, Config, HttpConfig, KindConfig};
use crate::provider::ProviderMemory;
use crate::tasks;

/// Time limit for one host.
const TIME_LIMIT: Duration = Duration::from_secs(20);

/// The largest accepted reply, in bytes.
const MAX_REPLY: u64 = 1 << 20;

/// Fetches the balance of every provider with a `[balance]` section and updates the metric. A provider that does not
/// return a balance has no metric.
pub async fn balances(config: &Config, memory: &ProviderMemory) {
    for (name, provider) in &config.providers {
        let KindConfig::Http(http) = &provider.kind else { continue };
        let Some(balance) = http.balance.as_ref().filter(|_| http.missing().is_none()) else {
            memory.set_balance(name, None);
            continue;
        };
        let result = ask(provider.common, http, balance).await;
        if let Err(why) = &result {
            tracing::debug!(provider = %name, "the balance of provider {name} cannot be read: {why}");
        }
        memory.set_balance(name, result.ok());
    }
}

async fn ask(common: Common, config: &HttpConfig, balance: &BalanceConfig) -> Result<f64, String> {
    let copy = config.clone();
    // Building a client may read certificate files.
    let host = tasks::spawn_blocking(move || HttpHost::new(&common, &copy)).await;
    let host = host.map_err(|error| error.to_string())??;
    let values = TemplateValues { config, picture: None, seconds: TIME_LIMIT.as_secs(), shown: false };
    let keys = values.keys().map_err(|error| error.to_string())?;
    let request = host.http.request(Method::GET, values.url(&host.rules.own, &balance.path)).headers(keys);
    let reply = host
        .http
        .send(request, MAX_REPLY, Instant::now() + TIME_LIMIT)
        .await
        .map_err(|error| error.to_string())?;
    if !reply.status.is_success() {
        return Err(format!("status {}", reply.status.as_u16()));
    }
    let json = Picker::new([&balance.pointer]).read(&reply.body).unwrap_or_default();
    let number = match json.pointer(balance.pointer.as_str()) {
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::String(text)) => text.trim().parse().ok(),
        _ => None,
    };
    number
        .filter(|number| number.is_finite())
        .ok_or_else(|| format!("there is no number at {}", balance.pointer))
}
