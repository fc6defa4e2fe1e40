//! Settings of the kind `exec`: a program that is started for each photo.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use smart_default::SmartDefault;

use super::kinds::{List, One, Parsed, Size, kind, trimmed};
use super::place::Place;
use super::problem::ValueOrigin;
use super::secret::Secret;

/// What the value of a variable in `env` must be, for error messages.
const VARIABLE: &str = "a text, { env = \"NAME\" } or { file = \"path\" }";
/// Variables that are passed on to the program by default: many programs do not run without them.
const KEPT: [&str; 4] = ["PATH", "HOME", "LANG", "TMPDIR"];

#[derive(Clone, Debug, Deserialize, JsonSchema, SmartDefault)]
#[serde(default)]
pub struct ExecConfig {
    /// The program and its arguments.
    #[serde(with = "List::<CommandWord>")]
    #[schemars(extend("x-needed" = true))]
    pub command: Vec<String>,
    /// Working folder. Default: the folder of the file that sets `command`.
    #[schemars(extend("format" = "folder", "default" = null))]
    pub dir: PathBuf,
    /// Name of the model in results. Default: the command.
    #[serde(with = "One::<ProgramName>")]
    #[schemars(extend("default" = null))]
    pub model: String,
    /// Version of the model. Raise it when the program changes, so that old results are not reused.
    #[serde(with = "One::<ProgramName>")]
    #[default("1".to_owned())]
    pub version: String,
    /// The gateway's environment variables that are passed on to the program. The program gets no others, except those
    /// in `env`.
    #[serde(with = "List::<VariableName>")]
    #[default(KEPT.map(str::to_owned).to_vec())]
    keep_env: Vec<String>,
    /// Additional environment variables.
    #[serde(rename = "env")]
    set_env: BTreeMap<String, Word>,
    /// The program's whole environment.
    #[serde(skip)]
    pub env: Vec<Variable>,
    /// The `PATH` in which the gateway looks up the program: the gateway's own, not the one that the program gets.
    #[serde(skip)]
    pub path: String,
    /// Whether the program sends images to another machine. The page and `/v1/providers` show this setting.
    pub leaves_machine: bool,
    /// Maximum size of the program's output, in bytes.
    #[serde(with = "One::<Size>")]
    #[schemars(range(min = 1024, max = 1u64 << 30))]
    #[default(64 << 20)]
    pub max_output: u64,
    /// Maximum concurrent processes; 0 means one per core.
    #[schemars(range(min = 0, max = 1024))]
    pub concurrency: u32,
    /// Maximum number of waiting calls. If it is reached, the next provider is tried.
    #[schemars(range(min = 0, max = 100_000))]
    #[default = 32]
    pub queue: usize,
}

kind!(CommandWord: String, "command-word", "a word of a command", "python3", |text| {
    (!text.contains('\0')).then(|| text.to_owned())
});
kind!(ProgramName: String, "program-name", "a name", "", |text| trimmed(text));
kind!(VariableName: String, "variable-name", "the name of a variable", "HF_HOME", |text| {
    is_variable_name(text).then(|| text.to_owned())
});

/// An environment variable of the program.
#[derive(Clone)]
pub struct Variable {
    pub name: String,
    pub value: Word,
    /// Whether the value is passed on from the gateway's environment instead of being set by the configuration.
    pub kept: bool,
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(extend("x-must-be" = VARIABLE))]
pub enum Word {
    #[schemars(extend("format" = CommandWord::FORMAT, "x-must-be" = VARIABLE))]
    Plain(String),
    Secret(Secret),
}

impl Variable {
    /// Whether the value must not be shown: a secret, or the value of a variable that the operator chose to pass on,
    /// which may be a key. The default variables, short values and absolute paths are not secret.
    pub fn may_be_secret(&self) -> bool {
        let Word::Plain(text) = &self.value else { return true };
        self.kept && !KEPT.contains(&self.name.as_str()) && text.len() >= 8 && !text.starts_with('/')
    }
}

/// Leaves out the text, which may be a secret.
impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Word")
    }
}

impl ExecConfig {
    /// Checks the command and computes what follows from other settings.
    pub(super) fn complete(&mut self, place: &Place<'_>) {
        if self.command.first().is_none_or(String::is_empty) {
            let wanted = "must be a program and its arguments, such as [\"python3\", \"colorize.py\"]";
            place.wrong(&["command"], wanted);
        }
        if self.model.is_empty() {
            self.model = self.command.join(" ");
            place.report("model", self.model.as_str().into(), ValueOrigin::Default);
        }
        if self.dir.as_os_str().is_empty() {
            self.dir = place.folder_of("command");
        }
        let ours = &place.reader.source.env;
        self.path = place.reader.source.var("PATH").unwrap_or_default().to_owned();
        for name in self.set_env.keys().filter(|name| !is_variable_name(name)) {
            let path = ["env", name];
            let message = format!("`{}`: {name:?} cannot be the name of a variable", place.key(&path));
            place.problem(&path, message);
        }
        let set = self.set_env.iter();
        let set = set.map(|(name, value)| Variable { name: name.clone(), value: value.clone(), kept: false });
        let kept = self.keep_env.iter().filter(|name| !self.set_env.contains_key(*name));
        let kept = kept.filter_map(|name| Some((name, ours.get(name)?.clone())));
        let kept =
            kept.map(|(name, value)| Variable { name: name.clone(), value: Word::Plain(value), kept: true });
        self.env = set.chain(kept).collect();
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

/// Whether the operating system accepts the text as the name of a variable.
fn is_variable_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '\0'])
}

/// Leaves out the value, because the environment may hold secrets.
impl fmt::Debug for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
