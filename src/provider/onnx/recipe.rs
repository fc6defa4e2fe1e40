//! The recipe: a TOML file beside an ONNX file that says what the network takes and gives.
//!
//! Colourisers differ in little more than this, so a new network is a file and not a code path.

use std::path::{Path, PathBuf};

use figment::providers::{Format, Toml};
use serde::Deserialize;

/// What a network takes and gives.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The model's name, shown to people and part of the cache key.
    pub model: String,
    /// The model's version; a new one never serves old colour.
    pub version: String,
    /// What it takes.
    pub input: Input,
    /// What it gives.
    pub output: Output,
}

/// What a network takes: one tensor `1 x channels x height x width` of 32-bit floats.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// What a value stands for before `mean` and `scale` are applied.
    pub take: Take,
    /// How often the one grey plane is repeated.
    #[serde(default = "one_channel")]
    pub channels: usize,
    /// Subtracted from each value.
    #[serde(default)]
    pub mean: f32,
    /// Each value is divided by it, after `mean` is subtracted.
    #[serde(default = "unit")]
    pub scale: f32,
    /// Side in pixels of a square picture; others keep their aspect and have about `size * size` pixels.
    pub size: u32,
    /// Both sides are multiples of this; absent: the picture is stretched to `size` by `size`.
    pub multiple: Option<u32>,
    /// A picture whose lightness spans less than this (L\*, of 100) is stretched to it; absent: none is.
    pub contrast: Option<f32>,
}

/// What a value of the input stands for.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Take {
    /// CIE L\*, 0 to 100.
    LabL,
    /// The sRGB value of the grey, 0 to 1.
    #[serde(rename = "grey")]
    Gray,
}

/// What a network gives: one tensor `1 x planes x height x width`, of any height and width.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "give", rename_all = "snake_case", deny_unknown_fields)]
pub enum Output {
    /// Two planes: a\* and b\*, each value times `scale`.
    Ab {
        /// Multiplies each value.
        #[serde(default = "unit")]
        scale: f32,
    },
    /// Three planes: sRGB red, green and blue, 1 being full after `scale`.
    Rgb {
        /// Multiplies each value.
        #[serde(default = "unit")]
        scale: f32,
    },
    /// One plane a bin: how likely each bin of ab is. The colour is the annealed mean over bins
    /// (Zhang, Isola, Efros 2016, section 2.3).
    Bins {
        /// Whether values are logits (a softmax is still to be taken) or probabilities.
        #[serde(default)]
        values: BinValues,
        /// Temperature of the annealed mean: 1 is the mean, towards 0 the mode.
        #[serde(default = "unit")]
        temperature: f32,
        /// The centres of the bins, `[a, b]` each, in the order of the planes.
        #[serde(rename = "centres")]
        centers: Vec<[f32; 2]>,
    },
}

/// What the values over bins are.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum BinValues {
    /// Logits.
    #[default]
    Logits,
    /// Probabilities.
    Probabilities,
}

fn one_channel() -> usize {
    1
}

fn unit() -> f32 {
    1.0
}

/// Why a recipe cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// The file cannot be read.
    #[error("recipe {path}: {source}")]
    Unreadable {
        /// The recipe's file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file says something that makes no sense.
    #[error("recipe {path}: {reason}")]
    Invalid {
        /// The recipe's file.
        path: PathBuf,
        /// What, in words; with line and column where there is one.
        reason: String,
    },
}

impl Recipe {
    /// Reads and checks the recipe in a file.
    pub fn read(path: &Path) -> Result<Self, RecipeError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| RecipeError::Unreadable { path: path.to_owned(), source })?;
        Self::parse(&text).map_err(|reason| RecipeError::Invalid { path: path.to_owned(), reason })
    }

    /// Reads and checks a recipe; what is wrong with it is said in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let recipe: Self = Toml::from_str(text).map_err(|error| error.to_string())?;
        recipe.check()?;
        Ok(recipe)
    }

    fn check(&self) -> Result<(), String> {
        let Input { channels, scale, size, multiple, .. } = self.input;
        if !(1..=4).contains(&channels) {
            return Err("`input.channels` must be 1 to 4".into());
        }
        if !(16..=4096).contains(&size) {
            return Err("`input.size` must be 16 to 4096 pixels".into());
        }
        if multiple.is_some_and(|m| m == 0 || m > size) {
            return Err("`input.multiple` must be 1 to `input.size`".into());
        }
        if self.input.contrast.is_some_and(|span| !(0.0..=100.0).contains(&span)) {
            return Err("`input.contrast` must be 0 to 100".into());
        }
        let positive = |name: &str, value: f32| match value.is_finite() && value > 0.0 {
            true => Ok(()),
            false => Err(format!("`{name}` must be a number above 0")),
        };
        positive("input.scale", scale)?;
        match &self.output {
            Output::Ab { scale } | Output::Rgb { scale } => positive("output.scale", *scale),
            Output::Bins { temperature, centers, .. } => {
                if centers.is_empty() || centers.iter().flatten().any(|c| !(-128.0..=128.0).contains(c)) {
                    return Err("`output.centres` must be pairs of numbers from -128 to 128".into());
                }
                positive("output.temperature", *temperature)
            }
        }
    }
}

impl Input {
    /// Width and height of the network's input for a picture of this size.
    ///
    /// Sides are kept within four times `size`, so that a very long picture does not become a very
    /// large tensor.
    pub fn dimensions(&self, width: u32, height: u32) -> (u32, u32) {
        let Some(multiple) = self.multiple else { return (self.size, self.size) };
        let (width, height) = (f64::from(width.max(1)), f64::from(height.max(1)));
        let scale = f64::from(self.size) / (width * height).sqrt();
        let most = (self.size * 4 / multiple).max(1);
        let side = |length: f64| {
            let steps = (length * scale / f64::from(multiple)).round() as u32;
            steps.clamp(1, most) * multiple
        };
        (side(width), side(height))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(multiple: Option<u32>) -> Input {
        Input { take: Take::LabL, channels: 1, mean: 0.0, scale: 1.0, size: 256, multiple, contrast: None }
    }

    #[test]
    fn the_networks_size_keeps_the_aspect_and_stays_bounded() {
        for ((width, height), expected) in [
            ((256, 256), (256, 256)),
            ((4000, 3000), (288, 224)),
            ((3000, 4000), (224, 288)),
            ((64, 64), (256, 256)),
            ((16_384, 1), (1024, 32)),
            ((1, 1), (256, 256)),
        ] {
            assert_eq!(input(Some(32)).dimensions(width, height), expected, "{width} x {height}");
        }
        assert_eq!(input(None).dimensions(4000, 3000), (256, 256));
    }

    #[test]
    fn the_shipped_recipe_is_valid() {
        Recipe::parse(include_str!("../../../models/colorizer.toml")).unwrap();
    }

    #[test]
    fn a_recipe_that_makes_no_sense_is_refused_in_words() {
        let good = include_str!("../../../models/colorizer.toml");
        for (from, to, word) in [
            ("multiple = 32", "multiple = 0", "multiple"),
            ("size = 224", "size = 0", "size"),
            ("contrast = 70.0", "contrast = 101.0", "contrast"),
            ("give = \"ab\"", "give = \"cmyk\"", "cmyk"),
            ("give = \"ab\"", "give = \"ab\"\nscale = -1.0", "output.scale"),
            ("give = \"ab\"", "give = \"bins\"\ncentres = []", "centres"),
            ("take = \"lab_l\"", "take = \"lab_l\"\nsice = 3", "sice"),
        ] {
            let text = good.replace(from, to);
            assert_ne!(text, good);
            let error = Recipe::parse(&text).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }
}
