//! Settings of the object store that several gateways share: a bucket with the S3 protocol.
//!
//! AWS's own variables work here too: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`,
//! `AWS_REGION`, `AWS_ENDPOINT_URL_S3`, and the variables of roles. They apply only if a store is configured, and
//! each only if its own key is not set.

use std::fmt;
use std::time::Duration;

use serde_json::Value as Json;
use url::Url;

use super::problem::{ValueOrigin, dotted};
use super::reference::Words;
use super::secret::Secret;
use super::table::{ExpectedText, Table};

/// Supply the ID, the secret and the session token of an access key.
const KEY_VARIABLES: [&str; 3] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];
/// Supply the region.
const REGION_VARIABLES: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];
/// Supply the endpoint.
const ENDPOINT_VARIABLES: [&str; 2] = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"];
/// Configure the role of a machine or a container. Without any, the metadata service supplies the role.
const ROLE_VARIABLES: [&str; 7] = [
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_ENDPOINT_URL_STS",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
];

const WORDS: Words = &[
    (
        "endpoint",
        "URL of the store. Default: `AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL` if set, otherwise AWS.",
    ),
    ("allow_http", "Whether the URL may be `http://`, which is not encrypted."),
    ("region", "Region for signing requests. Default: us-east-1 (`AWS_REGION`, `AWS_DEFAULT_REGION`)."),
    (
        "credentials",
        "Credentials: the access key below (\"key\"), or the role of this machine or container (\"role\").",
    ),
    ("access_key_id", "ID of the access key (`AWS_ACCESS_KEY_ID`)."),
    ("secret_access_key", "Secret of the access key (`AWS_SECRET_ACCESS_KEY`)."),
    ("session_token", "Token of a temporary access key (`AWS_SESSION_TOKEN`)."),
    ("timeout", "Time-out for reading or writing a result, in seconds."),
    (
        "pause",
        "Maximum pause before a failed store is tried again, in seconds. Meanwhile requests work without it.",
    ),
];

/// A bucket and the settings of its store. Printed as `s3://bucket/prefix`.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    pub bucket: String,
    /// The prefix of all objects; may be empty.
    pub prefix: String,
    /// None is AWS.
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
        let slash = if self.prefix.is_empty() { "" } else { "/" };
        write!(f, "s3://{}{slash}{}", self.bucket, self.prefix)
    }
}

impl StoreConfig {
    const TIMEOUT: Duration = Duration::from_secs(3);
    const PAUSE: Duration = Duration::from_secs(30);
    const REGION: &str = "us-east-1";

    /// Reads the keys `store` and `s3` of the table `cache`.
    pub(super) fn read(table: &mut Table<'_>) -> Option<Self> {
        let wanted = table.has("store");
        let place = table.read("store", Json::Null, |value| place(value.as_str().unwrap_or_default()));
        let s3 = table.table("s3", |table| S3::read(table, wanted));
        let ((bucket, prefix), S3 { endpoint, region, credentials, timeout, pause }) = (place?, s3);
        Some(Self { bucket, prefix, endpoint, region, credentials: credentials?, timeout, pause })
    }
}

/// The table `s3`.
struct S3 {
    endpoint: Option<Url>,
    region: String,
    credentials: Option<StoreCredentials>,
    timeout: Duration,
    pause: Duration,
}

impl S3 {
    fn read(table: &mut Table<'_>, wanted: bool) -> Self {
        table.describe(WORDS);
        let endpoint = or_variable(table, "endpoint", &ENDPOINT_VARIABLES, wanted, address);
        let insecure = endpoint.as_ref().is_some_and(|url| url.scheme() == "http");
        if !table.flag("allow_http", false) && insecure {
            let key = dotted(&table.at(&["endpoint"]));
            table.problem(
                &["endpoint"],
                format!(
                    "`{key}` begins with http://, which is not encrypted: use https://, or set `allow_http = true`"
                ),
            );
        }
        let region = or_variable(table, "region", &REGION_VARIABLES, wanted, |text| match text {
            "" => Err("the name of a region such as \"eu-west-3\"".to_owned()),
            text => Ok(text.to_owned()),
        });
        Self {
            endpoint,
            region: region.unwrap_or_else(|| StoreConfig::REGION.to_owned()),
            credentials: credentials(table, wanted),
            timeout: table.seconds("timeout", StoreConfig::TIMEOUT, 0.1..=60.0),
            pause: table.seconds("pause", StoreConfig::PAUSE, 0.1..=3600.0),
        }
    }
}

fn credentials(table: &mut Table<'_>, wanted: bool) -> Option<StoreCredentials> {
    let role = table.choice("credentials", &[("key", false), ("role", true)]).unwrap_or_default();
    // A session token belongs to its key, so both must come from the same source.
    let foreign = !wanted || table.has("access_key_id");
    let keys = ["access_key_id", "secret_access_key", "session_token"];
    let mut secrets = keys.into_iter().zip(KEY_VARIABLES).map(|(key, variable)| {
        match role || !wanted || foreign && key == "session_token" {
            true => table.secret(key),
            false => Some(table.secret_or_variables(key, &[variable])),
        }
    });
    let (id, secret, token) = (secrets.next()?, secrets.next()?, secrets.next()?);
    drop(secrets);
    if role {
        let source = table.reader.source;
        let settings = ROLE_VARIABLES.iter();
        let settings = settings.filter_map(|name| Some(((*name).to_owned(), source.var(name)?.to_owned())));
        return Some(StoreCredentials::Role(settings.collect()));
    }
    let (id, secret) = (id?, secret?);
    for (key, kept) in keys.into_iter().zip([&id, &secret]) {
        if let Some(why) = kept.why_unset().filter(|_| wanted) {
            let name = dotted(&table.at(&[key]));
            let message = format!(
                "`cache.store` needs `{name}`, which has no value: {why}. Or set `credentials = \"role\"`, if this machine has a role"
            );
            // The source of the key if it is set, or else of the store.
            match table.has(key) {
                true => table.problem(&[key], message),
                false => {
                    table.note_problem(table.reader.origin_of(&["cache".into(), "store".into()]), message)
                }
            }
        }
    }
    let token = token.filter(|token| foreign || token.expose().is_some());
    if let Some(why) = token.as_ref().and_then(Secret::why_unset) {
        let name = dotted(&table.at(&["session_token"]));
        table.problem(&["session_token"], format!("`{name}` has no value: {why}"));
    }
    Some(StoreCredentials::Key { id, secret, token })
}

/// Reads a key. If it is not set and the variables apply, uses the first of them that is set.
fn or_variable<T>(
    table: &mut Table<'_>,
    key: &'static str,
    variables: &[&str],
    count: bool,
    parse: impl Fn(&str) -> Result<T, ExpectedText>,
) -> Option<T> {
    let source = table.reader.source;
    let set = variables.iter().find_map(|name| Some((*name, source.var(name)?))).filter(|_| count);
    let Some((name, text)) = set.filter(|_| !table.has(key)) else {
        return table.read(key, Json::Null, |value| parse(value.as_str().unwrap_or_default()));
    };
    table.miss(key);
    let origin = ValueOrigin::Env(name.to_owned());
    match parse(text) {
        Ok(parsed) => {
            table.note_entry(key, Json::from(text), false, origin);
            Some(parsed)
        }
        Err(wanted) => {
            let key = dotted(&table.at(&[key]));
            table.note_problem(origin, format!("`{key}`, which is taken from here, must be {wanted}"));
            None
        }
    }
}

/// Parses `s3://bucket/prefix` into bucket and prefix.
fn place(text: &str) -> Result<(String, String), ExpectedText> {
    let wanted = |what: &str| format!("{what} such as \"s3://bucket\" or \"s3://bucket/prefix\"");
    let Some(rest) = text.strip_prefix("s3://") else {
        return Err(wanted("the address of a bucket that is spoken to as S3 is,"));
    };
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let (bare, prefix) = (prefix.is_empty(), prefix.strip_suffix('/').unwrap_or(prefix));
    // Only characters that every store accepts and that need no escaping in a URL.
    let plain = |part: &str| {
        !matches!(part, "" | "." | "..")
            && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    if !plain(bucket) || bucket.len() > 63 {
        return Err(wanted("an address with the name of a bucket in letters, digits, `-`, `_` and `.`,"));
    }
    if !bare && !prefix.split('/').all(plain) || prefix.len() > 512 {
        return Err(wanted("an address with a short prefix in letters, digits, `-`, `_`, `.` and `/`,"));
    }
    Ok((bucket.to_owned(), prefix.to_owned()))
}

/// Parses the address of a store.
fn address(text: &str) -> Result<Url, ExpectedText> {
    let wanted = || {
        "the address of a store, such as \"https://s3.example.com\", without a user, a password or a query in it"
            .to_owned()
    };
    let url = Url::parse(text.trim()).map_err(|_| wanted())?;
    let plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    let known = matches!(url.scheme(), "http" | "https") && url.host_str().is_some();
    if known && plain { Ok(url) } else { Err(wanted()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_a_bucket_and_an_optional_prefix() {
        for (text, bucket, prefix) in [
            ("s3://b", "b", ""),
            ("s3://b/", "b", ""),
            ("s3://my.photos-1/a", "my.photos-1", "a"),
            ("s3://b/a/b_c/", "b", "a/b_c"),
        ] {
            assert_eq!(place(text), Ok((bucket.to_owned(), prefix.to_owned())), "{text}");
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
            assert!(place(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_address_is_a_store_and_nothing_secret() {
        for bad in ["", "s3.example.com", "ftp://h", "https://u:p@h", "https://h/?a", "https://h/#a"] {
            assert!(address(bad).is_err(), "{bad}");
        }
        assert_eq!(address("http://h:9000").unwrap().as_str(), "http://h:9000/");
    }
}
