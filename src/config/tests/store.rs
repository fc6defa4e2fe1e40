//! The store that gateways share.

use secrecy::ExposeSecret;

use super::Setup;
use crate::config::{StoreConfig, StoreCredentials};

const PLANTED: &str = "hunter2-planted";

fn with_key(text: &str) -> Setup {
    Setup::new()
        .main(&format!("[cache]\nstore = \"s3://photos/pixcolor\"\n{text}"))
        .env("AWS_ACCESS_KEY_ID", "me")
        .env("AWS_SECRET_ACCESS_KEY", PLANTED)
}

fn store(setup: &Setup) -> StoreConfig {
    setup.load().config.cache.store.unwrap()
}

/// ID, secret and token of the access key.
fn key(setup: &Setup) -> [Option<String>; 3] {
    let StoreCredentials::Key { id, secret, token } = store(setup).credentials else { panic!("a role") };
    [Some(id), Some(secret), token]
        .map(|secret| secret.and_then(|secret| Some(secret.expose()?.expose_secret().to_owned())))
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn aws_variables_apply_unless_the_configuration_sets_the_key() {
    let setup = with_key("")
        .env("AWS_SESSION_TOKEN", "token")
        .env("AWS_REGION", "eu-west-3")
        .env("AWS_ENDPOINT_URL_S3", "https://s3.example.com");
    let read = store(&setup);
    assert_eq!((read.bucket.as_str(), read.prefix.as_str()), ("photos", "pixcolor"));
    assert_eq!(read.to_string(), "s3://photos/pixcolor");
    assert_eq!(read.endpoint.as_ref().unwrap().as_str(), "https://s3.example.com/");
    assert_eq!(read.region, "eu-west-3");
    assert_eq!(key(&setup), [some("me"), some(PLANTED), some("token")]);
    assert_eq!(setup.from("cache.s3.region"), "environment variable AWS_REGION");
    let everything = format!("{}{}{read:?}", setup.load().report(), setup.load().to_json());
    assert!(
        everything.contains("cache.s3.secret_access_key") && !everything.contains(PLANTED),
        "{everything}"
    );

    let told = with_key(
        "[cache.s3]\nregion = \"r\"\nendpoint = \"http://h\"\nallow_http = true\n\
         access_key_id = { env = \"ID\" }\nsecret_access_key = { file = \"secret\" }\n",
    )
    .env("AWS_REGION", "eu-west-3")
    .env("AWS_SESSION_TOKEN", "of another key")
    .env("ID", "it")
    .file("config/secret", "sesame\n");
    assert_eq!(key(&told), [some("it"), some("sesame"), None]);
    assert_eq!(store(&told).region, "r");
}

#[test]
fn the_settings_of_a_role_come_from_the_variables_of_aws() {
    let setup = with_key("[cache.s3]\ncredentials = \"role\"\n").env("AWS_ROLE_ARN", "arn");
    let StoreCredentials::Role(settings) = store(&setup).credentials else { panic!("a key") };
    assert_eq!(settings, [("AWS_ROLE_ARN".to_owned(), "arn".to_owned())]);
}

#[test]
fn aws_variables_are_ignored_without_a_store() {
    let setup = Setup::new()
        .env("AWS_ENDPOINT_URL", "nonsense")
        .env("AWS_SECRET_ACCESS_KEY", PLANTED)
        .main("[cache.s3]\ntimeout = 1\n");
    let loaded = setup.load();
    assert!(loaded.config.cache.store.is_none());
    assert!(loaded.warnings.is_empty() && !loaded.report().contains("AWS_"), "{}", loaded.report());
}

#[test]
fn store_errors_name_their_key() {
    for (text, line, said) in [
        (
            "store = \"gs://photos\"",
            2,
            "`cache.store` must be the address of a bucket with the S3 protocol, such as \"s3://bucket\" or \"s3://bucket/prefix\", not \"gs://photos\"",
        ),
        ("store = \"s3://\"", 2, "`cache.store` must be an address with the name of a bucket"),
        ("store = 5", 2, "`cache.store` must be the address of a bucket"),
        ("store = \"s3://b/a//c\"", 2, "`cache.store` must be an address with a short prefix"),
        (
            "store = \"s3://b\"\ns3.endpoint = \"h:9000\"",
            3,
            "`cache.s3.endpoint` must be the address of a store",
        ),
        ("store = \"s3://b\"\ns3.endpoint = \"http://h:9000\"", 3, "`cache.s3.endpoint` begins with http://"),
        ("store = \"s3://b\"\ns3.credentials = \"rule\"", 3, "`cache.s3.credentials` must be \"role\""),
        ("store = \"s3://b\"\ns3.timeout = 0", 3, "`cache.s3.timeout` must be a number of seconds"),
        (
            "store = \"s3://b\"\ns3.access_key_id = \"hunter2-planted\"",
            3,
            "`cache.s3.access_key_id` must not be written here",
        ),
        (
            "store = \"s3://b\"\ns3.access_key_id = { env = \"NO\" }",
            3,
            "`cache.store` needs `cache.s3.access_key_id`, which has no value: environment variable NO is not set",
        ),
        (
            "store = \"s3://b\"\ns3.session_token = { env = \"NO\" }\ns3.access_key_id = { env = \"AWS_ACCESS_KEY_ID\" }",
            3,
            "`cache.s3.session_token` has no value: environment variable NO",
        ),
        ("store = \"s3://b\"\ns3.bucket = \"b\"", 3, "unknown key `cache.s3.bucket`"),
    ] {
        let setup = Setup::new()
            .main(&format!("[cache]\n{text}\n"))
            .env("AWS_ACCESS_KEY_ID", "me")
            .env("AWS_SECRET_ACCESS_KEY", PLANTED);
        let problems = setup.problems();
        assert_eq!(problems.len(), 1, "{problems:?}");
        let start = format!("config/pixcolor.toml:{line}: {said}");
        assert!(problems[0].starts_with(&start) && !problems[0].contains(PLANTED), "{text}: {problems:?}");
    }
    let bare = Setup::new().main("[cache]\nstore = \"s3://b\"\n").problems();
    assert_eq!(bare.len(), 2, "{bare:?}");
    for (problem, key) in bare.iter().zip(["access_key_id", "secret_access_key"]) {
        let variable = format!("AWS_{}", key.to_uppercase());
        let start = format!(
            "config/pixcolor.toml:2: `cache.store` needs `cache.s3.{key}`, which has no value: environment \
             variable {variable} is not set. Or set `credentials = \"role\"`"
        );
        assert!(problem.starts_with(&start), "{problem}");
    }
    let no_table =
        Setup::new().main("[cache]\nstore = \"s3://b\"\ns3 = 5\n").env("AWS_ACCESS_KEY_ID", "me").problems();
    assert_eq!(no_table, ["config/pixcolor.toml:3: `cache.s3` must be a table, such as `[cache.s3]`, not 5"]);
    // With an access key from AWS's variables, a token without a value is ignored.
    assert_eq!(key(&with_key("").env("AWS_SESSION_TOKEN", " ")), [some("me"), some(PLANTED), None]);
    let secret = with_key("").env("AWS_ENDPOINT_URL", "https://e/#hunter2-planted").problems();
    assert!(secret.len() == 1 && !secret[0].contains("hunter2"), "{secret:?}");
    let variable = with_key("").env("AWS_ENDPOINT_URL_S3", "h:9000").problems();
    assert!(
        variable[0].starts_with("environment variable AWS_ENDPOINT_URL_S3: `cache.s3.endpoint`"),
        "{variable:?}"
    );
}
