//! Reads the addresses of hosts.

use url::Url;

/// What an address must be, for error messages.
pub(super) const HOST: &str = "the address of a host, such as \"https://api.example.com\"";

/// Parses the address of a host; an error says what the address must be. `secrets` is the name of the configuration
/// setting in which a key or password belongs, for the error message.
pub(super) fn address(text: &str, secrets: &str) -> Result<Url, String> {
    let form = || format!("must be {HOST}");
    let url = Url::parse(text.trim()).map_err(|_| form())?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        Err(form())
    } else if !url.username().is_empty() || url.password().is_some() {
        Err(format!("must not hold a name or a password: the key belongs in `{secrets}`"))
    } else if url.query().is_some() || url.fragment().is_some() {
        Err("must end before the `?` or `#`".to_owned())
    } else {
        Ok(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_nothing_secret() {
        for bad in [
            "",
            "api.example.com",
            "ftp://h",
            "data:x",
            "https://u:p@h",
            "https://u@h",
            "http://h/?a=b",
            "http://",
        ] {
            assert!(address(bad, "api_key").is_err(), "{bad}");
        }
        assert_eq!(address(" http://h:9000/ ", "api_key").unwrap().as_str(), "http://h:9000/");
    }
}
