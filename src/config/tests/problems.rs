use crate::config::{ConfigSource, load};

use super::Setup;

/// Checks that `pixcolor.toml` with this text from line 2 on has exactly one problem.
#[track_caller]
fn refused(text: &str, said: &str) {
    let problems = Setup::new().main(&format!("# words\n{text}\n")).problems();
    assert_eq!(problems, [format!("config/pixcolor.toml:{said}")]);
}

#[test]
fn an_unknown_key_is_refused_with_its_line_and_the_nearest_key() {
    refused("rout = []", "2: unknown key `rout`: did you mean `route`?");
    refused("[limits]\npixel = 5", "3: unknown key `limits.pixel`: did you mean `limits.pixels`?");
    refused("[limit]\npixels = 5", "2: unknown key `limit`: did you mean `limits`?");
    refused("jpeg_quality = 5", "2: unknown key `jpeg_quality`: did you mean `output.jpeg_quality`?");
    refused(
        "output.colour = 5",
        "2: unknown key `output.colour`: the keys here are jpeg_quality, webp_quality, mark",
    );
    refused(
        "\"a\\nb\".c = 1",
        "2: unknown key `\"a\\nb\"`: the keys here are route, on_colour, on_damage, metadata, trusted_proxies, \
        forwarded_header, ipv6_prefix, hosts, allow, deny, anonymous, state_dir, limits, quota, output, cache, admin, \
        metrics, log, assets, shared, providers, facades, budgets, keys",
    );
    refused(
        "[providers.x]\nkind = \"onnx\"\nthread = 1",
        "4: unknown key `providers.x.thread`: did you mean `providers.x.threads`?",
    );
}

#[test]
fn a_value_of_the_wrong_type_or_size_is_refused_with_what_it_must_be() {
    refused("route = \"local\"", "2: `route` must be a list such as [\"local\"], not \"local\"");
    refused("route = []", "2: `route` is empty: name at least one provider, such as [\"local\"]");
    refused(
        "route = [\n  \"local\",\n  7,\n]",
        "4: `route`: 7 is not the name of a provider such as \"local\"",
    );
    let problems = Setup::new().main("route = [\n  7,\n  \"local\",\n  \"locla\",\n]").problems();
    assert_eq!(
        problems,
        [
            "config/pixcolor.toml:2: `route`: 7 is not the name of a provider such as \"local\"",
            "config/pixcolor.toml:4: `route` names provider `locla`, which does not exist: did you mean `local`?",
        ]
    );
    refused("ipv6_prefix = 129", "2: `ipv6_prefix` must be a whole number from 1 to 128, not 129");
    refused("ipv6_prefix = 0", "2: `ipv6_prefix` must be a whole number from 1 to 128, not 0");
    refused("on_colour = \"recolor\"", "2: `on_colour` must be \"recolour\", not \"recolor\"");
    refused("on_colour = true", "2: `on_colour` must be \"pass\" or \"refuse\" or \"recolour\", not true");
    refused("on_damage = \"warn\"", "2: `on_damage` must be \"accept\" or \"refuse\", not \"warn\"");
    refused(
        "metadata = \"all\"",
        "2: `metadata` must be \"keep\" or \"keep-without-location\" or \"strip\", not \"all\"",
    );
    refused(
        "metadata = \"keep-without-locations\"",
        "2: `metadata` must be \"keep-without-location\", not \"keep-without-locations\"",
    );
    refused(
        "metadata = true",
        "2: `metadata` must be \"keep\" or \"keep-without-location\" or \"strip\", not true",
    );
    refused("state_dir = 5", "2: `state_dir` must be a path, not 5");
    refused("state_dir = \"\"", "2: `state_dir` must be a path, not \"\"");
    refused(
        "output.jpeg_quality = 0",
        "2: `output.jpeg_quality` must be a whole number from 1 to 100, not 0",
    );
    refused(
        "output.jpeg_quality = 101",
        "2: `output.jpeg_quality` must be a whole number from 1 to 100, not 101",
    );
    refused(
        "output.webp_quality = 8.5",
        "2: `output.webp_quality` must be a whole number from 1 to 100, not 8.5",
    );
    refused("output.mark = \"yes\"", "2: `output.mark` must be true or false, not \"yes\"");
    refused("limits.pixels = -1", "2: `limits.pixels` must be a whole number from 1 to 1000000000, not -1");
    refused("limits.pixels = nan", "2: `limits.pixels` must be a whole number from 1 to 1000000000, not NaN");
    refused("limits.side = []", "2: `limits.side` must be a whole number from 1 to 65535, not a list");
    refused(
        "limits.request_seconds = 0",
        "2: `limits.request_seconds` must be a number of seconds from 1 to 3600, not 0",
    );
    refused(
        "limits.request_seconds = inf",
        "2: `limits.request_seconds` must be a number of seconds from 1 to 3600, not inf",
    );
    refused(
        "limits.upload_bytes = \"20 pounds\"",
        "2: `limits.upload_bytes` must be a size such as \"20 MiB\", from 1KiB to 1GiB, not \"20 pounds\"",
    );
    refused(
        "limits.upload_bytes = 0",
        "2: `limits.upload_bytes` must be a size such as \"20 MiB\", from 1KiB to 1GiB, not 0",
    );
    refused("limits = 5", "2: `limits` must be a table, such as `[limits]`, not 5");
    refused("providers.x = 5", "2: `providers.x` must be a table, such as `[providers.x]`, not 5");
    refused(
        "forwarded_header = \"forwardet\"",
        "2: `forwarded_header` must be \"forwarded\", not \"forwardet\"",
    );
    refused(
        "trusted_proxies = [\"10.0.0.0/8\", \"10.0.0.0/33\"]",
        "2: `trusted_proxies`: \"10.0.0.0/33\" is not an address or a range of addresses (CIDR) such as \"10.0.0.0/8\"",
    );
}

#[test]
fn keys_that_contradict_each_other_are_refused() {
    refused(
        "limits.decoding_pixels = 5",
        "2: `limits.decoding_pixels` must not be below `limits.pixels`: the largest photo would wait for ever",
    );
    refused("route = [\"local\", \"local\"]", "2: `route` names provider `local` twice");
    refused(
        "route = [\"locla\"]",
        "2: `route` names provider `locla`, which does not exist: did you mean `local`?",
    );
    refused(
        "route = [\"palette\"]",
        "2: `route` names provider `palette`, which does not exist: the providers are algorithmia, cog, deepai, \
         huggingface, local, openai, replicate",
    );
    refused(
        "[providers.x]\nkind = \"onnx\"\nrecipe = \"pixcolor.toml\"",
        "4: a `recipe` needs a `model`: the built-in model has its own",
    );
}

#[test]
fn a_provider_must_say_what_it_is() {
    refused("[providers.x]\nkind = \"onxn\"", "3: `providers.x.kind` must be \"onnx\", not \"onxn\"");
    refused(
        "[providers.x]\nkind = \"magic\"\nwand = 1",
        "3: `providers.x.kind` must be \"onnx\" or \"algorithmia\" or \"http\" or \"exec\", not \"magic\"",
    );
    refused(
        "[providers.x]\nthreads = 1",
        "2: `providers.x` has no `kind`: it must be \"onnx\" or \"algorithmia\" or \"http\" or \"exec\"",
    );
    let setup = Setup::new().file("config/providers/Deep AI.toml", "kind = \"onnx\"");
    assert_eq!(
        setup.problems(),
        [
            "config/providers/Deep AI.toml: a provider cannot be named \"Deep AI\": a name is 1 to 64 of a-z, 0-9, \
          `-` and single `_`, and begins with a letter or a digit"
        ]
    );
}

#[test]
fn missing_files_and_folders_are_named() {
    let setup =
        Setup::new().main("[assets]\nstatic = \"looks\"\n[providers.x]\nkind = \"onnx\"\nmodel = \"m\"\n");
    assert_eq!(
        setup.problems(),
        [
            "config/pixcolor.toml:2: `assets.static`: there is no folder config/looks",
            "config/pixcolor.toml:5: `providers.x.model`: there is no file config/m",
        ]
    );
}

#[test]
fn all_problems_are_reported_at_once() {
    let setup = Setup::new()
        .main("rout = []\n[limits]\nside = 0\n[output]\nmark = 1\n")
        .file("config/providers/a.toml", "kind = \"onnx\"\nqueue = -1\n")
        .env("PIXCOLOR_OUTPUT__WEBP_QUALITY", "best");
    assert_eq!(
        setup.problems(),
        [
            "config/pixcolor.toml:3: `limits.side` must be a whole number from 1 to 65535, not 0",
            "environment variable PIXCOLOR_OUTPUT__WEBP_QUALITY: `output.webp_quality` must be a whole number \
             from 1 to 100, not \"best\"",
            "config/pixcolor.toml:5: `output.mark` must be true or false, not 1",
            "config/providers/a.toml:2: `providers.a.queue` must be a whole number from 0 to 100000, not -1",
            "config/pixcolor.toml:1: unknown key `rout`: did you mean `route`?",
        ]
    );
}

#[test]
fn all_files_that_are_not_toml_are_named_with_their_line() {
    let setup = Setup::new()
        .main("route = [\n")
        .file("config/providers/a.toml", "kind = \"onnx\"\nkind = \"onnx\"\n");
    let problems = setup.problems();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].starts_with("config/pixcolor.toml:"), "{problems:?}");
    assert!(
        problems[1].starts_with("config/providers/a.toml:2: not valid TOML: duplicate key"),
        "{problems:?}"
    );
}

#[test]
fn a_provider_that_two_files_define_is_refused_with_both_files() {
    let setup = Setup::new()
        .main("route = [\"local\"]\n[providers.x]\nkind = \"onnx\"\n")
        .file("config/providers/x.toml", "kind = \"onnx\"");
    assert_eq!(
        setup.problems(),
        [
            "config/pixcolor.toml:2: provider `x` is defined here and in config/providers/x.toml: remove one of them"
        ]
    );
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let setup = Setup::new()
        .file("config/providers/binary.toml", [0xff, 0xfe])
        .file("config/providers/long.toml", "#".repeat(1 << 21));
    std::fs::create_dir(setup.path("config/pixcolor.toml")).unwrap();
    let problems = setup.problems();
    assert_eq!(problems.len(), 3, "{problems:?}");
    assert!(problems[0].starts_with("config/pixcolor.toml: cannot be read: "), "{problems:?}");
    assert_eq!(problems[1], "config/providers/binary.toml: cannot be read: it is not UTF-8 text");
    assert_eq!(problems[2], "config/providers/long.toml: cannot be read: it is longer than 1048576 bytes");
}

#[test]
fn a_named_folder_must_exist() {
    let setup = Setup::new().file("file", "");
    let said = |dir: Option<&str>, variable: &str| {
        let mut source = setup.source.clone();
        source.dir = dir.map(Into::into);
        source.env.insert("PIXCOLOR_CONFIG".into(), variable.into());
        setup.relative(load(&source).err().unwrap()).join("\n")
    };
    assert_eq!(
        said(Some("file"), ""),
        "configuration folder file is not a folder: name the folder that holds pixcolor.toml"
    );
    let absent = said(None, "absent");
    let start = "environment variable PIXCOLOR_CONFIG: configuration folder absent cannot be used: ";
    assert!(absent.starts_with(start), "{absent}");
}

#[test]
fn kubernetes_variables_give_a_warning_and_are_ignored() {
    let setup = Setup::new()
        .env("PIXCOLOR_PORT", "tcp://10.0.0.1:80")
        .env("PIXCOLOR_PORT_80_TCP_ADDR", "10.0.0.1")
        .env("PIXCOLOR_SERVICE_HOST", "10.0.0.1")
        .env("PIXCOLOR_SERVICE_PORT", "80");
    let said = |name: &str| format!("environment variable {name} is no setting and is ignored");
    let names =
        ["PIXCOLOR_PORT", "PIXCOLOR_PORT_80_TCP_ADDR", "PIXCOLOR_SERVICE_HOST", "PIXCOLOR_SERVICE_PORT"];
    assert_eq!(setup.load().warnings, names.map(said));
}

#[test]
fn an_unknown_variable_gives_a_warning_with_the_nearest_name_and_without_its_value() {
    let setup = Setup::new()
        .env("PIXCOLOR_LIMIT__PIXELS", "planted")
        .env("PIXCOLOR_LIMITS__PIXEL", "planted")
        .env("PIXCOLOR_", "planted")
        .env("PIXCOLOR_A____B", "planted")
        .env("PIXCOLOR_PROVIDERS__NOBODY__THREADS", "planted")
        .env("PIXCOLOR_NONE__A", "planted")
        .env("PIXCOLOR_NONE__B", "planted");
    let mut warnings = setup.load().warnings;
    warnings.sort();
    let ignored =
        |name: &str, hint: &str| format!("environment variable {name} is no setting and is ignored{hint}");
    let meant = ": did you mean PIXCOLOR_LIMITS__PIXELS?";
    assert_eq!(
        warnings,
        [
            ignored("PIXCOLOR_", ""),
            ignored("PIXCOLOR_A____B", ""),
            ignored("PIXCOLOR_LIMITS__PIXEL", meant),
            ignored("PIXCOLOR_LIMIT__PIXELS", meant),
            ignored("PIXCOLOR_NONE__A", ""),
            ignored("PIXCOLOR_NONE__B", ""),
            ignored("PIXCOLOR_PROVIDERS__NOBODY__THREADS", ""),
        ]
    );
}

#[test]
fn a_key_that_a_file_and_a_variable_both_misspell_is_a_problem_of_the_file() {
    let setup = Setup::new()
        .main("[limts]\nside = 1\n")
        .env("PIXCOLOR_LIMTS__SIDE", "2")
        .env("PIXCOLOR_LIMTS__X", "3");
    let setup = setup.main("[limts]\nwaiting = 1\n");
    assert_eq!(setup.problems(), ["config/pixcolor.toml:1: unknown key `limts`: did you mean `limits`?"]);
}

#[test]
fn odd_but_valid_settings_give_a_warning() {
    let setup = Setup::new()
        .main("trusted_proxies = [\"0.0.0.0/0\"]\n[limits]\nrequest_seconds = 30\n")
        .file("config/providers/slow.toml", "kind = \"onnx\"\ntimeout = 60\n")
        .file("config/providers/quick.toml", "kind = \"onnx\"\ntimeout = 20\n");
    let warnings = setup.load().warnings.join("\n");
    assert!(warnings.contains("0.0.0.0/0: every client could choose"), "{warnings}");
    assert!(warnings.contains("`providers.slow.timeout` is longer than"), "{warnings}");
    assert!(!warnings.contains("quick"), "{warnings}");
}

#[test]
fn an_error_is_one_line_for_each_problem() {
    let error = load(&ConfigSource { dir: Some("absent".into()), ..ConfigSource::default() }).err().unwrap();
    assert_eq!(error.problems().len(), error.to_string().lines().count());
}

#[test]
fn providers_that_are_not_tables_are_reported_once_with_their_line() {
    let problems = Setup::new().main("\nproviders = \"a\"\n").problems();
    let words = "config/pixcolor.toml:2: `providers` must be a table, such as `[providers]`, not \"a\"";
    assert_eq!(problems, [words]);
}
