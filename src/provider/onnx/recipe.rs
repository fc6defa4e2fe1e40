//! The recipe of a network: a TOML file next to the ONNX file that describes the network's input and output.
//!
//! Colourisers differ in little more than this, so a new network needs a recipe but no new code.

use std::path::{Path, PathBuf};

use figment::providers::{Format, Toml};
use serde::Deserialize;

/// The input and the output of a network.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The model's name; shown to people and part of cache keys.
    pub model: String,
    /// The model's version; part of cache keys.
    pub version: String,
    pub input: NetworkInput,
    pub output: NetworkOutput,
}

/// The network's input: one tensor `1 x channels x height x width` of 32-bit floats.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkInput {
    /// The unit of a value before `mean` and `scale` are applied.
    pub take: Take,
    /// The number of channels. Each is a copy of the grey plane.
    #[serde(default = "one_channel")]
    pub channels: usize,
    /// Subtracted from each value.
    #[serde(default)]
    pub mean: f32,
    /// Divides each value after `mean` is subtracted.
    #[serde(default = "unit")]
    pub scale: f32,
    /// Side of a square picture in pixels. Other pictures keep their aspect ratio and have about `size * size` pixels.
    pub size: u32,
    /// Both sides are multiples of this. If absent, the picture is resized to `size` by `size`.
    pub multiple: Option<u32>,
    /// If the luminance range of a picture (in L\*, 0 to 100) is smaller than this, it is stretched to this. If absent,
    /// luminance is never stretched.
    pub contrast: Option<f32>,
}

/// The unit of input values.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Take {
    /// CIE L\*, 0 to 100.
    LabL,
    /// sRGB grey value, 0 to 1.
    #[serde(rename = "grey")]
    Gray,
}

/// The network's output: one tensor `1 x planes x height x width`, of any height and width.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "give", rename_all = "snake_case", deny_unknown_fields)]
pub enum NetworkOutput {
    /// Two planes, which are a\* and b\* after multiplication by `scale`.
    Ab {
        #[serde(default = "unit")]
        scale: f32,
    },
    /// Three planes: sRGB red, green and blue, 0 to 1 after multiplication by `scale`.
    Rgb {
        #[serde(default = "unit")]
        scale: f32,
    },
    /// One plane for each bin of a\* and b\*: the bin's probability. The colour is the annealed mean over the bins
    /// (Zhang, Isola, Efros 2016, section 2.3).
    Bins {
        /// Whether values are logits (before the softmax) or probabilities.
        #[serde(default)]
        values: BinValues,
        /// Temperature of the annealed mean: 1 gives the mean, values near 0 the mode.
        #[serde(default = "unit")]
        temperature: f32,
        /// The centre `[a, b]` of each bin, in the order of the planes.
        #[serde(rename = "centres")]
        centers: Vec<[f32; 2]>,
    },
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum BinValues {
    #[default]
    Logits,
    Probabilities,
}

fn one_channel() -> usize {
    1
}

fn unit() -> f32 {
    1.0
}

#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    #[error("recipe {path}: {source}")]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("recipe {path}: {reason}")]
    Invalid {
        path: PathBuf,
        /// With line and column if known.
        reason: String,
    },
}

impl Recipe {
    pub fn read(path: &Path) -> Result<Self, RecipeError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| RecipeError::Unreadable { path: path.to_owned(), source })?;
        Self::parse(&text).map_err(|reason| RecipeError::Invalid { path: path.to_owned(), reason })
    }

    /// The error is a message for the operator.
    pub fn parse(text: &str) -> Result<Self, String> {
        let recipe: Self = Toml::from_str(text).map_err(|error| error.to_string())?;
        recipe.check()?;
        Ok(recipe)
    }

    /// Every setting as text, for the provider identity. Cached results are found by this text, so its spelling must
    /// never change, even if fields are renamed.
    pub fn identity(&self) -> String {
        let Self { model, version, input, output } = self;
        let NetworkInput { take, channels, mean, scale, size, multiple, contrast } = input;
        let take = match take {
            Take::LabL => "LabL",
            Take::Gray => "Grey",
        };
        let output = match output {
            NetworkOutput::Ab { scale } => format!("Ab {{ scale: {scale:?} }}"),
            NetworkOutput::Rgb { scale } => format!("Rgb {{ scale: {scale:?} }}"),
            NetworkOutput::Bins { values, temperature, centers } => {
                format!("Bins {{ values: {values:?}, temperature: {temperature:?}, centres: {centers:?} }}")
            }
        };
        format!(
            "Recipe {{ model: {model:?}, version: {version:?}, input: Input {{ take: {take}, channels: {channels}, \
             mean: {mean:?}, scale: {scale:?}, size: {size}, multiple: {multiple:?}, contrast: {contrast:?} }}, \
             output: {output} }}"
        )
    }

    fn check(&self) -> Result<(), String> {
        let NetworkInput { channels, scale, size, multiple, .. } = self.input;
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
            NetworkOutput::Ab { scale } | NetworkOutput::Rgb { scale } => positive("output.scale", *scale),
            NetworkOutput::Bins { temperature, centers, .. } => {
                if centers.is_empty() || centers.iter().flatten().any(|c| !(-128.0..=128.0).contains(c)) {
                    return Err("`output.centres` must be pairs of numbers from -128 to 128".into());
                }
                positive("output.temperature", *temperature)
            }
        }
    }
}

impl NetworkInput {
    /// Width and height of the network's input for a picture of this size. A side is at most four times `size`, so that
    /// a very long picture does not become a very large tensor.
    pub fn dimensions(&self, width: u32, height: u32) -> (u32, u32) {
        let Some(multiple) = self.multiple else { return (self.size, self.size) };
        let (width, height) = (f64::from(width.max(1)), f64::from(height.max(1)));
        let scale = f64::from(self.size) / (width * height).sqrt();
        let max_steps = (self.size * 4 / multiple).max(1);
        let side = |length: f64| {
            let steps = (length * scale / f64::from(multiple)).round() as u32;
            steps.clamp(1, max_steps) * multiple
        };
        (side(width), side(height))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(multiple: Option<u32>) -> NetworkInput {
        NetworkInput {
            take: Take::LabL,
            channels: 1,
            mean: 0.0,
            scale: 1.0,
            size: 256,
            multiple,
            contrast: None,
        }
    }

    #[test]
    fn the_input_size_keeps_the_aspect_ratio_and_is_bounded() {
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
    fn the_identity_of_a_recipe_never_changes() {
        let head = "model = \"m \\\"1\\\"\"\nversion = \"1\"\n";
        let bins = "[input]\ntake = \"grey\"\nchannels = 3\nmean = 0.5\nscale = 2\nsize = 256\n\
                    [output]\ngive = \"bins\"\ntemperature = 0.38\ncentres = [[-1.5, 2]]\n";
        let ab = "[input]\ntake = \"lab_l\"\nsize = 256\nmultiple = 32\ncontrast = 70\n\
                  [output]\ngive = \"ab\"\nscale = 110\n";
        for (text, identity) in [
            (
                bins,
                "Recipe { model: \"m \\\"1\\\"\", version: \"1\", input: Input { take: Grey, channels: 3, mean: 0.5, \
                 scale: 2.0, size: 256, multiple: None, contrast: None }, output: Bins { values: Logits, \
                 temperature: 0.38, centres: [[-1.5, 2.0]] } }",
            ),
            (
                ab,
                "Recipe { model: \"m \\\"1\\\"\", version: \"1\", input: Input { take: LabL, channels: 1, mean: 0.0, \
                 scale: 1.0, size: 256, multiple: Some(32), contrast: Some(70.0) }, output: Ab { scale: 110.0 } }",
            ),
        ] {
            assert_eq!(Recipe::parse(&format!("{head}{text}")).unwrap().identity(), identity);
        }
    }

    #[test]
    fn the_shipped_recipe_is_valid() {
        Recipe::parse(include_str!("../../../models/colorizer.toml")).unwrap();
    }

    #[test]
    fn an_invalid_recipe_is_rejected_with_the_name_of_its_key() {
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
