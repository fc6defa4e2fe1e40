//! The problems of a configuration, with their place in a file: what an operator reads when the start fails.

use std::fmt;
use std::path::PathBuf;

/// The source of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueOrigin {
    /// The value is a default.
    Default,
    File {
        /// The path as the operator would write it.
        path: PathBuf,
        /// The line of the key, counted from 1; `None` if only the file is known.
        line: Option<usize>,
        /// Whether the file is built into the program and not on disk.
        built_in: bool,
    },
    /// The name of an environment variable.
    Env(String),
}

impl ValueOrigin {
    /// Whether the operator set the value, in a file on disk or a variable.
    pub(super) const fn is_the_operators(&self) -> bool {
        matches!(self, Self::File { built_in: false, .. } | Self::Env(_))
    }
}

impl fmt::Display for ValueOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Env(name) => write!(f, "environment variable {name}"),
            Self::File { path, line, built_in } => {
                let kind = if *built_in { "built-in " } else { "" };
                write!(f, "{kind}{}", path.display())?;
                line.map_or(Ok(()), |line| write!(f, ":{line}"))
            }
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigProblem {
    pub origin: ValueOrigin,
    /// What is wrong and what to do about it. Never contains a secret.
    pub message: String,
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.origin {
            ValueOrigin::Default => f.write_str(&self.message),
            _ => write!(f, "{}: {}", self.origin, self.message),
        }
    }
}

/// All problems of a configuration that cannot be used, one per line. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    problems: Vec<ConfigProblem>,
}

impl ConfigError {
    /// The problems, in the order in which they were found.
    pub fn problems(&self) -> &[ConfigProblem] {
        &self.problems
    }

    /// Returns an error if there is any problem.
    pub(super) fn check(problems: Vec<ConfigProblem>) -> Result<(), Self> {
        if problems.is_empty() { Ok(()) } else { Err(Self { problems }) }
    }

    pub(super) fn one(origin: ValueOrigin, message: impl Into<String>) -> Self {
        Self { problems: vec![ConfigProblem { origin, message: message.into() }] }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// The path of a key as in TOML: dotted, with quotes around parts that need them.
pub(super) fn dotted(path: &[String]) -> String {
    let bare = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
    };
    let parts = path.iter().map(|part| if bare(part) { part.clone() } else { format!("{part:?}") });
    parts.collect::<Vec<_>>().join(".")
}

/// The candidate most similar to `written`, for a "did you mean" hint. In each part between dots or double underscores
/// one letter or a third of the letters may differ, whichever is more.
pub(super) fn nearest<'c>(written: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let near = |candidate: &'c str| Some((distance(written, candidate)?, candidate));
    candidates.into_iter().filter_map(near).min().map(|(_, candidate)| candidate)
}

fn distance(written: &str, candidate: &str) -> Option<usize> {
    let (written, candidate) = (written.replace("__", "."), candidate.replace("__", "."));
    if written.split('.').count() != candidate.split('.').count() {
        return None;
    }
    let parts = written.split('.').zip(candidate.split('.'));
    let distances = parts.map(|(written, candidate)| {
        let distance = strsim::damerau_levenshtein(written, candidate);
        (distance <= (written.chars().count() / 3).max(1)).then_some(distance)
    });
    distances.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hint_is_the_nearest_key_and_never_a_distant_one() {
        let keys = ["route", "limits", "state_dir", "pixels", "LIMITS__PIXELS"];
        for (written, meant) in [
            ("rout", Some("route")),
            ("ruote", Some("route")),
            ("limit", Some("limits")),
            ("statedir", Some("state_dir")),
            ("pixel", Some("pixels")),
            ("LIMIT__PIXEL", Some("LIMITS__PIXELS")),
            ("NOBODY__PIXELS", None),
            ("colour", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(written, keys), meant, "{written}");
        }
    }
}
