use std::path::Path;
use std::time::Duration;

use crate::config::{
    CacheSharing, Common, ConfigSource, ForwardedHeader, KindConfig, LimitsConfig, OnnxConfig, OutputConfig,
    load,
};

use super::Setup;

/// The providers that are not built in.
fn added(setup: &Setup) -> Vec<String> {
    let built_in = load(&ConfigSource::default()).unwrap().config.providers;
    setup.load().config.providers.into_keys().filter(|name| !built_in.contains_key(name)).collect()
}

#[test]
fn the_default_route_is_the_built_in_provider() {
    let loaded = load(&ConfigSource::default()).unwrap();
    let config = &loaded.config;
    assert_eq!(config.route, ["local"]);
    assert_eq!(config.limits, LimitsConfig::default());
    assert_eq!(config.output, OutputConfig::default());
    assert_eq!(config.clients.ipv6_prefix, 64);
    assert!(config.clients.trusted_proxies.is_empty() && config.admin.token.is_none());
    let local = &config.providers["local"];
    assert_eq!((local.name.as_str(), local.common), ("local", Common::default()));
    assert!(matches!(&local.kind, KindConfig::Onnx(onnx) if *onnx == OnnxConfig::default()));
    assert_eq!(loaded.provenance("route").unwrap().to_string(), "default");
    let kind = loaded.provenance("providers.local.kind").unwrap().to_string();
    assert!(kind.starts_with("built-in config/providers/local.toml:"), "{kind}");
    assert_eq!(loaded.dir, None);
}

#[test]
fn files_override_defaults_and_the_environment_overrides_files() {
    let setup = Setup::new()
        .main("route = [\"local\"]\n[limits]\npixels = 1_000\nside = 100\n[output]\nmark = false\n")
        .env("PIXCOLOR_LIMITS__SIDE", "200");
    let limits = setup.load().config.limits;
    assert_eq!((limits.pixels, limits.side, limits.waiting), (1000, 200, 32));
    assert!(!setup.load().config.output.mark);
    assert_eq!(setup.from("limits.pixels"), "config/pixcolor.toml:3");
    assert_eq!(setup.from("limits.side"), "environment variable PIXCOLOR_LIMITS__SIDE");
    assert_eq!(setup.from("limits.waiting"), "default");
    assert!(setup.load().warnings.is_empty(), "{:?}", setup.load().warnings);
}

#[test]
fn every_sort_of_value_can_come_from_the_environment() {
    let config = Setup::new()
        .env("PIXCOLOR_ROUTE", "[\"spare\", \"local\"]")
        .env("PIXCOLOR_TRUSTED_PROXIES", "[\"10.0.0.0/8\", \"::1\"]")
        .env("PIXCOLOR_FORWARDED_HEADER", "forwarded")
        .env("PIXCOLOR_IPV6_PREFIX", "56")
        .env("PIXCOLOR_STATE_DIR", "/var/lib/pixcolor")
        .env("PIXCOLOR_LIMITS__UPLOAD_BYTES", "5 MiB")
        .env("PIXCOLOR_LIMITS__PIXELS", "12e6")
        .env("PIXCOLOR_LIMITS__REQUEST_SECONDS", "1.5")
        .env("PIXCOLOR_OUTPUT", "{ jpeg_quality = 75, mark = false }")
        .env("PIXCOLOR_PROVIDERS__SPARE__KIND", "onnx")
        .env("PIXCOLOR_PROVIDERS__SPARE__LUMA_LOCK", "false")
        .env("PIXCOLOR_PROVIDERS__LOCAL__THREADS", "2")
        .load()
        .config;
    assert_eq!(config.route, ["spare", "local"]);
    let proxies: Vec<String> = config.clients.trusted_proxies.iter().map(ToString::to_string).collect();
    assert_eq!(proxies, ["10.0.0.0/8", "::1/128"]);
    assert_eq!(config.clients.forwarded_header, ForwardedHeader::Forwarded);
    assert_eq!(config.clients.ipv6_prefix, 56);
    assert_eq!(config.state_dir, Path::new("/var/lib/pixcolor"));
    assert_eq!(config.limits.upload_bytes, 5 << 20);
    assert_eq!(config.limits.pixels, 12_000_000);
    assert_eq!(config.limits.request, Duration::from_millis(1500));
    assert_eq!((config.output.jpeg_quality, config.output.mark), (75, false));
    assert!(!config.providers["spare"].common.luma_lock);
    assert!(matches!(&config.providers["local"].kind, KindConfig::Onnx(onnx) if onnx.threads == 2));
}

#[test]
fn an_empty_variable_counts_as_unset() {
    let setup = Setup::new().env("PIXCOLOR_STATE_DIR", "").env("PIXCOLOR_LIMITS__PIXELS", "");
    assert_eq!(setup.from("limits.pixels"), "default");
    assert_eq!(setup.load().config.state_dir, Path::new("/home/me/.local/state/pixcolor"));
}

#[test]
fn a_new_file_adds_a_provider() {
    let setup = Setup::new()
        .main("route = [\"spare\", \"local\"]")
        .file("config/providers/spare.toml", "kind = \"onnx\"\ntimeout = 9\n");
    assert_eq!(added(&setup), ["spare"]);
    assert_eq!(setup.load().config.providers["spare"].common.timeout, Duration::from_secs(9));
    assert_eq!(setup.from("providers.spare.timeout"), "config/providers/spare.toml:2");
}

#[test]
fn a_provider_file_replaces_the_whole_built_in_provider_of_its_name() {
    let setup = Setup::new().file("config/providers/local.toml", "timeout = 9");
    let missing = "config/providers/local.toml: `providers.local` has no `kind`: it must be \"onnx\" or \"algorithmia\" or \"http\" or \"exec\"";
    assert_eq!(setup.problems(), [missing]);
    let setup = Setup::new().main("[providers.local]\nkind = \"onnx\"\nthreads = 3\n");
    assert_eq!(setup.from("providers.local.threads"), "config/pixcolor.toml:3");
    assert_eq!(setup.from("providers.local.kind"), "config/pixcolor.toml:2");
}

#[test]
fn files_of_editors_and_kubernetes_are_not_providers() {
    let setup = Setup::new();
    for name in [
        ".a.toml",
        ".#b.toml",
        "#c.toml#",
        "d.toml~",
        ".e.toml.swp",
        "f.toml.bak",
        "g.TOML",
        "h",
        "README.md",
    ] {
        let path = setup.path("config/providers").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "no = toml = at all").unwrap();
    }
    std::fs::create_dir_all(setup.path("config/providers/..2024_01_01")).unwrap();
    std::fs::create_dir_all(setup.path("config/providers/folder.toml")).unwrap();
    assert!(added(&setup).is_empty());
}

#[cfg(unix)]
#[test]
fn a_mounted_config_map_is_read_through_its_links() {
    let setup = Setup::new().file("config/..data/pixcolor.toml", "[limits]\nside = 7\n");
    std::os::unix::fs::symlink("..data/pixcolor.toml", setup.path("config/pixcolor.toml")).unwrap();
    assert_eq!(setup.load().config.limits.side, 7);
}

#[test]
fn paths_in_a_file_are_relative_to_its_folder_and_in_a_variable_to_the_working_folder() {
    let setup = Setup::new()
        .main("state_dir = \"state\"\n[assets]\ntemplates = \"../pages\"\n")
        .file("config/providers/local.toml", "kind = \"onnx\"\nmodel = \"../../m.onnx\"\n")
        .file("m.onnx", "")
        .file("pages/index.html", "")
        .file("looks/style.css", "")
        .env("PIXCOLOR_ASSETS__STATIC", "looks");
    let loaded = setup.load();
    assert_eq!(loaded.config.state_dir, setup.path("config/state"));
    assert_eq!(loaded.config.assets.templates, Some(setup.path("config/../pages")));
    assert_eq!(loaded.config.assets.r#static, Some(setup.path("looks")));
    let KindConfig::Onnx(onnx) = &loaded.config.providers["local"].kind else { panic!("not of kind onnx") };
    assert_eq!(onnx.model, Some(setup.path("config/providers/../../m.onnx")));
    assert!(loaded.report().contains(&format!("state_dir = \"{}/state\"", setup.path("config").display())));
}

#[test]
fn the_folder_is_the_named_one_else_the_variables_else_config_if_it_exists() {
    let setup = Setup::new()
        .file("asked/pixcolor.toml", "[limits]\nside = 1\n")
        .file("named/pixcolor.toml", "[limits]\nside = 2\n")
        .main("[limits]\nside = 3\n");
    let side = |dir: Option<&str>, variable: &str| {
        let mut source = setup.source.clone();
        source.dir = dir.map(Into::into);
        source.env.insert("PIXCOLOR_CONFIG".into(), variable.into());
        load(&source).unwrap().config.limits.side
    };
    assert_eq!(side(Some("asked"), "named"), 1);
    assert_eq!(side(None, "named"), 2);
    assert_eq!(side(None, ""), 3);
    std::fs::remove_dir_all(setup.path("config")).unwrap();
    assert_eq!(side(None, ""), LimitsConfig::default().side);
}

#[test]
fn a_default_folder_that_exists_but_cannot_be_used_stops_the_start() {
    let said = |make: &dyn Fn(&Path)| {
        let mut setup = Setup::new();
        setup.source.dir = None;
        let config = setup.path("config");
        std::fs::remove_dir(&config).unwrap();
        make(&config);
        setup.problems().join("\n")
    };
    let empty = said(&|config| std::fs::create_dir(config).unwrap());
    assert_eq!(
        empty,
        "configuration folder config has no pixcolor.toml: create one (it may be empty), or name another \
         folder with --config"
    );
    let providers_alone = said(&|config| {
        std::fs::create_dir_all(config.join("providers")).unwrap();
        std::fs::write(config.join("providers/x.toml"), "kind = \"onnx\"").unwrap();
    });
    assert_eq!(providers_alone, empty);
    let nowhere = said(&|config| std::os::unix::fs::symlink("nowhere", config).unwrap());
    assert_eq!(nowhere, empty);
    for wrong in [
        said(&|config| std::fs::write(config, "").unwrap()),
        said(&|config| std::os::unix::fs::symlink("config", config).unwrap()),
    ] {
        assert!(wrong.starts_with("configuration folder config cannot be used: "), "{wrong}");
    }
}

#[test]
fn state_and_cache_have_the_folders_of_the_base_directory_specification() {
    let folders = |set: &[(&str, &str)]| {
        let env = set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let loaded = load(&ConfigSource { env, ..ConfigSource::default() }).unwrap();
        (loaded.config.state_dir, loaded.config.cache.dir, loaded.warnings.len())
    };
    let at = |state: &str, cache: &str| (state.into(), Some(cache.into()), 0);
    let home = ("HOME", "/h");
    assert_eq!(folders(&[home]), at("/h/.local/state/pixcolor", "/h/.cache/pixcolor"));
    assert_eq!(folders(&[("XDG_STATE_HOME", "/s"), home]), at("/s/pixcolor", "/h/.cache/pixcolor"));
    assert_eq!(folders(&[("XDG_CACHE_HOME", "/c"), home]), at("/h/.local/state/pixcolor", "/c/pixcolor"));
    let relative = [("XDG_STATE_HOME", "s"), ("XDG_CACHE_HOME", "c"), home];
    assert_eq!(folders(&relative), folders(&[home]));
    assert_eq!(folders(&[]), (std::env::temp_dir().join("pixcolor"), None, 2));
    let off = ("PIXCOLOR_CACHE__MAX_BYTES", "0");
    assert_eq!(folders(&[off]), (std::env::temp_dir().join("pixcolor"), None, 1));
}

#[test]
fn cache_settings_are_read() {
    let setup = Setup::new()
        .main("[cache]\nmemory = \"1 MiB\"\ndir = \"../kept\"\nmax_bytes = 0\nttl = 0\nshare = \"client\"\n")
        .env("PIXCOLOR_CACHE__ENABLED", "false");
    let cache = setup.load().config.cache;
    let dir = setup.path("config").join("../kept");
    assert_eq!((cache.enabled, cache.memory, cache.dir), (false, 1 << 20, Some(dir)));
    assert_eq!((cache.max_bytes, cache.ttl, cache.share), (0, None, CacheSharing::Client));
    assert!(cache.store.is_none());
}

#[test]
fn loading_again_reads_the_changed_files() {
    let setup = Setup::new().main("[limits]\nside = 1\n");
    assert_eq!(setup.load().config.limits.side, 1);
    let setup = setup.main("[limits]\nside = 2\n");
    assert_eq!(setup.load().config.limits.side, 2);
}

#[test]
fn a_larger_pixel_limit_raises_the_default_of_the_decoding_limit() {
    let limits = Setup::new().main("[limits]\npixels = 100e6").load().config.limits;
    assert_eq!(limits.decoding_pixels, 100_000_000);
    assert_eq!((limits.photo().max_pixels, limits.photo().max_side), (100_000_000, 16_384));
}
