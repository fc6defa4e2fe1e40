//! Reads keys by the type of their value, and validates them.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use figment::value::{Dict, Value};
use rocket::data::ByteUnit;
use serde::Serialize;
use serde_json::Value as Json;

use super::problem::{dotted, nearest};
use super::shown::shown;
use super::table::{ExpectedText, Table};

impl Table<'_> {
    /// An integer.
    pub(super) fn whole<T>(&mut self, key: &'static str, default: T, range: RangeInclusive<T>) -> T
    where
        T: Copy + Display + PartialOrd + Serialize + TryFrom<u128>,
    {
        self.or_default(key, default, |value| {
            let number = whole(value).and_then(|number| T::try_from(number).ok());
            number
                .filter(|number| range.contains(number))
                .ok_or_else(|| format!("a whole number from {} to {}", range.start(), range.end()))
        })
    }

    /// A size in bytes, as a number or with a unit.
    pub(super) fn bytes(&mut self, key: &'static str, default: u64, range: RangeInclusive<u64>) -> u64 {
        let size = self.or_default(key, ShownSize(default), |value| {
            let parsed = match value.as_str() {
                Some(text) => text.trim().parse::<ByteUnit>().ok().map(|size| size.as_u64()),
                None => whole(value).and_then(|number| u64::try_from(number).ok()),
            };
            parsed.filter(|size| range.contains(size)).map(ShownSize).ok_or_else(|| {
                let unit = ByteUnit::Byte;
                format!("a size such as \"20 MiB\", from {} to {}", unit(*range.start()), unit(*range.end()))
            })
        });
        size.0
    }

    /// A duration in seconds.
    pub(super) fn seconds(
        &mut self,
        key: &'static str,
        default: Duration,
        range: RangeInclusive<f64>,
    ) -> Duration {
        self.or_default(key, ShownSeconds(default), |value| seconds(value, &range).map(ShownSeconds)).0
    }

    /// An optional duration in seconds.
    pub(super) fn optional_seconds(
        &mut self,
        key: &'static str,
        range: RangeInclusive<f64>,
    ) -> Option<Duration> {
        self.read(key, Json::Null, |value| seconds(value, &range))
    }

    /// A text, parsed with `parse`.
    pub(super) fn text<T: Display>(
        &mut self,
        key: &'static str,
        default: T,
        parse: impl Fn(&str) -> Result<T, ExpectedText>,
    ) -> T {
        let parsed = self
            .read(key, Json::from(default.to_string()), |value| parse(value.as_str().unwrap_or_default()));
        parsed.unwrap_or(default)
    }

    pub(super) fn flag(&mut self, key: &'static str, default: bool) -> bool {
        self.or_default(key, default, |value| value.to_bool().ok_or_else(|| "true or false".to_owned()))
    }

    /// One of several words; the first is the default.
    pub(super) fn choice<T: Copy>(&mut self, key: &'static str, choices: &[(&'static str, T)]) -> Option<T> {
        let (word, default) = choices.first().copied()?;
        self.read(key, Json::from(word), |value| one_of(value, choices)).or(Some(default))
    }

    /// One of several words, with the given default.
    pub(super) fn choice_or<T: Copy + PartialEq>(
        &mut self,
        key: &'static str,
        choices: &[(&'static str, T)],
        default: T,
    ) -> T {
        let word = choices.iter().find(|(_, choice)| *choice == default).map(|(word, _)| *word);
        self.read(key, Json::from(word), |value| one_of(value, choices)).unwrap_or(default)
    }

    /// One of several words; required.
    pub(super) fn required_choice<T: Copy>(
        &mut self,
        key: &'static str,
        choices: &[(&'static str, T)],
    ) -> Option<T> {
        if self.has(key) {
            let read = self.read(key, Json::Null, |value| one_of(value, choices));
            self.tell_needed();
            return read;
        }
        self.miss(key);
        self.problem(
            &[],
            format!("`{}` has no `{key}`: it must be {}", dotted(&self.at(&[])), words(choices)),
        );
        None
    }

    /// A list whose items are parsed from text. `item` describes an item, with an example.
    pub(super) fn list<T: Display>(
        &mut self,
        key: &'static str,
        default: Vec<T>,
        (item, example): (&str, &str),
        parse: impl Fn(&str) -> Option<T>,
    ) -> Vec<T> {
        let shown_default = Json::from(default.iter().map(T::to_string).collect::<Vec<_>>());
        let items = self.read(key, shown_default, |value| {
            value.as_array().map(<[Value]>::to_vec).ok_or_else(|| format!("a list such as [\"{example}\"]"))
        });
        let Some(items) = items else { return default };
        let mut list = Vec::with_capacity(items.len());
        for (index, value) in items.iter().enumerate() {
            match value.as_str().and_then(&parse) {
                Some(parsed) => list.push(parsed),
                None => {
                    let key_path = dotted(&self.at(&[key]));
                    let message =
                        format!("`{key_path}`: {} is not {item} such as \"{example}\"", shown(value));
                    self.problem(&[key, &index.to_string()], message);
                }
            }
        }
        list
    }

    /// A path, relative to the folder of the file that sets it.
    pub(super) fn path(&mut self, key: &'static str, default: Option<PathBuf>) -> Option<PathBuf> {
        let json = |path: &PathBuf| Json::from(path.to_string_lossy());
        const PATH: &str = "a path";
        let shown = default.as_ref().map_or(Json::Null, json);
        let given = self.take(key, shown, false, || PATH.to_owned());
        let Some((value, origin)) = given else { return default };
        match value.as_str().filter(|text| !text.is_empty()) {
            Some(text) => {
                let path = self.resolve(value, text);
                self.note_entry(key, json(&path), false, origin);
                Some(path)
            }
            None => {
                self.wrong(key, PATH, value, origin);
                default
            }
        }
    }

    /// The path of an existing file.
    pub(super) fn file(&mut self, key: &'static str) -> Option<PathBuf> {
        let path = self.there(key, "file", Path::is_file);
        path.inspect(|path| self.note_file(path))
    }

    /// The path of an existing folder.
    pub(super) fn folder(&mut self, key: &'static str) -> Option<PathBuf> {
        self.there(key, "folder", Path::is_dir)
    }

    fn there(&mut self, key: &'static str, what: &str, is: impl Fn(&Path) -> bool) -> Option<PathBuf> {
        let path = self.path(key, None)?;
        if !is(&path) {
            let name = dotted(&self.at(&[key]));
            self.problem(&[key], format!("`{name}`: there is no {what} {}", path.display()));
        }
        Some(path)
    }

    fn or_default<T: Serialize>(
        &mut self,
        key: &'static str,
        default: T,
        parse: impl Fn(&Value) -> Result<T, ExpectedText>,
    ) -> T {
        let shown = serde_json::to_value(&default).unwrap_or_default();
        self.read(key, shown, parse).unwrap_or(default)
    }

    /// Reads a key. Returns none if it is not set or invalid; the problem is noted.
    pub(super) fn read<T>(
        &mut self,
        key: &'static str,
        default: Json,
        parse: impl Fn(&Value) -> Result<T, ExpectedText>,
    ) -> Option<T> {
        // No key that is read here accepts a table, so the error for an empty table says what the key accepts.
        let wanted = || parse(&Value::from(Dict::new())).err().unwrap_or_default();
        let (value, origin) = self.take(key, default, false, wanted)?;
        match parse(value) {
            Ok(parsed) => {
                self.note_entry(key, serde_json::to_value(value).unwrap_or_default(), false, origin);
                Some(parsed)
            }
            Err(wanted) => {
                self.wrong(key, &wanted, value, origin);
                None
            }
        }
    }
}

/// Prints seconds without decimals if they are whole.
struct ShownSeconds(Duration);

impl Serialize for ShownSeconds {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.subsec_nanos() {
            0 => serializer.serialize_u64(self.0.as_secs()),
            _ => serializer.serialize_f64(self.0.as_secs_f64()),
        }
    }
}

/// Prints bytes with the largest unit that gives a whole number.
struct ShownSize(u64);

impl Serialize for ShownSize {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
        match units.into_iter().find(|(bits, _)| self.0 > 0 && self.0.trailing_zeros() >= *bits) {
            Some((bits, unit)) => serializer.collect_str(&format_args!("{} {unit}", self.0 >> bits)),
            None => serializer.serialize_u64(self.0),
        }
    }
}

fn seconds(value: &Value, range: &RangeInclusive<f64>) -> Result<Duration, ExpectedText> {
    let number = float(value).filter(|number| range.contains(number));
    number
        .map(Duration::from_secs_f64)
        .ok_or_else(|| format!("a number of seconds from {} to {}", range.start(), range.end()))
}

fn float(value: &Value) -> Option<f64> {
    value.to_num().and_then(|number| number.to_f64().or_else(|| number.to_i128().map(|whole| whole as f64)))
}

/// An integer; `50e6` is accepted too.
pub(super) fn whole(value: &Value) -> Option<u128> {
    /// 2^53: up to here every integer is exact as a float.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let number = value.to_num()?;
    number.to_u128_lossy().or_else(|| {
        let float = number.to_f64().filter(|float| (0.0..=EXACT).contains(float))?;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let cut = float as u128;
        // A float this small is exact, so a fraction makes it differ from its integer part.
        (cut as f64).total_cmp(&float).is_eq().then_some(cut)
    })
}

fn one_of<T: Copy>(value: &Value, choices: &[(&'static str, T)]) -> Result<T, ExpectedText> {
    let found = choices.iter().find(|(word, _)| value.as_str() == Some(word));
    found.map(|(_, choice)| *choice).ok_or_else(|| {
        let near = value.as_str().and_then(|text| nearest(text, choices.iter().map(|(word, _)| *word)));
        near.map_or_else(|| words(choices), |near| format!("\"{near}\""))
    })
}

fn words<T>(choices: &[(&'static str, T)]) -> String {
    choices.iter().map(|(word, _)| format!("\"{word}\"")).collect::<Vec<_>>().join(" or ")
}
