//! The URL of a Redis, without its password.

use std::fmt;
use std::str::FromStr;

use redis::{Client, ConnectionInfo, IntoConnectionInfo, RedisResult};

/// A URL such as `redis://127.0.0.1:6379/0`. The scheme `rediss` means TLS; `valkey` and `valkeys` mean the same as
/// `redis` and `rediss`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address(String);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("is not an address such as \"redis://127.0.0.1:6379\", or \"rediss://\" with TLS")]
    Unknown,
    #[error("must not contain the password, because the address is shown: set `shared.password`")]
    Password,
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let url = redis::parse_redis_url(text).ok_or(AddressError::Unknown)?;
        if url.password().is_some() || url.query_pairs().any(|(name, _)| name.starts_with("pass")) {
            return Err(AddressError::Password);
        }
        info(text).map(|_| Self(text.to_owned())).map_err(|_| AddressError::Unknown)
    }
}

impl Address {
    /// A client for this address, not yet connected.
    pub(super) fn client(&self, password: Option<&str>) -> RedisResult<Client> {
        let info = info(&self.0)?;
        let mut settings = info.redis_settings().clone();
        if let Some(password) = password {
            settings = settings.set_password(password);
        }
        Client::open(info.set_redis_settings(settings))
    }
}

fn info(text: &str) -> RedisResult<ConnectionInfo> {
    text.into_connection_info()
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redis_url_must_not_contain_a_password() {
        for good in [
            "redis://127.0.0.1:6379",
            "rediss://me@redis.example:6380/3",
            "valkey://[::1]",
            "unix:///run/redis.sock",
        ] {
            assert_eq!(good.parse::<Address>().map(|address| address.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "127.0.0.1:6379", "http://127.0.0.1", "redis://", "redis://h/x", "redis://h:99999"] {
            assert_eq!(bad.parse::<Address>(), Err(AddressError::Unknown), "{bad}");
        }
        for secret in
            ["redis://:p@h", "redis://me:p@h:1/0", "unix:///run/redis.sock?pass=p", "redis://h/?password=p"]
        {
            assert_eq!(secret.parse::<Address>(), Err(AddressError::Password), "{secret}");
        }
    }
}
