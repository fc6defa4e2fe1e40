use std::time::Duration;

use secrecy::ExposeSecret;

use super::Setup;
use crate::config::{AlgorithmiaConfig, KindConfig};
use crate::credit::{CallFacts, Price};

fn algorithmia(setup: &Setup) -> AlgorithmiaConfig {
    match setup.load().config.providers["algorithmia"].kind.clone() {
        KindConfig::Algorithmia(config) => *config,
        other => panic!("{other:?}"),
    }
}

fn address(setup: &Setup) -> Option<String> {
    algorithmia(setup).base_url.map(|url| url.to_string())
}

fn file(text: &str) -> Setup {
    Setup::new()
        .main("")
        .file("config/providers/algorithmia.toml", format!("kind = \"algorithmia\"\n{text}\n"))
}

#[test]
fn client_variables_work_and_the_configuration_overrides_them() {
    let var = |setup: Setup| setup.env("ALGORITHMIA_API", "http://from-env:9000");
    assert_eq!(address(&Setup::new()), None);
    assert_eq!(address(&var(Setup::new())).as_deref(), Some("http://from-env:9000/"));
    let setup = var(Setup::new());
    assert_eq!(setup.from("providers.algorithmia.base_url"), "environment variable ALGORITHMIA_API");
    assert_eq!(address(&var(file("base_url = \"https://own\""))).as_deref(), Some("https://own/"));

    let key = |setup: Setup| algorithmia(&setup).api_key.expose().map(|key| key.expose_secret().to_owned());
    let vars = |setup: Setup| setup.env("API_KEY", "app").env("ALGORITHMIA_API_KEY", "sdks-own");
    assert_eq!(key(Setup::new()), None);
    assert_eq!(key(Setup::new().env("API_KEY", "app")).as_deref(), Some("app"));
    assert_eq!(key(vars(Setup::new())).as_deref(), Some("sdks-own"));
    assert_eq!(
        key(Setup::new().env("API_KEY", "app").env("ALGORITHMIA_API_KEY", "")).as_deref(),
        Some("app")
    );
    let own = vars(file("api_key = { env = \"OWN\" }").env("OWN", "own"));
    assert_eq!(key(own).as_deref(), Some("own"));
    assert_eq!(key(vars(file("api_key = { env = \"OWN\" }"))), None, "a key that is named is the key");

    let loaded = vars(var(Setup::new())).load();
    assert_eq!(loaded.config.route, ["local"], "variables change the route");
    assert!(loaded.report().contains("providers.algorithmia.api_key = (set, from env ALGORITHMIA_API_KEY)"));
    assert!(!format!("{loaded:?}{}", loaded.report()).contains("sdks-own"));
}

#[test]
fn the_closed_public_service_is_used_only_if_a_file_names_it() {
    const PUBLIC: &str = "https://api.algorithmia.com";
    assert_eq!(
        address(&file(&format!("base_url = \"{PUBLIC}\""))).as_deref(),
        Some("https://api.algorithmia.com/")
    );
    for name in ["ALGORITHMIA_API", "PIXCOLOR_PROVIDERS__ALGORITHMIA__BASE_URL"] {
        let setup = Setup::new().env(name, PUBLIC);
        assert_eq!(address(&setup), None, "{name}");
        let warnings = setup.load().warnings;
        assert!(warnings[0].contains(name) && warnings[0].contains("closed in 2021"), "{warnings:?}");
    }
    let private = Setup::new().env("PIXCOLOR_PROVIDERS__ALGORITHMIA__BASE_URL", "https://own.example");
    assert_eq!(address(&private).as_deref(), Some("https://own.example/"));
}

#[test]
fn a_wrong_value_is_refused_with_its_line_and_an_address_is_not_repeated() {
    for (text, said) in [
        ("base_url = \"own\"", "`providers.algorithmia.base_url` must be the address of a host, such as"),
        ("base_url = 5", "`providers.algorithmia.base_url` must be the address of a host, such as"),
        ("base_url = \"https://me:hunter2@own\"", "must not hold a name or a password: the key belongs in"),
        ("base_url = \"https://own?key=hunter2\"", "must end before the `?` or `#`"),
        ("api_key = \"hunter2\"", "`providers.algorithmia.api_key` must not be written here"),
        ("algorithm = \"just-a-name\"", "`providers.algorithmia.algorithm` must be an algorithm, such as"),
        (
            "price.minimum = -1",
            "must be a number of credits from 0 to 1000000 with at most 6 decimals, not -1",
        ),
        ("retries = 11", "must be a whole number from 0 to 10, not 11"),
        ("breaker = { failures = 33 }", "must be a whole number from 0 to 32, not 33"),
        ("breaker = 5", "must be a table"),
        ("first_byte_timeout = 0", "must be a number of seconds from 0.1 to 3600, not 0"),
        ("base_ulr = \"https://own\"", "did you mean `providers.algorithmia.base_url`?"),
    ] {
        let problems = file(text).problems();
        let [problem] = problems.as_slice() else { panic!("{text}: {problems:?}") };
        assert!(problem.starts_with("config/providers/algorithmia.toml:2: "), "{problem}");
        assert!(problem.contains(said), "{problem}");
        assert!(!problem.contains("hunter2"), "{problem}");
    }
    let warnings = Setup::new().env("ALGORITHMIA_API", "nonsense").load().warnings;
    assert!(warnings[0].starts_with("environment variable ALGORITHMIA_API is ignored"), "{warnings:?}");
}

#[test]
fn the_default_price_is_that_of_the_public_service() {
    let price = |text: &str| file(text).load().config.providers["algorithmia"].price.clone();
    let actual = |price: &Price, duration: f64| {
        let call = CallFacts { sent_pixels: 1, timeout: Duration::from_secs(60) };
        let reply = serde_json::json!({ "metadata": { "duration": duration } });
        price.actual(&call, Some(&reply)).unwrap().to_string()
    };
    let usual = price("");
    assert_eq!((actual(&usual, 0.0), actual(&usual, 17.49)), ("1".into(), "18".into()));
    assert_eq!(usual.worth.unwrap().to_string(), "0.0001 USD");
    let royalty = price(
        "price.terms = [{ per = \"second\", rate = 1, pointer = \"/metadata/duration\", round = \"up\", minimum = 1 }, \
         { per = \"call\", rate = 0.25 }]",
    );
    assert_eq!((actual(&royalty, 0.0), actual(&royalty, 17.49)), ("1.25".into(), "18.25".into()));
}
