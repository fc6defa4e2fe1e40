use std::collections::BTreeSet;

use super::Setup;
use super::shipped::uncommented;
use crate::config::{HttpConfig, KindConfig, Loaded, ValueOrigin};

const DOCS: &str = include_str!("../../../docs/providers.md");

/// A valid file; tests append lines to it.
const FINE: &str = "kind = \"http\"\nmodel = \"m\"\nbase_url = \"https://h.example\"\nprice.terms = []\n\
    secrets.key = { env = \"KEY\" }\nrequest = { body = \"raw\" }\nreply = { output = \"raw\" }\n";

fn file(text: &str) -> Setup {
    Setup::new().main("").file("config/providers/x.toml", text)
}

fn http(loaded: &Loaded) -> HttpConfig {
    match &loaded.config.providers["x"].kind {
        KindConfig::Http(config) => (**config).clone(),
        other => panic!("{other:?}"),
    }
}

/// The block of the documentation that shows every key.
pub(super) fn every_key() -> &'static str {
    let (_, rest) =
        DOCS.split_once("<!-- every key: read by src/config/tests/http.rs -->\n```toml\n").unwrap();
    rest.split_once("\n```").unwrap().0
}

#[test]
fn the_documentation_shows_every_key_with_its_true_default() {
    /// Keys without a default, for which the documentation shows an example.
    const EXAMPLES: [&str; 13] = [
        "base_url",
        "secrets.key",
        "price.worth",
        "price.currency",
        "first_byte_timeout",
        "accepts.max_pixels",
        "accepts.max_aspect",
        "request.query.size",
        "request.headers.Authorization",
        "reply.error",
        "reply.success.pointer",
        "reply.success.equals",
        "poll.deadline",
    ];
    let (shown, plain) = (file(&uncommented(every_key())), file(&every_key().replace("{{secret.key}}", "")));
    let (shown, plain) = (shown.load(), plain.load());
    let keys = |loaded: &Loaded| {
        let own = |entry: &&crate::config::reader::ReportEntry| entry.key.starts_with("providers.x.");
        loaded.entries.iter().filter(own).cloned().collect::<Vec<_>>()
    };
    let hidden: Vec<_> =
        keys(&shown).into_iter().filter(|entry| matches!(entry.origin, ValueOrigin::Default)).collect();
    assert!(hidden.is_empty(), "not in docs/providers.md: {hidden:?}");
    let values = |loaded: &Loaded| -> BTreeSet<String> {
        let example = |key: &str| {
            EXAMPLES.iter().any(|example| key.ends_with(&format!("x.{example}"))) || key.ends_with(".cancel")
        };
        let as_written = |value: &serde_json::Value| match value.as_f64() {
            // 1 and 1.0 are the same number.
            Some(number) => number.to_string(),
            None => value.to_string(),
        };
        let keys = keys(loaded).into_iter().filter(|entry| !example(&entry.key));
        keys.map(|entry| format!("{} = {}", entry.key, as_written(&entry.value))).collect()
    };
    // The documentation writes sizes with a unit, but the defaults are numbers of bytes.
    let no_sizes = |values: BTreeSet<String>| -> BTreeSet<String> {
        values.into_iter().filter(|line| !line.contains("max_bytes")).collect()
    };
    assert_eq!(no_sizes(values(&shown)), no_sizes(values(&plain)));
    assert_eq!(http(&shown).accepts.max_bytes, http(&plain).accepts.max_bytes);
    assert_eq!(http(&shown).reply.max_bytes, http(&plain).reply.max_bytes);
}

#[test]
fn an_error_names_its_line_and_gives_a_hint() {
    let json = "request.body = \"json\"\n";
    // A key that is missing has no line of its own.
    for (text, said) in [
        (
            "kind = \"http\"\nprice.terms = []\nrequest.body = \"raw\"\nreply.output = \"raw\"\n",
            "`providers.x` has no `model`: it must be a text such as",
        ),
        (
            "kind = \"http\"\nmodel = \"m\"\nprice.terms = []\nreply.output = \"raw\"\n",
            "`providers.x.request` has no `body`: it must be \"raw\" or",
        ),
        (
            "kind = \"http\"\nmodel = \"m\"\nrequest.body = \"raw\"\nreply.output = \"raw\"\n",
            "`providers.x` has no `price`: set the cost of a call",
        ),
    ] {
        let problems = file(text).problems();
        assert!(problems.len() == 1 && problems[0].contains(said), "{text}: {problems:#?}");
    }
    for (text, said) in [
        (
            "base_ulr = \"https://h\"",
            "unknown key `providers.x.base_ulr`: did you mean `providers.x.base_url`?",
        ),
        ("accepts.formats = [\"tiff\"]", "\"tiff\" is not jpeg, png or webp, such as \"jpeg\""),
        ("accepts.formats = [\"gif\"]", "\"gif\" is not jpeg, png or webp, such as \"jpeg\""),
        ("accepts.formats = []", "`formats` is empty: name at least one of jpeg, png, webp"),
        (
            "accepts.sizes = [\"1024\"]",
            "\"1024\" is not a width and a height in pixels such as \"1024x1024\"",
        ),
        ("accepts = { min_side = 200, max_side = 100 }", "no picture would ever fit"),
        ("accepts.max_aspect = 0.5", "must be a number from 1 to 100, not 0.5"),
        ("secrets.other = \"hunter2\"", "`providers.x.secrets.other` must not be written here"),
        (
            "poll = { url = \"/a\", status = \"/b\", done = [\"c\"], failed = [\"d\"] }",
            "cannot be used with `output = \"raw\"`",
        ),
        (
            "balance = { pointer = \"credits\" }",
            "`providers.x.balance.pointer` must be a JSON pointer (RFC 6901)",
        ),
        (
            "balance = { pointer = \"/credits\", path = \"/{{image.width}}\" }",
            "which is allowed only in headers, the query and a body",
        ),
    ] {
        one(&format!("{FINE}{text}\n"), 8, said);
    }
    for (request, said) in [
        (
            "headers.A = \"{{secret.kye}}\"",
            "`providers.x.request.headers.A` has an unknown field `{{secret.kye}}`: did you mean `{{secret.key}}`?",
        ),
        ("headers.A = \"{{image.base64}}\"", "contains `{{image.base64}}`, which is allowed only in a body"),
        ("headers.\"a b\" = \"c\"", "is not a valid header name"),
        ("headers.Content-Type = \"c\"", "is set by the gateway"),
        ("headers.A = \"c\\nd\"", "must be one line of text"),
        ("headers.A = [1]", "must be text, in which {{fields}} are filled in, not a list"),
        (
            "headers.Authorization = \"Bearer hunter2\"",
            "`providers.x.request.headers.Authorization` must not contain a key",
        ),
        ("headers.X-Api-Key = \"hunter2\"", "write \"{{secret.key}}\" in its place"),
        (
            "query.access_token = \"hunter2\"",
            "`providers.x.request.query.access_token` must not contain a key",
        ),
        ("query.a = \"{{\"", "`providers.x.request.query.a` has a `{{` without its `}}`"),
        ("path = \"v1\"", "`providers.x.request.path` must begin with `/`"),
        ("path = \"/a?b=c\"", "the rest belongs in `query`"),
        ("path = \"/a/../b\"", "must not have a segment"),
        ("path = \"/{{secret.key}}\"", "which is allowed only in headers, the query and a body"),
        ("method = \"GET\"", "must be \"POST\" or \"PUT\" or \"PATCH\", not \"GET\""),
        ("json = { a = 1 }", "unknown key `providers.x.request.json`"),
    ] {
        let text = FINE.replace("request = { body = \"raw\" }\n", "")
            + &format!("[request]\nbody = \"raw\"\n{request}\n");
        one(&text, 9, said);
    }
    for (request, line, said) in [
        (json.to_owned(), 7, "`providers.x.request` has no `json`: it must be a table, in whose texts {{fields}} are filled in"),
        (format!("{json}request.json.a = 1\n"), 8, "has no picture: {{image.data_url}} or {{image.base64}}"),
        (format!("{json}request.json.a.b = [\"{{{{image.base46}}}}\"]\n"), 8, "`providers.x.request.json.a.b.0` has an unknown field `{{image.base46}}`: did you mean `{{image.base64}}`?"),
        ("request.body = \"multipart\"\n".to_owned(), 7, "`providers.x.request` has no `fields`: it must be a list of tables"),
        ("request.body = \"multipart\"\nrequest.fields = [{ name = \"a\", value = \"b\" }]\n".to_owned(), 8, "has no picture"),
        ("request.body = \"multipart\"\nrequest.fields = [{ name = \"a\", file = \"b\" }, { name = \"c\", value = \"d\" }]\n".to_owned(), 8, "must end with the file"),
        ("request.body = \"multipart\"\nrequest.fields = [{ name = \"a\", file = \"b\" }, { name = \"c\", file = \"d\" }]\n".to_owned(), 8, "has the file twice"),
        ("request.body = \"multipart\"\nrequest.fields = [{ name = \"a\" }]\n".to_owned(), 8, "`providers.x.request.fields.0` has neither `value` nor `file`"),
        (
            "request.body = \"multipart\"\nrequest.fields = [{ name = \"a\", file = \"b\", value = \"c\" }]\n".to_owned(),
            8,
            "`providers.x.request.fields.0` has both `value` and `file`",
        ),
        ("request.body = \"multipart\"\nrequest.fields = [{ name = \"a\", file = \"b\", valeu = 1 }]\n".to_owned(), 8, "did you mean `providers.x.request.fields.0.value`?"),
    ] {
        one(&(FINE.replace("request = { body = \"raw\" }\n", "") + &request), line, said);
    }
    for (reply, said) in [
        ("output = \"json_url\"", "`providers.x.reply` has no `pointer`: it must be a JSON pointer"),
        (
            "output = \"json_url\"\npointer = \"data/0\"",
            "must be a JSON pointer (RFC 6901) such as \"/data/0/url\", not \"data/0\"",
        ),
        ("output = \"json_url\"\npointer = \"/a~2\"", "must be a JSON pointer (RFC 6901)"),
        (
            "output = \"json_url\"\npointer = \"/a\"\nhosts = [\"*\"]",
            "\"*\" is not a host such as \"cdn.example.com\"",
        ),
        ("output = \"json_ulr\"", "must be \"json_url\", not \"json_ulr\""),
        ("output = \"raw\"\npointer = \"/a\"", "unknown key `providers.x.reply.pointer`"),
        ("output = \"raw\"\nstatus = [99]", "must be a list of HTTP statuses"),
        ("output = \"raw\"\nretry_on = [200]", "remove it from one of them"),
        ("output = \"raw\"\nerror = [\"a\"]", "must be a JSON pointer (RFC 6901)"),
        (
            "output = \"raw\"\nsuccess = { pointer = \"/a\", equals = 1 }",
            "cannot be used with `output = \"raw\"`",
        ),
    ] {
        let text = FINE.replace("reply = { output = \"raw\" }\n", "") + &format!("[reply]\n{reply}\n");
        let problems = file(&text).problems();
        assert!(problems.len() == 1 && problems[0].contains(said), "{reply}: {problems:?}");
    }
}

/// Checks that a file has exactly one problem, at this line and with these words.
#[track_caller]
fn one(text: &str, line: usize, said: &str) {
    let problems = file(text).problems();
    let [problem] = problems.as_slice() else { panic!("{text}: {problems:#?}") };
    assert!(problem.starts_with(&format!("config/providers/x.toml:{line}: ")), "{text}: {problem}");
    assert!(problem.contains(said), "{text}: {problem}");
    assert!(!problem.contains("hunter2"), "{problem}");
}

#[test]
fn a_missing_key_does_not_hide_other_problems() {
    let text = "kind = \"http\"\nprice.terms = []\nrequest = { body = \"raw\", path = \"x\", headers.Authorization = \"Bearer hunter2\" }\n\
                reply.output = \"raw\"\naccepts = { min_side = 100, max_side = 50 }\n";
    let problems = file(text).problems().join("\n");
    for said in
        ["has no `model`", "must begin with `/`", "must not contain a key", "no picture would ever fit"]
    {
        assert!(problems.contains(said), "{said}: {problems}");
    }
    let text = "kind = \"magic\"\ntimeout = 0\nprice.minimum = -1\n";
    let problems = file(text).problems().join("\n");
    for said in
        ["`providers.x.kind` must be", "`providers.x.timeout` must be", "`providers.x.price.minimum` must be"]
    {
        assert!(problems.contains(said), "{said}: {problems}");
    }
    let fields = "request = { body = \"multipart\", fields = [{ name = \"a\", value = \"{{x}}\" }, { name = \"b\", file = \"p\" }] }";
    one(&FINE.replace("request = { body = \"raw\" }", fields), 6, "has an unknown field `{{x}}`");
}

#[test]
fn a_number_in_a_query_is_sent_as_json_writes_it() {
    let query = "request = { body = \"raw\", query = { a = 1.0, b = 50e6, c = true, d = 7 } }";
    let config = http(&file(&FINE.replace("request = { body = \"raw\" }", query)).load());
    let sent: Vec<_> = config.request.query.values().map(ToString::to_string).collect();
    assert_eq!(sent, ["1.0", "50000000.0", "true", "7"]);
}

#[test]
fn harmless_names_similar_to_keys_may_have_literal_values() {
    for request in [
        "headers.Authorization = \"Bearer {{secret.key}}\"",
        "query.max_tokens = 5",
        "query.keywords = \"old\"",
        "query.use_key = true",
    ] {
        let text = FINE.replace("request = { body = \"raw\" }\n", "")
            + &format!("[request]\nbody = \"raw\"\n{request}\n");
        file(&text).load();
    }
}

#[test]
fn a_price_that_cannot_be_computed_is_refused() {
    let price = "price.terms = [\n  { per = \"call\", rate = 1 },\n  { per = \"second\", rate = 1, pointer = \"/s\" },\n]\n";
    let raw = FINE.replace("price.terms = []\n", price);
    one(&raw, 6, "`providers.x.price.terms.1` uses a number in the reply, and with `reply.output = \"raw\"`");
    for (kind, said) in [
        ("exec\"\ncommand = [\"true\"]\n", "a program answers with a picture and no JSON"),
        ("onnx\"\n", "a network in this process answers with no JSON"),
    ] {
        let problems = file(&format!("kind = \"{kind}{price}")).problems();
        assert!(problems.len() == 1 && problems[0].contains(said), "{problems:?}");
    }
    let json = raw.replace("output = \"raw\"", "output = \"json_url\", pointer = \"/a\"");
    file(&json).load();
}

#[test]
fn an_unset_secret_makes_the_provider_not_ready_without_an_error() {
    let missing = |setup: Setup| http(&setup.load()).missing();
    assert_eq!(missing(file(FINE).env("KEY", "k")), None);
    assert_eq!(
        missing(file(FINE)).unwrap(),
        "its secret `key` has no value: environment variable KEY is not set"
    );
    let no_address = FINE.replace("base_url = \"https://h.example\"\n", "");
    assert_eq!(missing(file(&no_address).env("KEY", "k")).unwrap(), "it has no address: set `base_url`");
    // The variable that sets the key may contain the secret itself.
    assert_eq!(missing(file(FINE).env("PIXCOLOR_PROVIDERS__X__SECRETS__KEY", "k")), None);
}

#[test]
fn a_provider_on_the_route_that_is_not_ready_gives_a_warning() {
    let loaded = Setup::new().main("route = [\"deepai\", \"cog\", \"local\"]\n").load();
    let [warning] = loaded.warnings.as_slice() else { panic!("{:?}", loaded.warnings) };
    assert!(
        warning.contains("`cog` is on the route and will be passed over: it has no address"),
        "{warning}"
    );
    let unset: Vec<_> = loaded.unset.iter().map(ToString::to_string).collect();
    let [unset] = unset.as_slice() else { panic!("{unset:?}") };
    assert!(
        unset.contains("deepai.toml:") && unset.contains("`providers.deepai.secrets.key` has no value"),
        "{unset}"
    );
}

#[test]
fn every_shipped_file_is_not_ready_without_its_own_key() {
    let others = ["DEEPAI_API_KEY", "REPLICATE_API_TOKEN", "HF_TOKEN", "OPENAI_API_KEY", "API_KEY"];
    let setup = others.iter().fold(Setup::new().main(""), |setup, name| setup.env(name, "somebody-elses"));
    let config = setup.load().config;
    let https: Vec<_> = config
        .providers
        .iter()
        .filter_map(|(name, provider)| match &provider.kind {
            KindConfig::Http(http) => Some((name.as_str(), http)),
            _ => None,
        })
        .collect();
    let names: Vec<_> = https.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["cog", "deepai", "huggingface", "openai", "replicate"]);
    for (name, http) in https {
        let missing = http.missing().unwrap();
        assert!(missing.contains(if name == "cog" { "base_url" } else { "PIXCOLOR_" }), "{name}: {missing}");
    }
}
