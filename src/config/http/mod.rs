//! Settings of the kind `http`: any HTTP API, described in a file. The file says what to send, which images the host
//! accepts, where the reply contains the result, how to poll for it, and what a call costs.

mod accepts;
mod hosts;
mod reply;
mod request;
mod template;

use std::collections::BTreeMap;

use url::Url;

pub use accepts::AcceptsConfig;
pub(super) use accepts::{AcceptedFormat, AcceptedSize};
pub use hosts::HostPattern;
pub use reply::{Equals, PollConfig, ReplyConfig, ReplyOutput};
pub(super) use reply::{ReplyPointer, ResultHost};
pub(super) use request::FieldName;
pub use request::{BodyConfig, FormField, JsonTemplate, RequestConfig, RequestPart};
pub(super) use template::{BodyTemplate, LineTemplate, PathTemplate};
pub use template::{Piece, Template, TemplateField};

use schemars::JsonSchema;
use serde::Deserialize;

use super::address::{HOST, address};
use super::kinds::{One, Optional, kind, trimmed};
use super::place::Place;
use super::remote::RemoteConfig;
use super::secret::Secret;
use crate::credit::price::JsonPointer;

#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct HttpConfig {
    /// Name of the model.
    #[serde(with = "One::<ModelName>")]
    pub model: String,
    /// Version of the model. Results of another version are not reused.
    #[serde(default = "first_version", with = "One::<VersionName>")]
    pub version: String,
    /// URL of the host, with the common prefix of all paths. Without it nothing is sent.
    #[serde(default, with = "Optional::<ApiUrl>")]
    pub base_url: Option<Url>,
    /// Whether the host and the hosts of its results may have private addresses.
    #[serde(default)]
    pub allow_private: bool,
    /// Secrets for templates, which refer to them as `{{secret.NAME}}`.
    #[serde(default)]
    #[schemars(extend("default" = null))]
    pub secrets: BTreeMap<String, Secret>,
    #[serde(default)]
    pub accepts: AcceptsConfig,
    pub request: RequestConfig,
    pub reply: ReplyConfig,
    pub poll: Option<PollConfig>,
    pub balance: Option<BalanceConfig>,
    #[serde(flatten)]
    pub remote: RemoteConfig,
}

/// How to read the account's balance: a `GET` with the request's headers, every 15 minutes.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct BalanceConfig {
    /// Path after `base_url`.
    #[serde(default = "template::root", with = "One::<PathTemplate>")]
    pub path: Template,
    /// JSON pointer to the balance.
    #[serde(with = "One::<ReplyPointer>")]
    pub pointer: JsonPointer,
}

kind!(ApiUrl: Url, "api-url", HOST, "", |text| address(text, "secrets"));
kind!(
    ModelName: String, "model-name", "a text", "piddnad/ddcolor",
    |text| Some(text.to_owned()).filter(|text| !text.trim().is_empty() && text.len() <= 200)
);
kind!(
    VersionName: String, "version-name", "a text", "2",
    |text| trimmed(text)
);

fn first_version() -> String {
    "1".to_owned()
}

impl HttpConfig {
    /// Checks the settings against each other.
    pub(super) fn check(&mut self, place: &Place<'_>) {
        self.accepts.check(&place.at(&["accepts"]));
        self.request.check(&place.at(&["request"]), &self.secrets);
        self.reply.check(&place.at(&["reply"]));
        if let Some(poll) = &mut self.poll {
            poll.check(&place.at(&["poll"]));
        }
        if self.reply.output == ReplyOutput::Raw {
            let said = "cannot be used with `output = \"raw\"`: then the reply is the picture and no JSON";
            if self.poll.is_some() {
                place.wrong(&["poll"], said);
            }
            if self.reply.success.is_some() {
                place.wrong(&["reply", "success"], said);
            }
        }
    }

    /// The reason why the provider is not ready, if it has no address.
    pub(super) fn no_address(&self) -> Option<String> {
        self.base_url.is_none().then(|| "it has no address: set `base_url`".to_owned())
    }

    /// The reason why the provider is not ready, if it has no address or one of its secrets has no value.
    pub fn missing(&self) -> Option<String> {
        let unset = |(name, secret): (&String, &Secret)| {
            secret.why_unset().map(|why| format!("its secret `{name}` has no value: {why}"))
        };
        self.no_address().or_else(|| self.secrets.iter().find_map(unset))
    }
}
