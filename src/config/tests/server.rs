use std::net::IpAddr;
use std::time::Duration;

use rocket::data::ToByteUnit;

use super::Setup;
use crate::config::{ConfigSource, StopTimes, server_figment, server_report, stop_times};

fn settings(setup: &Setup) -> rocket::Config {
    rocket::Config::try_from(server_figment(&setup.source).unwrap()).unwrap()
}

#[track_caller]
fn refused(text: &str, said: &str) {
    let setup = Setup::new().file("Rocket.toml", text);
    let problems = setup.relative(server_figment(&setup.source).err().unwrap());
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].starts_with(&format!("Rocket.toml:{said}")), "{problems:?}");
}

#[test]
fn the_default_address_is_loopback() {
    let config = rocket::Config::try_from(server_figment(&ConfigSource::default()).unwrap()).unwrap();
    assert_eq!((config.address, config.port), (IpAddr::from([127, 0, 0, 1]), 8080));
    assert_eq!(config.ip_header, None);
    assert_eq!(config.ident.as_str(), Some("PixColor"));
    assert_eq!(config.limits.get("data-form"), Some(32.mebibytes()));
    assert!(!config.shutdown.ctrlc && config.shutdown.signals.is_empty(), "the program listens itself");
    let times = stop_times(&server_figment(&ConfigSource::default()).unwrap());
    let all = times.delay + times.grace + times.mercy + Duration::from_secs(1);
    assert!(all < Duration::from_secs(10), "container engines kill after 10 s");
    assert!(!config.cli_colors);
}

#[test]
fn variables_override_the_file_and_the_file_overrides_the_built_in_settings() {
    let setup = Setup::new()
        .file(
            "Rocket.toml",
            "[default]\naddress = \"0.0.0.0\"\nport = 81\n[debug]\nport = 82\n[release]\nport = 82\n",
        )
        .env("ROCKET_ADDRESS", "127.0.0.2");
    let config = settings(&setup);
    assert_eq!((config.address, config.port), (IpAddr::from([127, 0, 0, 2]), 82));
    assert_eq!(config.ident.as_str(), Some("PixColor"));
    let setup = setup.env("ROCKET_PORT", "83").env("ROCKET_SHUTDOWN", "{grace=3}");
    let config = settings(&setup);
    assert_eq!((config.port, config.shutdown.grace, config.shutdown.mercy), (83, 3, 1));
    let seconds = Duration::from_secs;
    let times = stop_times(&server_figment(&setup.source).unwrap());
    assert_eq!(times, StopTimes { delay: seconds(0), grace: seconds(3), mercy: seconds(1) });
    let setup = Setup::new().env("ROCKET_SHUTDOWN", "{delay=5}");
    assert_eq!(stop_times(&server_figment(&setup.source).unwrap()).delay, seconds(5));
    let setup = Setup::new().file("Rocket.toml", "[stage]\nport = 84\n").env("ROCKET_PROFILE", "stage");
    assert_eq!(settings(&setup).port, 84);
}

#[test]
fn the_file_is_beside_the_folder_however_the_folder_is_written() {
    let setup = Setup::new().file("Rocket.toml", "[default]\nport = 81\n");
    for dir in ["config", "config/.", "config/", "config/providers/.."] {
        std::fs::create_dir_all(setup.path("config/providers")).unwrap();
        let source = ConfigSource { dir: Some(dir.into()), ..setup.source.clone() };
        let config = rocket::Config::try_from(server_figment(&source).unwrap()).unwrap();
        assert_eq!(config.port, 81, "{dir}");
    }
    let cwd = Some(setup.path("config"));
    let source = ConfigSource { dir: Some(".".into()), cwd, ..setup.source.clone() };
    assert_eq!(rocket::Config::try_from(server_figment(&source).unwrap()).unwrap().port, 81);
}

#[test]
fn rocket_config_names_another_file_which_must_exist() {
    let setup = Setup::new().file("other.toml", "[default]\nport = 81\ntemp_dir = \"tmp\"\n");
    let setup = setup.env("ROCKET_CONFIG", "other.toml");
    assert_eq!(settings(&setup).port, 81);
    assert_eq!(settings(&setup).temp_dir.relative(), setup.path("tmp"));
    let setup = setup.env("ROCKET_CONFIG", "absent.toml");
    let said = setup.relative(server_figment(&setup.source).err().unwrap());
    assert_eq!(said, ["environment variable ROCKET_CONFIG: there is no file absent.toml"]);
}

#[test]
fn no_header_ever_names_a_client() {
    refused("[default]\nip_header = \"X-Real-IP\"\n", "2: `ip_header` cannot be set: a client could choose");
    let setup = Setup::new()
        .file("Rocket.toml", "[default]\nip_header = false\n")
        .env("ROCKET_IP_HEADER", "X-Real-IP");
    assert_eq!(settings(&setup).ip_header, None);
}

#[test]
fn errors_that_rocket_ignores_are_refused() {
    refused("[default]\nadress = \"::\"\n", "2: unknown key `adress`: did you mean `address`?");
    refused("[default]\nfoo = 1\n", "2: unknown key `foo`: the keys here are address, port");
    refused("[default.shutdown]\ngrase = 1\n", "2: unknown key `grase`: did you mean `grace`?");
    refused(
        "[default.shutdown]\nsignals = [\"hup\"]\n",
        "2: unknown key `signals`: the keys here are delay, grace",
    );
    refused("port = 80\n", "1: `port` is outside of a profile: put it under `[default]`");
    refused("[defualt]\nport = 80\n", "1: unknown profile `defualt`: did you mean `default`?");
    refused("[default.tls]\ncerts = \"a\"\n", "1: `tls` cannot be set: this program does not speak TLS");
    refused("[default\n", "1: not valid TOML: ");
}

#[test]
fn a_value_that_rocket_cannot_use_is_refused_with_its_place() {
    refused("[default]\nport = \"http\"\n", "2: `port`: invalid type: found string \"http\"");
    refused("[default]\naddress = 5\n", "2: `address`: ");
    refused("[default]\nworkers = 0\n", "2: `workers` must be 1 or more");
    refused("[default.shutdown]\ngrace = -1\n", "2: `shutdown.grace`: ");
    refused("[default.shutdown]\ndelay = -1\n", "2: `shutdown.delay`: ");
    let setup = Setup::new().env("ROCKET_PORT", "99999");
    let said = setup.relative(server_figment(&setup.source).err().unwrap());
    assert!(said[0].starts_with("environment variable ROCKET_PORT: `port`: "), "{said:?}");
}

#[test]
fn the_report_names_what_set_each_setting() {
    let setup = Setup::new().file("Rocket.toml", "[default]\nport = 81\n").env("ROCKET_WORKERS", "3");
    let report = server_report(&setup.source).unwrap();
    let report = report.replace(&format!("{}/", setup.folder.path().display()), "");
    for line in [
        "server.port = 81  # Rocket.toml:2",
        "server.workers = 3  # environment variable ROCKET_WORKERS",
        "server.max_blocking = 512  # default",
    ] {
        assert!(report.lines().any(|found| found == line), "{line}\n{report}");
    }
    assert!(report.contains("server.address = \"127.0.0.1\"  # built-in Rocket.toml:"), "{report}");
    assert!(report.contains("server.shutdown.grace = 7  # built-in Rocket.toml:"), "{report}");
    assert!(report.parse::<toml_edit::DocumentMut>().is_ok(), "{report}");
}
