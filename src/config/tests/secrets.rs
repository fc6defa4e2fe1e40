use secrecy::ExposeSecret;

use super::Setup;
use crate::config::load;

const PLANTED: &str = "hunter2-planted";

fn token(setup: &Setup) -> Option<String> {
    let token = setup.load().config.admin.token;
    token.and_then(|token| token.expose().map(|text| text.expose_secret().to_owned()))
}

#[test]
fn a_secret_is_read_from_its_source_and_never_shown() {
    let by_name = Setup::new().main("[admin]\ntoken = { env = \"TOKEN\" }\n").env("TOKEN", PLANTED);
    let by_file = Setup::new().main("[admin.token]\nfile = \"token\"\n").file("config/token", PLANTED);
    let in_place = Setup::new().env("PIXCOLOR_ADMIN__TOKEN", PLANTED);
    let named = Setup::new().env("PIXCOLOR_ADMIN__TOKEN", "{ env = \"TOKEN\" }").env("TOKEN", PLANTED);
    let filed = Setup::new().env("PIXCOLOR_ADMIN__TOKEN__FILE", "t").file("t", PLANTED);
    for setup in [by_name, by_file, in_place, named, filed] {
        assert_eq!(token(&setup).as_deref(), Some(PLANTED));
        let loaded = setup.load();
        let everything = format!("{}\n{}\n{loaded:?}", loaded.report(), loaded.to_json());
        assert!(everything.contains("(set, from "), "{everything}");
        assert!(!everything.contains(PLANTED), "{everything}");
        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    }
}

#[test]
fn a_secret_in_a_variable_may_look_like_any_value() {
    for (text, secret) in [("12345", "12345"), ("true", "true"), ("\"quoted\"", "quoted"), ("1e5", "1e5")] {
        assert_eq!(token(&Setup::new().env("PIXCOLOR_ADMIN__TOKEN", text)).as_deref(), Some(secret));
    }
}

#[test]
fn a_variable_overrides_a_file_whichever_way_it_names_a_secret() {
    let setup = Setup::new()
        .main("[admin]\ntoken = { env = \"TOKEN\" }\n")
        .env("TOKEN", "from env")
        .env("PIXCOLOR_ADMIN__TOKEN", "{ file = \"t\" }")
        .file("t", "from file");
    assert_eq!(token(&setup).as_deref(), Some("from file"));
}

#[test]
fn a_secret_written_in_a_file_is_refused_and_not_repeated() {
    let literal = "config/pixcolor.toml:2: `admin.token` must not be written here: a configuration file is copied, \
                   committed and shown. Write { env = \"NAME\" } or { file = \"path\" }";
    let form =
        "config/pixcolor.toml:2: `admin.token` must be either { env = \"NAME\" } or { file = \"path\" }";
    for (text, said) in [
        ("token = \"hunter2-planted\"", literal),
        ("token = 22", literal),
        ("token = [\"hunter2-planted\"]", literal),
        ("token = {}", form),
        ("token = { env = \"A\", file = \"b\" }", form),
        ("token = { value = \"hunter2-planted\" }", form),
        ("token = { env = \"\" }", form),
        ("token = { env = 5 }", form),
    ] {
        assert_eq!(Setup::new().main(&format!("[admin]\n{text}\n")).problems(), [said], "{text}");
    }
    let broken = Setup::new().main("[admin]\ntoken = \"hunter2-planted\n");
    assert!(!load(&broken.source).err().unwrap().to_string().contains(PLANTED));
}

#[test]
fn a_secret_that_is_not_set_says_why() {
    let setup = Setup::new().main("[admin]\ntoken = { env = \"TOKEN\" }\n");
    let loaded = setup.load();
    let why = loaded.config.admin.token.as_ref().unwrap().why_unset().unwrap();
    assert_eq!(why, "environment variable TOKEN is not set");
    let line = "admin.token = (unset: environment variable TOKEN is not set)  # ";
    assert!(loaded.report().contains(line), "{}", loaded.report());
    assert!(loaded.warnings[0].contains("admin routes answer 404"), "{:?}", loaded.warnings);
}

#[test]
fn a_variable_that_contains_a_secret_is_not_an_unknown_setting() {
    let setup = Setup::new()
        .main("[admin]\ntoken = { env = \"PIXCOLOR_ADMIN_TOKEN\" }\n")
        .env("PIXCOLOR_ADMIN_TOKEN", PLANTED);
    assert!(setup.load().warnings.is_empty());
}

#[test]
fn the_report_shows_the_value_and_the_source_of_each_key() {
    let setup = Setup::new()
        .main("[limits]\nside = 7\n")
        .env("PIXCOLOR_OUTPUT__MARK", "true")
        .env("PIXCOLOR_PORT", "tcp://10.0.0.1:80");
    let folder = format!("{}/", setup.folder.path().display());
    let loaded = setup.load();
    let report = loaded.report().replace(&folder, "");
    for line in [
        "# Configuration folder: config",
        "route = [\"local\"]  # default",
        "limits.side = 7  # config/pixcolor.toml:2",
        "limits.request_seconds = 120  # default",
        "quota.limits.bytes.burst = \"4 GiB\"  # default",
        "quota.limits.pictures.burst = 600  # default",
        "output.mark = true  # environment variable PIXCOLOR_OUTPUT__MARK",
        "# admin.token is not set",
        "# warning: environment variable PIXCOLOR_PORT is no setting and is ignored",
    ] {
        assert!(report.lines().any(|found| found == line), "{line}\n{report}");
    }
    // The report is TOML except for the secrets, of which it shows only where they are stored.
    let toml: String =
        report.lines().filter(|line| !line.contains(" = (")).map(|line| format!("{line}\n")).collect();
    assert!(toml.parse::<toml_edit::DocumentMut>().is_ok(), "{toml}");

    let json = loaded.to_json();
    let keys = json["keys"].as_array().unwrap();
    let side = keys.iter().find(|key| key["key"] == "limits.side").unwrap();
    assert_eq!(side["value"], 7);
    assert!(side["from"].as_str().unwrap().ends_with("config/pixcolor.toml:2"));
    assert_eq!(json["warnings"].as_array().unwrap().len(), 1);
}
