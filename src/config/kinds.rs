//! How single values are written in the configuration: sizes, durations, and texts that are parsed.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::marker::PhantomData;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value as Json;

/// The pattern of a size: a number, and optionally a unit such as B, KB or KiB.
const SIZE: &str = r"^\s*[0-9.]+\s*([kKmMgGtTpP][iI]?)?[bB]?\s*$";

/// A kind of value.
pub(super) trait Kind {
    type Value;

    fn schema() -> Schema;
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self::Value, D::Error>;
}

/// A kind whose values can be shown as they are written in the configuration.
pub(super) trait Shown: Kind {
    fn shown(value: &Self::Value) -> Json;
}

/// A size in bytes: a number, or a text with a unit such as "20 MiB".
pub(super) struct Size;

impl Kind for Size {
    type Value = u64;

    fn schema() -> Schema {
        json_schema!({ "type": ["integer", "string"], "format": "size", "pattern": SIZE })
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        u64::deserialize(deserializer)
    }
}

impl Shown for Size {
    /// Writes bytes with the largest unit that gives a whole number.
    fn shown(bytes: &u64) -> Json {
        let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
        match units.into_iter().find(|(bits, _)| *bytes > 0 && bytes.trailing_zeros() >= *bits) {
            Some((bits, unit)) => format!("{} {unit}", bytes >> bits).into(),
            None => (*bytes).into(),
        }
    }
}

/// A duration in seconds.
pub(super) struct Seconds;

impl Kind for Seconds {
    type Value = Duration;

    fn schema() -> Schema {
        json_schema!({ "type": "number", "format": "seconds" })
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        f64::deserialize(deserializer).map(Duration::from_secs_f64)
    }
}

impl Shown for Seconds {
    /// Writes seconds without decimals if they are whole.
    fn shown(time: &Duration) -> Json {
        match time.subsec_nanos() {
            0 => time.as_secs().into(),
            _ => time.as_secs_f64().into(),
        }
    }
}

/// A kind of value that is parsed from a text, or from the text of another scalar that `TYPES` allows.
pub(super) trait Parsed {
    type Value;
    /// Unique; part of the schema.
    const FORMAT: &'static str;
    /// The JSON types that a value may have; empty if only text is allowed.
    const TYPES: &'static [&'static str];
    /// What a value is, such as "a host".
    const NOUN: &'static str;
    const EXAMPLE: &'static str;

    /// The error is empty if the text is simply not what `NOUN` says; otherwise it says what is wrong.
    fn parse(text: &str) -> Result<Self::Value, String>;
}

/// What a function that parses a text may return: `None` if the text is simply not what the noun of the kind says.
pub(super) trait ParseResult<T> {
    fn into_result(self) -> Result<T, String>;
}

impl<T> ParseResult<T> for Option<T> {
    fn into_result(self) -> Result<T, String> {
        self.ok_or_else(String::new)
    }
}

impl<T> ParseResult<T> for Result<T, String> {
    fn into_result(self) -> Self {
        self
    }
}

/// Defines a kind: its name, the type of its values, its format, noun and example, and how it is parsed.
macro_rules! kind {
    ($(#[$about:meta])* $name:ident: $value:ty, $format:literal $($types:ident)*, $noun:expr, $example:literal, $parse:expr) => {
        $(#[$about])*
        pub(in crate::config) struct $name;

        impl crate::config::kinds::Parsed for $name {
            type Value = $value;
            const FORMAT: &'static str = $format;
            const TYPES: &'static [&'static str] = &[$(stringify!($types)),*];
            const NOUN: &'static str = $noun;
            const EXAMPLE: &'static str = $example;

            fn parse(text: &str) -> Result<$value, String> {
                let parse: fn(&str) -> _ = $parse;
                crate::config::kinds::ParseResult::into_result(parse(text))
            }
        }
    };
}
pub(super) use kind;

/// A text without white space around it; `None` if nothing is left.
pub(super) fn trimmed(text: &str) -> Option<String> {
    Some(text.trim()).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// Checks a text as [`Parsed::parse`] does.
type Check = fn(&str) -> Result<(), String>;

/// The checks of all kinds that implement [`Parsed`], each with the format of its kind.
const CHECKS: &[(&str, Check)] = &[
    check::<super::http::AcceptedFormat>(),
    check::<super::http::AcceptedSize>(),
    check::<super::algorithmia::AlgorithmName>(),
    check::<super::algorithmia::AlgorithmiaUrl>(),
    check::<super::http::ApiUrl>(),
    check::<super::http::BodyTemplate>(),
    check::<super::store::BucketUrl>(),
    check::<super::budgets::BudgetCredits>(),
    check::<super::exec::CommandWord>(),
    check::<super::price::CurrencyCode>(),
    check::<super::http::FieldName>(),
    check::<super::facades::InputHostName>(),
    check::<super::shared::KeyPrefix>(),
    check::<super::http::LineTemplate>(),
    check::<super::metrics::Listener>(),
    check::<super::price::MinimumCredits>(),
    check::<super::http::ModelName>(),
    check::<super::clients::Network>(),
    check::<super::clients::OwnHost>(),
    check::<super::http::PathTemplate>(),
    check::<super::exec::ProgramName>(),
    check::<super::ProviderName>(),
    check::<super::price::QuantityPointer>(),
    check::<super::price::RateNumber>(),
    check::<super::shared::RedisUrl>(),
    check::<super::store::Region>(),
    check::<super::http::ReplyPointer>(),
    check::<super::http::ResultHost>(),
    check::<super::budgets::Scope>(),
    check::<super::facades::Served>(),
    check::<super::store::StoreUrl>(),
    check::<super::price::UnitNumber>(),
    check::<super::exec::VariableName>(),
    check::<super::http::VersionName>(),
];

const fn check<K: Parsed>() -> (&'static str, Check) {
    (K::FORMAT, |text| K::parse(text).map(drop))
}

/// The check of the kind with this format.
pub(super) fn check_of(format: &str) -> Option<Check> {
    CHECKS.iter().find(|(known, _)| *known == format).map(|(_, check)| *check)
}

/// For `#[serde(with)]` and the schema of a field: a value of a kind.
pub(super) struct One<K>(PhantomData<K>);
/// An optional value of a kind.
pub(super) struct Optional<K>(PhantomData<K>);
/// A list of values of a kind.
pub(super) struct List<K>(PhantomData<K>);
/// Values of a kind by names that the operator chooses.
pub(super) struct Named<K>(PhantomData<K>);

impl<K: Parsed> Kind for K {
    type Value = <K as Parsed>::Value;

    fn schema() -> Schema {
        let types = match K::TYPES {
            [] => "string".into(),
            [only] => (*only).into(),
            several => Json::from(several.to_vec()),
        };
        let mut schema = json_schema!({ "type": types, "format": K::FORMAT, "x-noun": K::NOUN });
        if !K::EXAMPLE.is_empty() {
            schema.insert("examples".to_owned(), vec![K::EXAMPLE].into());
        }
        schema
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self::Value, D::Error> {
        parsed::<K, D::Error>(&String::deserialize(deserializer)?)
    }
}

impl<K: Parsed<Value: Display>> Shown for K {
    fn shown(value: &Self::Value) -> Json {
        match K::TYPES {
            ["number"] => serde_json::from_str(&value.to_string()).unwrap_or_default(),
            _ => value.to_string().into(),
        }
    }
}

fn parsed<K: Parsed, E: serde::de::Error>(text: &str) -> Result<K::Value, E> {
    K::parse(text).map_err(|_| E::custom(K::NOUN))
}

impl<K: Kind> One<K> {
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<K::Value, D::Error> {
        K::read(deserializer)
    }
}

impl<K: Shown> One<K> {
    pub(super) fn serialize<S: Serializer>(value: &K::Value, serializer: S) -> Result<S::Ok, S::Error> {
        K::shown(value).serialize(serializer)
    }
}

impl<K: Kind> Optional<K> {
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<K::Value>, D::Error> {
        K::read(deserializer).map(Some)
    }
}

impl<K: Shown> Optional<K> {
    pub(super) fn serialize<S: Serializer>(
        value: &Option<K::Value>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        value.as_ref().map(K::shown).serialize(serializer)
    }
}

impl<K: Parsed> List<K> {
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<<K as Parsed>::Value>, D::Error> {
        Vec::<String>::deserialize(deserializer)?.iter().map(|text| parsed::<K, _>(text)).collect()
    }
}

impl<K: Shown> List<K> {
    pub(super) fn serialize<S: Serializer>(values: &[K::Value], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(values.iter().map(K::shown))
    }
}

impl<K: Parsed> Named<K> {
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<String, <K as Parsed>::Value>, D::Error> {
        let texts = BTreeMap::<String, String>::deserialize(deserializer)?.into_iter();
        texts.map(|(name, text)| Ok((name, parsed::<K, _>(&text)?))).collect()
    }
}

macro_rules! kind_schema {
    ($($wrapper:ident: $schema:expr;)*) => {$(
        impl<K: Kind> JsonSchema for $wrapper<K> {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($wrapper).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    )*};
}

kind_schema! {
    One: K::schema();
    Optional: K::schema();
    List: json_schema!({ "type": "array", "items": K::schema() });
    Named: json_schema!({ "type": "object", "additionalProperties": K::schema() });
}
