//! Reloads: a new configuration takes effect soon or not at all, and no request is lost.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::fakes::http::nobody;
use crate::harness::{Picture, Server, Setup};

/// The documented maximum time until a change takes effect.
const SOON: Duration = Duration::from_secs(2);

/// A provider file with this version. The provider is not on the route and is never called.
fn version(version: u32) -> String {
    format!("kind = \"exec\"\ncommand = [\"true\"]\nversion = \"{version}\"\n")
}

fn setup() -> Setup {
    Setup::new().file("config/pixcolor.toml", "# mine\n").file("config/providers/it.toml", version(0))
}

/// The version of the provider `it`, if it exists.
fn seen(server: &Server) -> Option<String> {
    let providers = server.get("/v1/providers").json();
    let it = providers["providers"].as_array().unwrap().iter().find(|it| it["name"] == "it")?;
    Some(it["version"].as_str().unwrap().to_owned())
}

/// Waits until a condition is true, and returns how long that took.
#[track_caller]
fn until(server: &Server, condition: impl Fn(&Server) -> bool) -> Duration {
    server.until("the configuration is in effect", condition)
}

/// Waits until this version is in effect.
#[track_caller]
fn until_version(server: &Server, wanted: Option<u32>) -> Duration {
    let wanted = wanted.map(|version| version.to_string());
    until(server, |server| seen(server) == wanted)
}

fn reloads(server: &Server, outcome: &str) -> f64 {
    server.metric(&format!("pixcolor_config_reloads_total{{outcome=\"{outcome}\"}}"))
}

#[test]
fn every_kind_of_file_change_takes_effect_soon() {
    let server = setup().start();
    let it = server.path("config/providers/it.toml");
    let mut took = Vec::new();

    // The file is overwritten in place.
    fs::write(&it, version(1)).unwrap();
    took.push(until_version(&server, Some(1)));
    // The file is saved as most editors do: a new file replaces it.
    let beside = server.path("config/providers/.it.toml.swp");
    fs::write(&beside, version(2)).unwrap();
    fs::rename(&beside, &it).unwrap();
    took.push(until_version(&server, Some(2)));
    // The file is renamed and created again, as other editors do.
    fs::rename(&it, server.path("config/providers/it.toml~")).unwrap();
    fs::write(&it, version(3)).unwrap();
    took.push(until_version(&server, Some(3)));
    // The file is removed and added.
    fs::remove_file(&it).unwrap();
    took.push(until_version(&server, None));
    fs::write(&it, version(4)).unwrap();
    took.push(until_version(&server, Some(4)));
    // The folder of the providers is replaced.
    fs::rename(server.path("config/providers"), server.path("config/old")).unwrap();
    took.push(until_version(&server, None));
    fs::create_dir(server.path("config/providers")).unwrap();
    fs::write(&it, version(5)).unwrap();
    took.push(until_version(&server, Some(5)));
    // The whole configuration folder is replaced.
    fs::create_dir_all(server.path("next/providers")).unwrap();
    fs::write(server.path("next/pixcolor.toml"), "").unwrap();
    fs::write(server.path("next/providers/it.toml"), version(6)).unwrap();
    fs::rename(server.path("config"), server.path("previous")).unwrap();
    fs::rename(server.path("next"), server.path("config")).unwrap();
    took.push(until_version(&server, Some(6)));
    fs::write(&it, version(7)).unwrap();
    took.push(until_version(&server, Some(7)));

    took.sort_unstable();
    assert!(took[took.len() / 2] < SOON, "{took:?}");
    assert!(server.said().contains("changed: providers.it.version"), "{}", server.said());
}

#[test]
fn a_swapped_config_map_takes_effect_soon() {
    let setup = Setup::new()
        .file("config/..1/pixcolor.toml", "")
        .file("config/..1/it.toml", version(1))
        .file("config/..2/pixcolor.toml", "")
        .file("config/..2/it.toml", version(2));
    let config = setup.path("config");
    fs::create_dir(config.join("providers")).unwrap();
    symlink("..1", config.join("..data")).unwrap();
    symlink("..data/pixcolor.toml", config.join("pixcolor.toml")).unwrap();
    symlink("../..data/it.toml", config.join("providers/it.toml")).unwrap();
    let server = setup.start();
    assert_eq!(seen(&server).as_deref(), Some("1"));
    for (folder, number) in [("..2", 2), ("..1", 1)] {
        symlink(folder, config.join("..data_tmp")).unwrap();
        fs::rename(config.join("..data_tmp"), config.join("..data")).unwrap();
        until_version(&server, Some(number));
    }
}

#[test]
fn a_half_written_file_is_not_loaded() {
    let server = setup().start();
    let mut file = fs::File::create(server.path("config/providers/it.toml")).unwrap();
    file.write_all(b"kind = \"exec\"\ncommand = [\"tr").unwrap();
    std::thread::sleep(Duration::from_millis(400));
    file.write_all(b"ue\"]\nversion = \"1\"\n").unwrap();
    drop(file);
    until_version(&server, Some(1));
    assert_eq!(reloads(&server, "failed"), 0.0, "{}", server.said());
    // A slow write changes nothing until it is complete.
    let mut file = fs::File::create(server.path("config/providers/it.toml")).unwrap();
    file.write_all(b"kind = \"exec\"\ncommand = [\"tr").unwrap();
    until(&server, |server| reloads(server, "failed") > 0.0);
    assert_eq!(seen(&server).as_deref(), Some("1"));
    file.write_all(b"ue\"]\nversion = \"2\"\n").unwrap();
    drop(file);
    until_version(&server, Some(2));
}

#[test]
fn an_invalid_configuration_changes_nothing_and_is_reported_until_corrected() {
    let server = setup().start();
    let gauge = |server: &Server| server.metric("pixcolor_config_last_reload_successful");
    let since = server.metric("pixcolor_config_last_reload_success_timestamp_seconds");
    assert!(since > 1.7e9 && (gauge(&server) - 1.0).abs() < 0.1);
    let cases = [
        ("config/pixcolor.toml", "route = [\"loc", "pixcolor.toml:1: not valid TOML"),
        ("config/pixcolor.toml", "\nrout = [\"local\"]\n", "pixcolor.toml:2: unknown key `rout`"),
        (
            "config/pixcolor.toml",
            "[providers.it]\nkind = \"onnx\"\n",
            "provider `it` is defined here and in providers/it.toml",
        ),
        ("config/providers/new.toml", "", "`providers.new` has no `kind`"),
        (
            "config/providers/new.toml",
            "kind = \"onnx\"\nmodel = \"../pixcolor.toml\"\nrecipe = \"../pixcolor.toml\"\n",
            "provider `new`: ",
        ),
        ("Rocket.toml", "[default]\nprt = 1\n", "unknown key `prt`"),
    ];
    for (count, (name, text, why)) in (1..).zip(cases) {
        let before = fs::read_to_string(server.path(name)).ok();
        fs::write(server.path(name), text).unwrap();
        if name == "Rocket.toml" {
            server.signal("HUP");
        }
        until(&server, |server| reloads(server, "failed") >= f64::from(count));
        assert!(gauge(&server) < 0.5);
        let ready = server.get("/readyz");
        assert_eq!(ready.status, 200, "{}", ready.text());
        let said = ready.json()["configuration_is_not_in_force"].as_str().unwrap_or_default().to_owned();
        assert!(said.contains(why), "{why}: {said}");
        assert!(!said.contains(server.path("").to_str().unwrap()), "{said}");
        assert!(
            server.get("/").text().contains("cannot be used; the previous one is still in effect"),
            "{why}"
        );
        assert!(server.said().contains("the configuration stays as it was"), "{}", server.said());
        assert_eq!(server.colorize(&Picture::png(32, 24, count)).status, 200);
        assert_eq!(seen(&server).as_deref(), Some("0"));

        match before {
            Some(before) => fs::write(server.path(name), before).unwrap(),
            None => fs::remove_file(server.path(name)).unwrap(),
        }
        if name == "Rocket.toml" {
            server.signal("HUP");
        }
        until(&server, |server| gauge(server) > 0.5);
        assert!(server.get("/readyz").json().get("configuration_is_not_in_force").is_none());
        assert!(!server.get("/").text().contains("still in effect"));
    }
    assert!(server.metric("pixcolor_config_last_reload_success_timestamp_seconds") > since);
}

#[test]
fn a_deleted_configuration_stays_in_effect_until_it_returns() {
    let server = setup().start();
    fs::rename(server.path("config"), server.path("away")).unwrap();
    until(&server, |server| reloads(server, "failed") > 0.0);
    assert_eq!(seen(&server).as_deref(), Some("0"));
    let why = server.get("/readyz").json()["configuration_is_not_in_force"].as_str().unwrap().to_owned();
    assert!(why.contains("no longer exists"), "{why}");
    fs::rename(server.path("away"), server.path("config")).unwrap();
    until(&server, |server| server.get("/readyz").json().get("configuration_is_not_in_force").is_none());

    // A configuration folder that did not exist at the start is read once it is created.
    let server = Server::start();
    fs::create_dir_all(server.path("config/providers")).unwrap();
    fs::write(server.path("config/providers/it.toml"), version(1)).unwrap();
    fs::write(server.path("config/pixcolor.toml"), "").unwrap();
    until_version(&server, Some(1));
}

#[test]
fn sighup_reloads_and_names_settings_that_need_a_restart() {
    let setup = setup()
        .file("token", "first")
        .file("config/pixcolor.toml", "admin.token = { file = \"../token\" }\n");
    let server = setup.start();
    let admin = |token: &str| {
        server.get_with("/v1/admin/config", &[("Authorization", &format!("Bearer {token}"))]).status
    };
    assert_eq!((admin("first"), admin("second")), (200, 403));
    fs::write(server.path("token"), "second").unwrap();
    server.signal("HUP");
    until(&server, |_| admin("second") == 200);
    assert_eq!(admin("first"), 403);

    let main = "admin.token = { file = \"../token\" }\nstate_dir = \"../elsewhere\"\n[limits]\nwaiting = 7\n\
                [cache]\ndir = \"../kept\"\n[output]\njpeg_quality = 80\n";
    fs::write(server.path("Rocket.toml"), "[default]\nkeep_alive = 77\n").unwrap();
    fs::write(server.path("config/pixcolor.toml"), main).unwrap();
    for key in ["state_dir", "limits.waiting", "cache.dir", "server.keep_alive"] {
        let words = format!("`{key}` has changed, which takes effect only at the next start");
        until(&server, |server| server.said().contains(&words));
    }
    assert!(!server.said().contains("`output.jpeg_quality` has changed"));
    assert!(!server.path("elsewhere").exists());
}

#[test]
fn limits_queues_and_breakers_survive_a_reload() {
    let far = format!(
        "kind = \"algorithmia\"\nbase_url = \"{}\"\nretries = 0\nbreaker = {{ failures = 1, pause = 600 }}\n",
        nobody()
    );
    let main = "route = [\"far\", \"local\"]\n[quota.limits.few]\nof = \"pictures\"\nper = \"day\"\nrate = 2\nburst = 2\n";
    let server = setup()
        .env("API_KEY", crate::fakes::KEY)
        .file("config/providers/far.toml", &far)
        .file("config/pixcolor.toml", main)
        .start();
    let (first, second) = (Picture::png(48, 36, 1), Picture::png(48, 36, 2));
    assert_eq!(server.colorize(&first).header("x-pixcolor-attempts"), "far=unreachable");
    let remembered = |server: &Server| {
        let providers = server.get("/v1/providers").json();
        let far = providers["providers"]
            .as_array()
            .unwrap()
            .iter()
            .find(|far| far["name"] == "far")
            .unwrap()
            .clone();
        assert!(far["reason"].as_str().unwrap().starts_with("paused"), "{far}");
        let again = server.colorize(&first);
        assert!(again.header("cache-status").contains("hit"), "{}", again.header("cache-status"));
        server.get("/v1/usage").json()["total"]["calls"].as_u64().unwrap()
    };
    let calls = remembered(&server);
    fs::write(server.path("config/providers/it.toml"), version(1)).unwrap();
    until_version(&server, Some(1));
    assert_eq!(remembered(&server), calls);
    // The limit is two pictures a day: this is the second, and a third is refused.
    assert_eq!(server.colorize(&second).status, 200);
    assert_eq!(server.colorize(&Picture::png(48, 36, 3)).status, 429);
}

#[test]
fn a_running_request_keeps_its_snapshot() {
    let slow = "kind = \"exec\"\ncommand = [\"sh\", \"-c\", \"touch ../../begun; until [ -e ../../go ]; do sleep 0.05; done; exec python3 sepia.py\"]\nmodel = \"slow\"\n";
    let handbook = include_str!("../../docs/providers.md");
    let marker = "<!-- file of tests/providers/exec.rs: sepia.py -->\n```python\n";
    let program = handbook.split(marker).nth(1).unwrap().split("```").next().unwrap();
    let server = setup()
        .file("config/providers/slow.toml", slow)
        .file("config/providers/sepia.py", program)
        .file("config/pixcolor.toml", "route = [\"slow\"]\n")
        .start();
    std::thread::scope(|scope| {
        let picture = Picture::png(64, 48, 1);
        let server = &server;
        let request = scope.spawn(move || server.colorize(&picture));
        until(server, |server| server.path("begun").exists());
        fs::write(server.path("config/pixcolor.toml"), "route = [\"local\"]\n").unwrap();
        fs::remove_file(server.path("config/providers/slow.toml")).unwrap();
        until(server, |server| {
            let answer = server.get("/v1/providers").json();
            answer["providers"].as_array().unwrap().iter().all(|provider| provider["name"] != "slow")
        });
        fs::write(server.path("go"), "").unwrap();
        let answer = request.join().unwrap();
        assert_eq!((answer.status, answer.header("x-pixcolor-provider")), (200, "slow"), "{}", answer.text());
    });
}

/// Resident memory of the server, in bytes.
fn memory(server: &Server) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() * 1024
}

/// Makes this many reloads, by files and by signals, while photos are coloured. Returns by how many bytes the peak
/// memory in the second half exceeds the peak in the first half.
fn reload_under_load(count: u32) -> i64 {
    let server =
        setup().env("PIXCOLOR_QUOTA__ENABLED", "false").env("PIXCOLOR_CACHE__ENABLED", "false").start();
    let (done, colored) = (AtomicBool::new(false), AtomicUsize::new(0));
    let growth = std::thread::scope(|scope| {
        for thread in 0..2 {
            let (server, done, colored) = (&server, &done, &colored);
            scope.spawn(move || {
                for seed in 0.. {
                    if done.load(Ordering::Relaxed) {
                        break;
                    }
                    let answer = server.colorize(&Picture::png(96, 64, 1000 * thread + seed % 1000));
                    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
                    colored.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        // The allocator retains a varying amount of memory, so peaks are compared.
        let (mut first_half, mut second_half) = (0, 0);
        for number in 1..=count {
            // Replaced atomically, because a signal may be handled in the middle of a write.
            fs::write(server.path("config/providers/it.part"), version(number)).unwrap();
            fs::rename(server.path("config/providers/it.part"), server.path("config/providers/it.toml"))
                .unwrap();
            if number % 2 == 0 {
                server.signal("HUP");
            }
            until_version(&server, Some(number));
            let most = if number <= count / 2 { &mut first_half } else { &mut second_half };
            *most = memory(&server).max(*most);
        }
        done.store(true, Ordering::Relaxed);
        second_half.cast_signed() - first_half.cast_signed()
    });
    assert!(reloads(&server, "ok") >= f64::from(count));
    assert_eq!(reloads(&server, "failed"), 0.0, "{}", server.said());
    let colored = colored.into_inner();
    assert!(colored > 20, "{colored}");
    println!("{count} reloads, {colored} pictures, memory grew by {growth} bytes");
    growth
}

#[test]
fn a_hundred_reloads_under_load_lose_no_request_and_leak_no_memory() {
    let growth = reload_under_load(100);
    assert!(growth < 16 << 20, "{growth}");
}

#[test]
#[ignore = "takes minutes"]
fn a_thousand_reloads_under_load_lose_no_request_and_leak_no_memory() {
    let growth = reload_under_load(1000);
    assert!(growth < 16 << 20, "{growth}");
}

#[test]
fn metrics_of_a_new_provider_start_at_0_and_a_removed_one_has_no_state_metric() {
    let server = setup().env("API_KEY", crate::fakes::KEY).start();
    let unknown = "pixcolor_unknown_costs_total{provider=\"paid\"} 0";
    let breaker = "pixcolor_provider_breaker_state{provider=\"paid\"} 0";
    let shown = |server: &Server, line: &str| server.get("/metrics").text().lines().any(|it| it == line);
    assert!(!shown(&server, unknown) && !shown(&server, breaker));
    let paid = server.path("config/providers/paid.toml");
    fs::write(&paid, format!("kind = \"algorithmia\"\nbase_url = \"{}\"\n", nobody())).unwrap();
    until(&server, |server| shown(server, unknown) && shown(server, breaker));
    fs::remove_file(&paid).unwrap();
    until(&server, |server| !shown(server, breaker));
    assert!(shown(&server, unknown), "counters keep their values");
}

#[test]
fn other_files_in_the_folder_cause_no_reload() {
    let server = setup().start();
    let before = reloads(&server, "ok");
    let end = Instant::now() + Duration::from_millis(3500);
    while Instant::now() < end {
        for name in ["config/serve.log", "config/providers/it.log"] {
            let mut log = fs::OpenOptions::new().create(true).append(true).open(server.path(name)).unwrap();
            writeln!(log, "a line").unwrap();
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(reloads(&server, "ok") - before, 0.0, "{}", server.said());
    fs::write(server.path("config/providers/it.toml"), version(1)).unwrap();
    until_version(&server, Some(1));
}

#[test]
fn links_and_referenced_files_are_watched() {
    let main = "admin.token = { file = \"../../token\" }\n";
    let mut setup = Setup::new().file("token", "first").file("shared/it.toml", version(0));
    for number in [1, 2] {
        setup = setup.file(&format!("rel{number}/config/pixcolor.toml"), main);
        let providers = setup.path(&format!("rel{number}/config/providers"));
        fs::create_dir(&providers).unwrap();
        fs::write(providers.join("other.toml"), version(70 + number)).unwrap();
        symlink("../../../shared/it.toml", providers.join("it.toml")).unwrap();
    }
    symlink("rel1", setup.path("current")).unwrap();
    let server = setup.env("PIXCOLOR_CONFIG", "current/config").start();
    assert_eq!(seen(&server).as_deref(), Some("0"));
    // The target of a link is written.
    fs::write(server.path("shared/it.toml"), version(5)).unwrap();
    until_version(&server, Some(5));
    // A link above the configuration folder is replaced.
    symlink("rel2", server.path("next")).unwrap();
    fs::rename(server.path("next"), server.path("current")).unwrap();
    let other = |server: &Server| server.get("/v1/providers").text().contains("\"version\":\"72\"");
    until(&server, other);
    fs::write(server.path("rel2/config/providers/it.toml.new"), version(6)).unwrap();
    fs::rename(
        server.path("rel2/config/providers/it.toml.new"),
        server.path("rel2/config/providers/it.toml"),
    )
    .unwrap();
    until_version(&server, Some(6));
    // The content of a secret's file changes.
    let admin = |token: &str| {
        server.get_with("/v1/admin/config", &[("Authorization", &format!("Bearer {token}"))]).status
    };
    assert_eq!((admin("first"), admin("second")), (200, 403));
    fs::write(server.path("token"), "second").unwrap();
    until(&server, |_| admin("second") == 200);
}

#[test]
fn a_corrected_address_or_key_closes_the_circuit_at_once() {
    let fake = crate::fakes::algorithmia::Algorithmia::start();
    let far = |url: &str, more: &str| {
        format!(
            "kind = \"algorithmia\"\nbase_url = \"{url}\"\nretries = 0\n\
             breaker = {{ failures = 1, pause = 600 }}\n{more}"
        )
    };
    let server = setup()
        .env("API_KEY", crate::fakes::KEY)
        .env("PIXCOLOR_CACHE__ENABLED", "false")
        .file("wrong", "not-the-key")
        .file("config/providers/far.toml", far(&nobody(), ""))
        .file("config/pixcolor.toml", "route = [\"far\", \"local\"]\n")
        .start();
    let picture = Picture::png(48, 36, 1);
    let open = "pixcolor_provider_breaker_state{provider=\"far\"} 2";
    let shown = |server: &Server, line: &str| server.get("/metrics").text().lines().any(|it| it == line);
    assert_eq!(server.colorize(&picture).header("x-pixcolor-attempts"), "far=unreachable");
    assert!(shown(&server, open));
    // First the address is corrected, with a wrong key; then the key is corrected.
    let path = server.path("config/providers/far.toml");
    fs::write(&path, far(&fake.url(), "api_key = { file = \"../../wrong\" }\n")).unwrap();
    until(&server, |server| !shown(server, open));
    assert_eq!(server.colorize(&picture).header("x-pixcolor-attempts"), "far=denied");
    assert!(shown(&server, open));
    fs::write(&path, far(&fake.url(), "")).unwrap();
    until(&server, |server| !shown(server, open));
    assert_eq!(server.colorize(&picture).header("x-pixcolor-provider"), "far");
    // A removed provider has no state metric.
    fs::write(server.path("config/pixcolor.toml"), "route = [\"local\"]\n").unwrap();
    fs::remove_file(&path).unwrap();
    until(&server, |server| !server.get("/metrics").text().contains("breaker_state{provider=\"far\"}"));
}
