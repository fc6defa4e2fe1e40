use super::Setup;
use crate::config::{KindConfig, Word};

/// Checks that a provider's file with these lines after its `kind` has exactly these problems.
#[track_caller]
fn refused(text: &str, said: &[&str]) {
    let setup = Setup::new().main("").file("config/providers/it.toml", format!("kind = \"exec\"\n{text}\n"));
    let said: Vec<String> = said.iter().map(|said| format!("config/providers/it.toml:{said}")).collect();
    assert_eq!(setup.problems(), said, "{text}");
}

#[test]
fn invalid_program_settings_are_refused_with_their_line() {
    let needed =
        "`providers.it.command` must be a program and its arguments, such as [\"python3\", \"colorize.py\"]";
    refused("command = []", &[&format!("2: {needed}")]);
    refused("command = [\"\", \"x\"]", &[&format!("2: {needed}")]);
    refused(
        "command = \"python3 x.py\"",
        &[
            "2: `providers.it.command` must be a list such as [\"python3\"], not \"python3 x.py\"",
            &format!("2: {needed}"),
        ],
    );
    refused(
        "command = [\"a\", \"b\\u0000\"]",
        &["2: `providers.it.command`: \"b\\u0000\" is not a word of a command such as \"python3\""],
    );
    refused(
        "command = [\"a\"]\ndir = \"absent\"",
        &["3: `providers.it.dir`: there is no folder config/providers/absent"],
    );
    refused("command = [\"a\"]\nversion = \"\"", &["3: `providers.it.version` must be a name, not \"\""]);
    refused(
        "command = [\"a\"]\nkep_env = []",
        &["3: unknown key `providers.it.kep_env`: did you mean `providers.it.keep_env`?"],
    );
    refused(
        "command = [\"a\"]\nkeep_env = [\"A=B\"]",
        &["3: `providers.it.keep_env`: \"A=B\" is not the name of a variable such as \"HF_HOME\""],
    );
    refused(
        "command = [\"a\"]\nenv = 5",
        &["3: `providers.it.env` must be a table, such as `[providers.it.env]`, not 5"],
    );
    refused(
        "command = [\"a\"]\nenv.A = 5\nenv.\"B=\" = \"x\"\nenv.C = { file = 5 }",
        &[
            "3: `providers.it.env.A` must be a text, { env = \"NAME\" } or { file = \"path\" }, not 5",
            "5: `providers.it.env.C` must be either { env = \"NAME\" } or { file = \"path\" }",
            "4: `providers.it.env.\"B=\"`: \"B=\" cannot be the name of a variable",
        ],
    );
}

#[test]
fn the_command_is_required() {
    let setup = Setup::new().main("").file("config/providers/it.toml", "kind = \"exec\"\n");
    let [problem] = setup.problems().try_into().unwrap();
    assert!(
        problem.starts_with("config/providers/it.toml: `providers.it.command` must be a program"),
        "{problem}"
    );
}

#[test]
fn the_environment_is_keep_env_plus_env() {
    let file = "kind = \"exec\"\ncommand = [\"a\"]\nkeep_env = [\"PATH\", \"MODE\", \"ABSENT\"]\n\
                env.MODE = \"fast\"\nenv.KEY = { env = \"TOKEN\" }\nenv.LOST = { env = \"NOBODY\" }\n";
    let setup = Setup::new()
        .main("route = [\"it\"]\n")
        .file("config/providers/it.toml", file)
        .env("PATH", "/bin")
        .env("MODE", "ours")
        .env("OTHER", "x")
        .env("TOKEN", "hunter2-planted");
    let loaded = setup.load();
    let KindConfig::Exec(exec) = &loaded.config.providers["it"].kind else { panic!("of another kind") };
    let mut env: Vec<_> = exec
        .env
        .iter()
        .map(|variable| match &variable.value {
            Word::Plain(text) => format!("{}={text} {}", variable.name, variable.kept),
            Word::Secret(secret) => format!("{}={secret}", variable.name),
        })
        .collect();
    env.sort_unstable();
    assert_eq!(
        env,
        [
            "KEY=(set, from env TOKEN)",
            "LOST=(unset: environment variable NOBODY is not set)",
            "MODE=fast false",
            "PATH=/bin true"
        ]
    );
    assert!(exec.dir.ends_with("config/providers"), "{:?}", exec.dir);
    let report = loaded.report();
    assert!(
        !report.contains("hunter2") && report.contains("providers.it.env.KEY = (set, from env TOKEN)"),
        "{report}"
    );
    let unset: Vec<String> = loaded.unset.iter().map(ToString::to_string).collect();
    assert_eq!(unset.len(), 1, "{unset:?}");
    assert!(
        unset[0].contains(
            "it.toml:6: `providers.it.env.LOST` has no value: environment variable NOBODY is not set"
        )
    );
    // A provider that is not on the route gives no warning.
    assert!(setup.main("").load().unset.is_empty());
}
