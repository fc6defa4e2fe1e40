//! What a run would probably cost with each provider, from past calls and from prices.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::HumanDuration;
use serde_json::Value;

use super::super::{CliError, say};
use super::local::Local;
use super::work::Colorer;
use crate::credit::{Credits, SizeClass};
use crate::gateway::{Client, EstimateRequest, ExpectedCost, RenditionOptions};

/// The pictures of a size class.
#[derive(Clone, Copy, Debug, Default)]
struct Class {
    count: u64,
    pixels: u64,
}

/// The estimate of a provider, for one picture or for several together.
#[derive(Clone, Debug)]
pub struct ProviderCost {
    pub low: Credits,
    pub high: Credits,
    pub money: Option<MoneyRange>,
    /// `None`: there are no past calls for pictures of this size.
    pub time: Option<Duration>,
}

/// Amounts in millionths.
#[derive(Clone, Debug)]
pub struct MoneyRange {
    pub low: Credits,
    pub high: Credits,
    pub currency: String,
}

impl ProviderCost {
    /// The cost of `count` pictures, `jobs` of them at a time.
    fn times(self, count: u64, jobs: usize) -> Self {
        let count_of = i64::try_from(count).unwrap_or(i64::MAX);
        let times = |credits: Credits| Credits::from_micro(credits.micro().saturating_mul(count_of));
        Self {
            low: times(self.low),
            high: times(self.high),
            money: self.money.map(|money| MoneyRange {
                low: times(money.low),
                high: times(money.high),
                ..money
            }),
            time: self.time.map(|time| time.mul_f64(count as f64 / jobs as f64)),
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            low: self.low.plus(other.low),
            high: self.high.plus(other.high),
            money: self.money.zip(other.money).map(|(one, other)| MoneyRange {
                low: one.low.plus(other.low),
                high: one.high.plus(other.high),
                currency: one.currency,
            }),
            time: self.time.zip(other.time).map(|(one, other)| one + other),
        }
    }

    fn columns(&self, provider: &str) -> [String; 4] {
        [
            provider.to_owned(),
            range(self.low, self.high, "credits"),
            self.money
                .as_ref()
                .map_or_else(|| "-".to_owned(), |money| range(money.low, money.high, &money.currency)),
            self.time.map_or_else(
                || "unknown: no call of this kind was made yet".to_owned(),
                |time| HumanDuration(time).to_string(),
            ),
        ]
    }
}

fn range(low: Credits, high: Credits, unit: &str) -> String {
    if low == high { format!("{low} {unit}") } else { format!("{low} to {high} {unit}") }
}

fn classes(pixels: &[u64]) -> BTreeMap<SizeClass, Class> {
    let mut classes = BTreeMap::<SizeClass, Class>::new();
    for &pixels in pixels {
        let class = classes.entry(SizeClass::of(pixels)).or_default();
        class.count += 1;
        class.pixels += pixels;
    }
    classes
}

/// The costs of each provider of the route, in its order. Pictures of a size class count as pictures of their mean
/// size.
pub async fn estimate(
    pixels: &[u64],
    colorer: &Colorer,
    jobs: usize,
) -> Result<Vec<(String, ProviderCost)>, CliError> {
    let mut all: Vec<(String, ProviderCost)> = Vec::new();
    for class in classes(pixels).values() {
        let side = ((class.pixels / class.count) as f64).sqrt().round().max(1.0) as u32;
        let one = match colorer {
            Colorer::Here(local) => of_local(local, (side, side)).await?,
            Colorer::There { remote, provider } => of_remote(
                &remote.estimate(Some((side, side)), provider.as_deref()).await?,
                provider.as_deref(),
            ),
        };
        for (provider, cost) in one {
            let cost = cost.times(class.count, jobs);
            match all.iter().position(|(name, _)| *name == provider) {
                Some(place) => all[place].1 = all[place].1.clone().plus(cost),
                None => all.push((provider, cost)),
            }
        }
    }
    Ok(all)
}

async fn of_local(local: &Local, size: (u32, u32)) -> Result<Vec<(String, ProviderCost)>, CliError> {
    let request = EstimateRequest {
        size: Some(size),
        fingerprint: None,
        provider: local.provider.clone(),
        input: None,
        options: RenditionOptions::default(),
        client: Client { address: None, key: None },
        lookup: false,
    };
    let estimate = local.gateway.estimate(local.gateway.snapshot(), request).await?;
    let named = local.provider.as_deref();
    let wanted = estimate.providers.into_iter().filter(|offer| match named {
        Some(name) => offer.provider == name,
        None => offer.position.is_some(),
    });
    let cost = |expected: ExpectedCost| ProviderCost {
        low: expected.low,
        high: expected.high,
        money: expected.worth.map(|worth| MoneyRange {
            low: Credits::from_micro(worth.of(expected.low).micro),
            high: Credits::from_micro(worth.of(expected.high).micro),
            currency: worth.currency.to_string(),
        }),
        time: expected.time.map(|time| time.typical),
    };
    Ok(wanted.map(|offer| (offer.provider, cost(offer.expected))).collect())
}

/// Reads the response of `/v1/estimate`. What a gateway of another version lacks is unknown.
fn of_remote(estimate: &Value, named: Option<&str>) -> Vec<(String, ProviderCost)> {
    let offers = estimate["providers"].as_array().map(Vec::as_slice).unwrap_or_default();
    let wanted = offers.iter().filter(|offer| match named {
        Some(name) => offer["name"] == name,
        None => !offer["place"].is_null(),
    });
    let amount = |amount: &Value| amount.as_str().and_then(|text| text.parse().ok()).unwrap_or_default();
    let cost = |offer: &Value| ProviderCost {
        low: amount(&offer["credits"]["low"]),
        high: amount(&offer["credits"]["high"]),
        money: offer["money"]["currency"].as_str().map(|currency| MoneyRange {
            low: amount(&offer["money"]["low"]),
            high: amount(&offer["money"]["high"]),
            currency: currency.to_owned(),
        }),
        time: offer["seconds"]["typical"].as_f64().and_then(|time| Duration::try_from_secs_f64(time).ok()),
    };
    let name = |offer: &Value| offer["name"].as_str().unwrap_or_default().to_owned();
    wanted.map(|offer| (name(offer), cost(offer))).collect()
}

/// The most that a gateway's call for a picture of any size may cost, by its estimate.
pub fn most(estimate: &Value, named: Option<&str>) -> Credits {
    let offers = estimate["providers"].as_array().map(Vec::as_slice).unwrap_or_default();
    let wanted = offers.iter().filter(|offer| match named {
        Some(name) => offer["name"] == name,
        None => !offer["place"].is_null(),
    });
    let most = |offer: &Value| offer["credits"]["most"].as_str().and_then(|text| text.parse().ok());
    wanted.filter_map(most).max().unwrap_or_default()
}

pub fn print(costs: &[(String, ProviderCost)]) {
    let head = ["provider", "credits", "money", "time"].map(str::to_owned);
    let lines: Vec<[String; 4]> =
        std::iter::once(head).chain(costs.iter().map(|(name, cost)| cost.columns(name))).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 4] = std::array::from_fn(width);
    for line in &lines {
        let cells = line.iter().zip(widths).map(|(text, width)| format!("{text:<width$}"));
        say(cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_estimates_of_all_size_classes_are_added() {
        let offer = json!({"providers": [
            {"name": "far", "place": 1, "credits": {"low": "1.5", "high": "2", "most": "60"},
             "money": {"currency": "EUR", "low": "0.3", "high": "0.4"}, "seconds": {"typical": 2.0}},
            {"name": "other", "place": null, "credits": {"low": "9", "high": "9", "most": "99"}},
        ]});
        let one = of_remote(&offer, None);
        assert_eq!((one.len(), one[0].0.as_str()), (1, "far"));
        let all = one[0].1.clone().times(10, 4).plus(one[0].1.clone().times(2, 4));
        assert_eq!(
            all.columns("far"),
            ["far", "18 to 24 credits", "3.6 to 4.8 EUR", "6 seconds"].map(str::to_owned)
        );
        assert_eq!(of_remote(&offer, Some("other"))[0].1.columns("other")[1], "9 credits");
        assert_eq!(
            (most(&offer, None), most(&offer, Some("other"))),
            ("60".parse().unwrap(), "99".parse().unwrap())
        );
    }
}
