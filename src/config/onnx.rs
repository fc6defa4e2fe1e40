//! Settings of the kind `onnx`: a network that runs in this process.

use std::path::PathBuf;

use super::reference::Words;
use super::table::Table;

const WORDS: Words = &[
    ("model", "The network's ONNX file. Default: the built-in model."),
    (
        "recipe",
        "The recipe, which describes the network's input and output. Default: the `.toml` file next to the model.",
    ),
    ("threads", "Images that are coloured concurrently, one thread each; 0 means one per core."),
    ("queue", "Calls that may wait before further ones go to the next provider."),
];

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnnxConfig {
    /// The network's file; none is the built-in model.
    pub model: Option<PathBuf>,
    /// The description of the network's input and output; none is the `.toml` file next to the model.
    pub recipe: Option<PathBuf>,
    /// Maximum number of photos at once, with one thread each; 0 is one per core.
    pub threads: usize,
    /// Maximum number of photos that wait for a thread; the gateway refuses further ones.
    pub queue: usize,
}

impl Default for OnnxConfig {
    fn default() -> Self {
        Self { model: None, recipe: None, threads: 0, queue: 32 }
    }
}

impl OnnxConfig {
    pub(super) fn read(table: &mut Table<'_>) -> Self {
        table.describe(WORDS);
        let default = Self::default();
        let config = Self {
            model: table.file("model"),
            recipe: table.file("recipe"),
            threads: table.whole("threads", default.threads, 0..=1024),
            queue: table.whole("queue", default.queue, 0..=100_000),
        };
        if table.has("recipe") && !table.has("model") {
            table.problem(&["recipe"], "a `recipe` needs a `model`: the built-in model has its own");
        }
        config
    }
}
