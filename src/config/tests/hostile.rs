use proptest::collection::vec;
use proptest::prelude::*;

use super::Setup;
use crate::config::{ConfigSource, load, server_figment, server_report};

/// Loads arbitrary text from every source: no panic, and each problem is one line.
fn survives(main: &str, provider: &str, rocket: &str, variables: &[(String, String)]) {
    let mut setup =
        Setup::new().main(main).file("config/providers/x.toml", provider).file("Rocket.toml", rocket);
    for (name, value) in variables {
        setup = setup.env(name, value);
    }
    match load(&setup.source) {
        Ok(loaded) => assert!(!loaded.report().is_empty()),
        Err(error) => assert_eq!(error.to_string().lines().count(), error.problems().len(), "{error}"),
    }
    if let Err(error) = server_figment(&setup.source).and_then(|_| server_report(&setup.source)) {
        assert!(!error.problems().is_empty());
    }
}

fn key() -> impl Strategy<Value = String> {
    const KEYS: &str = "route trusted_proxies forwarded_header ipv6_prefix state_dir limits output cache admin assets \
        providers upload_bytes pixels side request_seconds decoding_pixels waiting jpeg_quality mark token env file \
        templates static local x kind model recipe threads queue timeout send_max_pixels luma_lock default shutdown \
        price terms per rate round minimum most pointer worth currency budgets scope window credits \
        base_url secrets accepts formats sizes request method path query headers body fields json value reply status \
        success equals output error poll done failed url balance grace port address ident ip_header rout \"a\\nb\" \"\" 1";
    prop::sample::select(KEYS.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
}

fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| if number.is_finite() { format!("{number:e}") } else { "nan".into() }),
        Just("true".to_owned()),
        Just("1979-05-27".to_owned()),
        prop::sample::select(vec![
            "\"onnx\"",
            "\"http\"",
            "\"json\"",
            "\"multipart\"",
            "\"json_url\"",
            "\"{{image.base64}}\"",
            "\"{{\"",
            "\"second\"",
            "\"provider:x\"",
            "\"/a~1b\"",
            "0.0000001",
            "\"local\"",
            "\"20 MiB\"",
            "\"é\\u0000\"",
            "\"\"",
            "inf",
            "-inf",
            "0"
        ])
        .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(|items| format!("[{}]", items.join(", "))),
            (key(), inner).prop_map(|(key, value)| format!("{{ {key} = {value} }}")),
        ]
    })
}

fn toml() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        3 => (vec(key(), 1..4), value()).prop_map(|(path, value)| format!("{} = {value}", path.join("."))),
        1 => vec(key(), 1..3).prop_map(|path| format!("[{}]", path.join("."))),
        1 => vec(key(), 1..3).prop_map(|path| format!("[[{}]]", path.join("."))),
    ];
    vec(line, 0..6).prop_map(|lines| lines.join("\n"))
}

fn variable() -> impl Strategy<Value = (String, String)> {
    let ours = vec(key(), 1..4).prop_map(|path| format!("PIXCOLOR_{}", path.join("__").to_uppercase()));
    let rockets = key().prop_map(|key| format!("ROCKET_{}", key.to_uppercase()));
    (prop_oneof![ours, rockets], prop_oneof![value(), any::<String>()])
}

#[test]
fn an_escape_after_a_letter_that_is_not_ascii_is_just_text() {
    let variable = ("ROCKET_IDENT".to_owned(), "{ a = \"é\\u0000\" }".to_owned());
    survives("", "", "", &[variable]);
}

#[cfg(unix)]
#[test]
fn a_path_that_is_not_utf8_is_refused_and_never_changed() {
    use std::os::unix::ffi::OsStrExt;
    let setup = Setup::new();
    let dir = setup.folder.path().join(std::ffi::OsStr::from_bytes(b"\xff"));
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join("pixcolor.toml"), "cache.dir = \"c\"\nadmin.token = { file = \"t\" }\n").unwrap();
    let source = ConfigSource { dir: Some(dir), ..setup.source.clone() };
    let problems = load(&source).err().unwrap().to_string();
    assert_eq!(problems.lines().count(), 2, "{problems}");
    assert!(problems.contains("`cache.dir`: the path ") && problems.contains("is not UTF-8"), "{problems}");
    assert!(problems.contains("`admin.token` must be a file whose path is UTF-8"), "{problems}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_loading_panic(main in any::<String>(), provider in any::<String>(), rocket in any::<String>()) {
        survives(&main, &provider, &rocket, &[]);
    }

    #[test]
    fn no_toml_makes_loading_panic(
        main in toml(),
        provider in toml(),
        rocket in toml(),
        variables in vec(variable(), 0..3),
    ) {
        survives(&main, &provider, &rocket, &variables);
    }
}
