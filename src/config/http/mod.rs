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
pub use hosts::HostPattern;
pub use reply::{Equals, PollConfig, ReplyConfig, ReplyOutput};
pub use request::{BodyConfig, FormField, JsonTemplate, RequestConfig, RequestPart};
pub use template::{Piece, Template, TemplateField};

use super::problem::dotted;
use super::reference::Words;
use super::remote::RemoteConfig;
use super::secret::Secret;
use super::table::Table;
use crate::credit::price::JsonPointer;
use template::TemplatePosition;

const WORDS: Words = &[
    ("model", "Name of the model."),
    ("version", "Version of the model. Results of another version are not reused."),
    ("base_url", "URL of the host, with the common prefix of all paths. Without it nothing is sent."),
    ("allow_private", "Whether the host and the hosts of its results may have private addresses."),
    ("secrets", "Secrets for templates, which refer to them as `{{secret.NAME}}`."),
    ("accepts", "The images that the host accepts."),
    ("request", "The request."),
    ("reply", "The reply."),
    ("poll", "Polling, if the first reply may not contain the image."),
    ("balance", "The account's balance: a `GET` with the request's headers, every 15 minutes."),
];
const BALANCE_WORDS: Words =
    &[("path", "Path after `base_url`."), ("pointer", "JSON pointer to the balance.")];

#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// The model's name, as its maker writes it.
    pub model: String,
    /// Part of the provider identity: results of an old version are never served for a new one.
    pub version: String,
    /// The host and the common prefix of all paths. Without an address the provider is not ready.
    pub base_url: Option<Url>,
    /// Whether this host and the hosts of its results may have private addresses.
    pub allow_private: bool,
    /// Secrets by their names in templates. If one has no value, the provider is not ready.
    pub secrets: BTreeMap<String, Secret>,
    pub accepts: AcceptsConfig,
    pub request: RequestConfig,
    pub reply: ReplyConfig,
    /// How to poll for the result, if the first reply may not contain it.
    pub poll: Option<PollConfig>,
    /// How to request the balance of the account.
    pub balance: Option<BalanceConfig>,
    pub remote: RemoteConfig,
}

/// How to request the balance of an account: a `GET` with the headers of `request`.
#[derive(Clone, Debug)]
pub struct BalanceConfig {
    /// Relative to `base_url`.
    pub path: Template,
    /// Where the reply contains the balance.
    pub pointer: JsonPointer,
}

impl HttpConfig {
    /// Returns none if a required key is missing or invalid; the problem is noted.
    pub(super) fn read(table: &mut Table<'_>) -> Option<Self> {
        table.describe(WORDS);
        const TEXT: &str = "a text such as \"piddnad/ddcolor\"";
        let text = |value: &figment::value::Value| {
            value.as_str().filter(|text| !text.trim().is_empty() && text.len() <= 200).map(str::to_owned)
        };
        let model = table.required("model", TEXT, text);
        let version = table.text("version", "1".to_owned(), |version| match version.trim() {
            "" => Err("a text such as \"2\"".to_owned()),
            version => Ok(version.to_owned()),
        });
        let base_url = table.address("base_url", "secrets");
        let allow_private = table.flag("allow_private", false);
        let secrets = table.secrets("secrets");
        let accepts = table.table("accepts", AcceptsConfig::read);
        let request = table.table("request", |table| RequestConfig::read(table, &secrets));
        let reply = table.table("reply", ReplyConfig::read);
        let poll = table.has("poll").then(|| table.table("poll", PollConfig::read));
        if poll.is_none() {
            table.miss("poll");
        }
        let balance = table.has("balance").then(|| table.table("balance", |table| balance(table, &secrets)));
        if balance.is_none() {
            table.miss("balance");
        }
        let remote = RemoteConfig::read(table);
        let (request, reply) = (request?, reply?);
        if reply.output == ReplyOutput::Raw {
            let said = "cannot be with `output = \"raw\"`: then the reply is the picture and no JSON";
            if poll.is_some() {
                table.problem(&["poll"], format!("`{}` {said}", dotted(&table.at(&["poll"]))));
            }
            if reply.success.is_some() {
                let path = ["reply", "success"];
                table.problem(&path, format!("`{}` {said}", dotted(&table.at(&path))));
            }
        }
        let (poll, balance) = (poll.map_or(Some(None), |poll| poll.map(Some))?, balance.flatten());
        Some(Self {
            model: model?,
            version,
            base_url,
            allow_private,
            secrets,
            accepts,
            request,
            reply,
            poll,
            balance,
            remote,
        })
    }

    /// The reason why the provider is not ready, if it has no address.
    pub(super) fn no_address(&self) -> Option<String> {
        self.base_url.is_none().then(|| "it has no address: set `base_url`".to_owned())
    }

    /// The reason why the provider is not ready, if something is not set.
    pub fn missing(&self) -> Option<String> {
        let unset = |(name, secret): (&String, &Secret)| {
            secret.why_unset().map(|why| format!("its secret `{name}` is not there: {why}"))
        };
        self.no_address().or_else(|| self.secrets.iter().find_map(unset))
    }
}

fn balance(table: &mut Table<'_>, secrets: &BTreeMap<String, Secret>) -> Option<BalanceConfig> {
    table.describe(BALANCE_WORDS);
    let path = table.template("path", "/", TemplatePosition::Path, secrets);
    let pointer = table.pointer("pointer");
    Some(BalanceConfig { path: path?, pointer: pointer? })
}
