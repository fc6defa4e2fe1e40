//! Settings of the kind `onnx`: a network that runs in this process.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use smart_default::SmartDefault;

use super::place::Place;

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema, SmartDefault)]
#[serde(default)]
pub struct OnnxConfig {
    /// The network's ONNX file. Default: the built-in model.
    #[schemars(extend("format" = "file"))]
    pub model: Option<PathBuf>,
    /// The recipe, which describes the network's input and output. Default: the `.toml` file next to the model.
    #[schemars(extend("format" = "file"))]
    pub recipe: Option<PathBuf>,
    /// Images that are coloured concurrently, one thread each; 0 means one per core.
    #[schemars(range(min = 0, max = 1024))]
    pub threads: usize,
    /// Maximum number of waiting calls. If it is reached, the next provider is tried.
    #[schemars(range(min = 0, max = 100_000))]
    #[default = 32]
    pub queue: usize,
}

impl OnnxConfig {
    pub(super) fn check(&self, place: &Place<'_>) {
        if self.recipe.is_some() && !place.has("model") {
            place.problem(&["recipe"], "a `recipe` needs a `model`: the built-in model has its own");
        }
    }
}
