//! Settings of the object store that several gateways share: a bucket with the S3 protocol.
//!
//! AWS's own variables work here too: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`,
//! `AWS_REGION`, `AWS_ENDPOINT_URL_S3`, and the variables of roles. They apply only if a store is configured, and
//! each only if the configuration does not set the same value.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smart_default::SmartDefault;
use url::Url;

use super::kinds::{One, Optional, Seconds, kind};
use super::place::Place;
use super::problem::ValueOrigin;
use super::secret::Secret;

/// The variables that supply the ID, the secret and the session token of an access key.
pub(super) const KEY_VARIABLES: [&str; 3] =
    ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];
/// The variables that supply the region.
pub(super) const REGION_VARIABLES: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];
/// The variables that supply the endpoint.
pub(super) const ENDPOINT_VARIABLES: [&str; 2] = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"];
/// The variables that configure the role of a machine or a container. If none is set, the metadata service supplies the
/// role.
const ROLE_VARIABLES: [&str; 7] = [
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_ENDPOINT_URL_STS",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
];

/// Connection to the bucket of `cache.store`. Defaults come from AWS's own variables.
#[derive(Clone, Debug, Deserialize, JsonSchema, SmartDefault)]
#[serde(default)]
pub(super) struct S3Config {
    /// URL of the store. Default: `AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL` if set, otherwise AWS.
    #[serde(with = "Optional::<StoreUrl>")]
    endpoint: Option<Url>,
    /// Whether the URL may be `http://`, which is not encrypted.
    allow_http: bool,
    /// Region for signing requests. Default: `AWS_REGION` or `AWS_DEFAULT_REGION` if set, otherwise us-east-1.
    #[serde(with = "One::<Region>")]
    #[default("us-east-1".to_owned())]
    region: String,
    /// Credentials: the access key below ("key"), or the role of this machine or container ("role").
    credentials: CredentialsFrom,
    /// ID of the access key. Default: the variable `AWS_ACCESS_KEY_ID`.
    access_key_id: Option<Secret>,
    /// Secret of the access key. Default: the variable `AWS_SECRET_ACCESS_KEY`.
    secret_access_key: Option<Secret>,
    /// Token of a temporary access key. Default: the variable `AWS_SESSION_TOKEN`, if the access key is from variables,
    /// too.
    session_token: Option<Secret>,
    /// Time-out for reading or writing a result, in seconds.
    #[serde(with = "One::<Seconds>")]
    #[schemars(range(min = 0.1, max = 60))]
    #[default(Duration::from_secs(3))]
    timeout: Duration,
    /// Maximum pause before a failed store is tried again, in seconds. Meanwhile, requests work without the store.
    #[serde(with = "One::<Seconds>")]
    #[schemars(range(min = 0.1, max = 3600))]
    #[default(Duration::from_secs(30))]
    pause: Duration,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum CredentialsFrom {
    #[default]
    Key,
    Role,
}

/// A bucket and the prefix of all objects in it, which may be empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bucket {
    name: String,
    prefix: String,
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slash = if self.prefix.is_empty() { "" } else { "/" };
        write!(f, "s3://{}{slash}{}", self.name, self.prefix)
    }
}

kind!(
    BucketUrl: Bucket, "bucket-url",
    "the address of a bucket with the S3 protocol, such as \"s3://bucket\" or \"s3://bucket/prefix\"", "",
    |text| bucket(text)
);
kind!(
    StoreUrl: Url, "store-url", STORE, "",
    // The value is not quoted, because it may contain a password.
    |text| address(text).ok_or_else(|| format!("must be {STORE}"))
);
kind!(
    Region: String, "region", "the name of a region", "eu-west-3",
    |text| (!text.is_empty()).then(|| text.to_owned())
);

/// A bucket and the settings of its store. Printed as `s3://bucket/prefix`.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    pub bucket: String,
    /// The prefix of all objects; may be empty.
    pub prefix: String,
    /// `None` means AWS.
    pub endpoint: Option<Url>,
    /// The region for which requests are signed.
    pub region: String,
    pub credentials: StoreCredentials,
    /// Time-out of reading or writing one object.
    pub timeout: Duration,
    /// The longest time for which the circuit breaker stays open after failures.
    pub pause: Duration,
}

/// The credentials for a store.
#[derive(Clone, Debug)]
pub enum StoreCredentials {
    /// An access key; the ID and the secret have values.
    Key {
        id: Secret,
        secret: Secret,
        /// The session token of a temporary key.
        token: Option<Secret>,
    },
    /// The role of this machine or container, as AWS's settings by name.
    Role(Vec<(String, String)>),
}

impl fmt::Display for StoreConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Bucket { name: self.bucket.clone(), prefix: self.prefix.clone() }.fmt(f)
    }
}

impl S3Config {
    /// Checks the settings, and completes them for a bucket. Returns `None` without a bucket or without credentials.
    pub(super) fn checked(&self, bucket: Option<Bucket>, place: &Place<'_>) -> Option<StoreConfig> {
        let insecure = self.endpoint.as_ref().is_some_and(|url| url.scheme() == "http");
        if insecure && !self.allow_http {
            let wrong =
                "begins with http://, which is not encrypted: use https://, or set `allow_http = true`";
            place.wrong(&["s3", "endpoint"], wrong);
        }
        let Bucket { name: bucket, prefix } = bucket?;
        let credentials = match self.credentials {
            CredentialsFrom::Role => {
                let source = place.reader.source;
                let set = |name: &&str| Some(((*name).to_owned(), source.var(name)?.to_owned()));
                StoreCredentials::Role(ROLE_VARIABLES.iter().filter_map(set).collect())
            }
            CredentialsFrom::Key => self.key(place)?,
        };
        let (endpoint, region) = (self.endpoint.clone(), self.region.clone());
        let (timeout, pause) = (self.timeout, self.pause);
        Some(StoreConfig { bucket, prefix, endpoint, region, credentials, timeout, pause })
    }

    fn key(&self, place: &Place<'_>) -> Option<StoreCredentials> {
        if place.is_no_table("s3") {
            return None;
        }
        for (key, secret, variable) in [
            ("access_key_id", &self.access_key_id, KEY_VARIABLES[0]),
            ("secret_access_key", &self.secret_access_key, KEY_VARIABLES[1]),
        ] {
            let why = match secret {
                Some(secret) => secret.why_unset(),
                None => Some(format!("environment variable {variable} is not set")),
            };
            let invalid = secret.is_none() && place.at(&["s3"]).has(key);
            if let Some(why) = why.filter(|_| !invalid) {
                let name = place.key(&["s3", key]);
                let message = format!(
                    "`cache.store` needs `{name}`, which has no value: {why}. Or set `credentials = \"role\"`, if this machine has a role"
                );
                // The problem is at this key if it is set, and otherwise at `cache.store`.
                let tail: &[&str] = if secret.is_some() { &["s3", key] } else { &["store"] };
                place.problem(tail, message);
            }
        }
        // With an access key from AWS's own variables, a token without a value is ignored.
        let own = place.origin(&["s3", "access_key_id"]) != ValueOrigin::Env(KEY_VARIABLES[0].to_owned());
        let token = self.session_token.as_ref().filter(|token| own || token.expose().is_some());
        if let Some(why) = token.and_then(Secret::why_unset) {
            place.wrong(&["s3", "session_token"], format!("has no value: {why}"));
        }
        Some(StoreCredentials::Key {
            id: self.access_key_id.clone()?,
            secret: self.secret_access_key.clone()?,
            token: token.cloned(),
        })
    }
}

/// Parses `s3://bucket/prefix`. The error is empty if the text does not begin with `s3://`.
fn bucket(text: &str) -> Result<Bucket, String> {
    let wrong = |what: &str| {
        Err(format!("must be an address with {what}, such as \"s3://bucket\" or \"s3://bucket/prefix\""))
    };
    let rest = text.strip_prefix("s3://").ok_or_else(String::new)?;
    let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let (bare, prefix) = (prefix.is_empty(), prefix.strip_suffix('/').unwrap_or(prefix));
    // Only characters that every store accepts and that need no escaping in a URL.
    let plain = |part: &str| {
        !matches!(part, "" | "." | "..")
            && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    if !plain(name) || name.len() > 63 {
        return wrong("the name of a bucket in letters, digits, `-`, `_` and `.`");
    }
    if !bare && !prefix.split('/').all(plain) || prefix.len() > 512 {
        return wrong("a short prefix in letters, digits, `-`, `_`, `.` and `/`");
    }
    Ok(Bucket { name: name.to_owned(), prefix: prefix.to_owned() })
}

const STORE: &str =
    "the address of a store, such as \"https://s3.example.com\", without a user, a password or a query in it";

/// Parses the address of a store.
fn address(text: &str) -> Option<Url> {
    let url = Url::parse(text.trim()).ok()?;
    let plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    let known = matches!(url.scheme(), "http" | "https") && url.host_str().is_some();
    (known && plain).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_a_bucket_and_an_optional_prefix() {
        for (text, name, prefix) in [
            ("s3://b", "b", ""),
            ("s3://b/", "b", ""),
            ("s3://my.photos-1/a", "my.photos-1", "a"),
            ("s3://b/a/b_c/", "b", "a/b_c"),
        ] {
            let expected = Bucket { name: name.to_owned(), prefix: prefix.to_owned() };
            assert_eq!(bucket(text), Ok(expected), "{text}");
        }
        let long = format!("s3://{}", "b".repeat(64));
        let deep = format!("s3://b/{}", "a/".repeat(300));
        for bad in [
            "",
            "b",
            "s3:b",
            "s3://",
            "s3:///a",
            "S3://b",
            "gs://b",
            "https://b",
            "s3://b/a//b",
            "s3://b//",
            "s3://b/../c",
            "s3://b/./c",
            "s3://../c",
            "s3://b/ä",
            "s3://b c",
            "s3://b?x",
            "s3://u:p@b",
            &long,
            &deep,
        ] {
            assert!(bucket(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_address_is_a_store_and_nothing_secret() {
        for bad in ["", "s3.example.com", "ftp://h", "https://u:p@h", "https://h/?a", "https://h/#a"] {
            assert!(address(bad).is_none(), "{bad}");
        }
        assert_eq!(address("http://h:9000").unwrap().as_str(), "http://h:9000/");
    }
}
