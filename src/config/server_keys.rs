//! The keys of Rocket's settings: which may be set, their descriptions, and the checks of a file for errors that Rocket
//! itself does not report.

use figment::Profile;
use figment::value::{Dict, Value};

use super::layer::Layer;
use super::problem::{ConfigProblem, nearest};

/// Keys of Rocket that must not be set, and the reason.
const REFUSED: &[(&str, &str)] = &[
    ("ip_header", "a client could choose its own address; use `trusted_proxies` in pixcolor.toml"),
    ("tls", "this program does not speak TLS; put a reverse proxy in front"),
    ("secret_key", "this program has no private cookies"),
];

/// The key of each setting, its description, and its default if that depends on the machine.
pub(super) const WORDS: &[(&str, &str, Option<&str>)] = &[
    ("address", "The address to listen on; `0.0.0.0` accepts other machines.", None),
    ("port", "The port to listen on.", None),
    ("workers", "Threads that serve requests; colouring uses other threads.", Some("one for each core")),
    ("max_blocking", "Maximum threads for blocking work: files, decoding, programs.", None),
    (
        "keep_alive",
        "0 closes each connection after its response; any other number keeps it open for more requests. With HTTP/2, this is also the number of seconds between pings.",
        None,
    ),
    ("ident", "The name in the `Server` header; `false` leaves the header out.", None),
    (
        "limits",
        "Maximum sizes of bodies that are read as Rocket's own data types. For images, `limits.upload_bytes` of `pixcolor.toml` applies.",
        None,
    ),
    ("temp_dir", "Rocket's folder for temporary files; uploads never go there.", Some("the system's")),
    (
        "log_level",
        "Rocket's own log level: \"off\", \"critical\", \"normal\" or \"debug\". `RUST_LOG` sets the gateway's.",
        None,
    ),
    (
        "shutdown.delay",
        "Seconds after a stop signal in which new connections are still accepted, while `/readyz` fails.",
        None,
    ),
    ("shutdown.grace", "Seconds after the delay in which running requests may finish.", None),
    ("shutdown.mercy", "Seconds after the grace time in which the remaining responses may be sent.", None),
    ("cli_colors", "Whether Rocket's log uses colours.", None),
];

/// `delay` is the program's own setting. The list of signals is not configurable: the program handles signals itself.
pub(super) const SHUTDOWN_KEYS: &[&str] = &["delay", "grace", "mercy"];
const PROFILES: &[&str] = &["default", "debug", "release", "global"];

pub(super) fn known_keys() -> impl Iterator<Item = &'static str> {
    let refused = |key: &&str| REFUSED.iter().any(|(refused, _)| refused == key);
    rocket::Config::PARAMETERS.iter().copied().filter(move |key| !refused(key))
}

/// Returns the errors in a file that Rocket itself does not report: unknown profiles and keys, and refused keys.
pub(super) fn file_problems(layer: &Layer, selected: &Profile) -> Vec<ConfigProblem> {
    let mut problems = Vec::new();
    let mut note = |path: &[&str], message: String| {
        let path: Vec<String> = path.iter().map(|key| (*key).to_owned()).collect();
        problems.push(ConfigProblem { origin: layer.origin(&path), message });
    };
    let known: Vec<&str> = known_keys().collect();
    for (profile, value) in &layer.data {
        let Some(settings) = value.as_dict() else {
            note(&[profile], format!("`{profile}` is outside of a profile: put it under `[default]`"));
            continue;
        };
        let near = nearest(profile, PROFILES.iter().copied());
        if let Some(meant) = near.filter(|meant| meant != profile && *selected != Profile::new(profile)) {
            note(&[profile], format!("unknown profile `{profile}`: did you mean `{meant}`?"));
        }
        for (key, value) in settings {
            if let Some((_, why)) = REFUSED.iter().find(|(refused, _)| refused == key) {
                // `false` is the default, so it is allowed.
                if value.to_bool() != Some(false) {
                    note(&[profile, key], format!("`{key}` cannot be set: {why}"));
                }
            } else if !known.contains(&key.as_str()) {
                note(&[profile, key], unknown(key, &known));
            }
        }
        for key in settings.get("shutdown").and_then(Value::as_dict).into_iter().flat_map(Dict::keys) {
            if !SHUTDOWN_KEYS.contains(&key.as_str()) {
                note(&[profile, "shutdown", key], unknown(key, SHUTDOWN_KEYS));
            }
        }
    }
    problems
}

fn unknown(key: &str, known: &[&str]) -> String {
    match nearest(key, known.iter().copied()) {
        Some(meant) => format!("unknown key `{key}`: did you mean `{meant}`?"),
        None => format!("unknown key `{key}`: the keys here are {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_has_a_description() {
        let nested = |key: &'static str| match key {
            "shutdown" => SHUTDOWN_KEYS.iter().map(|inner| format!("shutdown.{inner}")).collect(),
            key => vec![key.to_owned()],
        };
        let mut known: Vec<String> = known_keys().flat_map(nested).collect();
        let mut told: Vec<String> = WORDS.iter().map(|(key, ..)| (*key).to_owned()).collect();
        known.sort();
        told.sort();
        assert_eq!(told, known);
    }
}
