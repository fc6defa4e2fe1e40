//! What is wrong with a configuration, and where: the words an operator reads when the start stops.

use std::fmt;
use std::path::PathBuf;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// A file; `line` counts from 1.
    File {
        /// As the operator would write it.
        path: PathBuf,
        /// The line of the key, where there is one.
        line: Option<usize>,
        /// Whether it is the copy inside the program and not a file on disk.
        built_in: bool,
    },
    /// An environment variable, by its name.
    Env(String),
}

impl fmt::Display for Origin {
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

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file and line, or the environment variable.
    pub origin: Origin,
    /// What is wrong and what to do about it; never a secret's value.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.origin {
            Origin::Default => f.write_str(&self.message),
            _ => write!(f, "{}: {}", self.origin, self.message),
        }
    }
}

/// Why a configuration cannot be used: every problem that was found, one a line. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    problems: Vec<Problem>,
}

impl ConfigError {
    /// Each problem, in the order of the files.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// An error if there is any problem.
    pub(super) fn check(problems: Vec<Problem>) -> Result<(), Self> {
        if problems.is_empty() { Ok(()) } else { Err(Self { problems }) }
    }

    /// An error with a single problem.
    pub(super) fn one(origin: Origin, message: impl Into<String>) -> Self {
        Self { problems: vec![Problem { origin, message: message.into() }] }
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

/// The candidate a person most likely meant, if one is near: at most a third of the letters differ.
pub(super) fn nearest<'c>(written: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let allowed = (written.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(written, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_key_is_found_and_a_far_one_is_not_offered() {
        let keys = ["route", "limits", "state_dir", "pixels"];
        for (written, meant) in [
            ("rout", Some("route")),
            ("ruote", Some("route")),
            ("limit", Some("limits")),
            ("statedir", Some("state_dir")),
            ("pixel", Some("pixels")),
            ("colour", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(written, keys), meant, "{written}");
        }
    }
}
