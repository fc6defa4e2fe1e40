//! Settings of the kind `exec`: a program that is started for each photo.

use std::fmt;
use std::path::PathBuf;

use figment::value::Value;
use serde_json::Value as Json;

use super::problem::dotted;
use super::reference::Words;
use super::secret::Secret;
use super::shown::shown;
use super::table::Table;

/// What the value of a variable in `env` must be, for error messages.
const VARIABLE: &str = "a text, { env = \"NAME\" } or { file = \"path\" }";
/// Variables that are passed on to the program by default: many programs do not run without them.
const KEPT: [&str; 4] = ["PATH", "HOME", "LANG", "TMPDIR"];

const WORDS: Words = &[
    ("command", "The program and its arguments."),
    ("dir", "Working folder. Default: the folder of the file that sets `command`."),
    ("model", "Name of the model in results. Default: the command."),
    (
        "version",
        "Version of the model. Raise it when the program changes, so that old results are not reused.",
    ),
    ("keep_env", "Environment variables to pass on; no others are passed on."),
    ("env", "Additional environment variables."),
    ("leaves_machine", "Whether it sends images to another machine; the page and `/v1/providers` show it."),
    ("max_output", "Maximum size of its output, in bytes."),
    ("concurrency", "Maximum concurrent processes; 0 means one per core."),
    ("queue", "Calls that may wait before further ones go to the next provider."),
];

#[derive(Clone, Debug)]
pub struct ExecConfig {
    /// The program and its arguments; never empty.
    pub command: Vec<String>,
    /// The program's working folder.
    pub dir: PathBuf,
    /// The program's whole environment.
    pub env: Vec<Variable>,
    /// The `PATH` in which the gateway looks up the program: the gateway's own, not the one that the program gets.
    pub path: String,
    pub model: String,
    pub version: String,
    /// Whether the program sends photos to another machine.
    pub leaves_machine: bool,
    /// Maximum size of the program's output, in bytes.
    pub max_output: u64,
    /// Maximum number of processes at once; 0 is one per core.
    pub concurrency: u32,
    /// Maximum number of photos that wait for a process; the gateway refuses further ones.
    pub queue: usize,
}

/// An environment variable of the program.
#[derive(Clone)]
pub struct Variable {
    pub name: String,
    pub value: Word,
    /// Whether the value is passed on from the gateway's environment instead of being set by the configuration.
    pub kept: bool,
}

#[derive(Clone)]
pub enum Word {
    Plain(String),
    Secret(Secret),
}

impl Variable {
    /// Whether the value must not be shown: a variable that the operator chose to pass on may hold a key. The default
    /// variables, such as paths, hold no secrets.
    pub fn may_be_secret(&self) -> bool {
        let Word::Plain(text) = &self.value else { return true };
        self.kept && !KEPT.contains(&self.name.as_str()) && text.len() >= 8 && !text.starts_with('/')
    }
}

impl ExecConfig {
    pub(super) fn read(table: &mut Table<'_>) -> Self {
        table.describe(WORDS);
        let word = |text: &str| (!text.contains('\0')).then(|| text.to_owned());
        let home = table.folder_of("command");
        let command = table.list("command", Vec::new(), ("a word of a command", "python3"), word);
        table.tell_needed();
        if command.first().is_none_or(String::is_empty) {
            let name = dotted(&table.at(&["command"]));
            let example = "[\"python3\", \"colorize.py\"]";
            table.problem(
                &["command"],
                format!("`{name}` must be a program and its arguments, such as {example}"),
            );
        }
        let name = |text: &str| match text.trim() {
            "" => Err("a name".to_owned()),
            text => Ok(text.to_owned()),
        };
        let path = table.reader.source.var("PATH").unwrap_or_default().to_owned();
        let dir = table.folder("dir").unwrap_or(home);
        Self {
            model: table.text("model", command.join(" "), name),
            version: table.text("version", "1".to_owned(), name),
            command,
            dir,
            env: read_env(table),
            path,
            leaves_machine: table.flag("leaves_machine", false),
            max_output: table.bytes("max_output", 64 << 20, 1024..=1 << 30),
            concurrency: table.whole("concurrency", 0, 0..=1024),
            queue: table.whole("queue", 32, 0..=100_000),
        }
    }

    /// Maximum number of processes at once, with 0 replaced by the number of cores.
    pub fn places(&self) -> u32 {
        let cores = || std::thread::available_parallelism().map_or(1, |cores| cores.get());
        match self.concurrency {
            0 => u32::try_from(cores()).unwrap_or(u32::MAX),
            places => places,
        }
    }
}

/// Reads `keep_env` (variables to pass on) and `env` (variables to set). `env` overrides `keep_env`.
fn read_env(table: &mut Table<'_>) -> Vec<Variable> {
    let kept = KEPT.map(str::to_owned).to_vec();
    let kept = table.list("keep_env", kept, ("the name of a variable", "HF_HOME"), |name| {
        is_name(name).then(|| name.to_owned())
    });
    let mut env = Vec::new();
    for (name, value, origin) in table.free_keys("env", VARIABLE) {
        let path = dotted(&table.at(&["env", name]));
        if !is_name(name) {
            table.note_problem(origin, format!("`{path}`: {name:?} cannot be the name of a variable"));
            continue;
        }
        let word = match value {
            Value::String(_, text) if !text.contains('\0') => Ok(Word::Plain(text.clone())),
            Value::Dict(..) => {
                table.kept(value).map(Word::Secret).map_err(|wrong| format!("`{path}` {wrong}"))
            }
            other => Err(format!("`{path}` must be {VARIABLE}, not {}", shown(other))),
        };
        match word {
            Ok(word) => {
                let (shown, secret) = match &word {
                    Word::Plain(text) => (Json::from(text.as_str()), false),
                    Word::Secret(secret) => (Json::from(secret.to_string()), true),
                };
                table.note_entry_at(&["env", name], shown, secret, origin.clone());
                if let Word::Secret(secret) = &word {
                    table.note_unset(&["env", name], secret, origin);
                }
                env.push(Variable { name: name.to_owned(), value: word, kept: false });
            }
            Err(wrong) => table.note_problem(origin, wrong),
        }
    }
    for name in kept {
        let ours = table.reader.source.env.get(&name).cloned();
        if let Some(value) = ours.filter(|_| env.iter().all(|set| set.name != name)) {
            env.push(Variable { name, value: Word::Plain(value), kept: true });
        }
    }
    env
}

/// Whether the operating system accepts the text as the name of a variable.
fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '\0'])
}

/// Leaves out the value, because the environment may hold secrets.
impl fmt::Debug for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
