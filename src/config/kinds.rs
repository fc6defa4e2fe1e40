//! How single values are written in the configuration: sizes, durations, and texts that are parsed.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::marker::PhantomData;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value as Json;

/// The pattern of a size: a number, and a unit such as B, KB or KiB.
const SIZE: &str = r"^\s*[0-9.]+\s*([kKmMgGtTpP][iI]?)?[bB]?\s*$";

/// A size in bytes: a number, or a text with a unit such as "20 MiB".
pub(super) struct Size;

impl Size {
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        u64::deserialize(deserializer)
    }

    /// As `serialize`, as JSON.
    pub(super) fn shown(bytes: u64) -> Json {
        Self::serialize(&bytes, serde_json::value::Serializer).unwrap_or_default()
    }

    /// Writes bytes with the largest unit that gives a whole number.
    pub(super) fn serialize<S: Serializer>(bytes: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
        match units.into_iter().find(|(bits, _)| *bytes > 0 && bytes.trailing_zeros() >= *bits) {
            Some((bits, unit)) => serializer.collect_str(&format_args!("{} {unit}", bytes >> bits)),
            None => serializer.serialize_u64(*bytes),
        }
    }
}

/// An optional size in bytes.
pub(super) struct OptionalSize;

impl OptionalSize {
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
        Size::deserialize(deserializer).map(Some)
    }

    pub(super) fn serialize<S: Serializer>(bytes: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
        match bytes {
            Some(bytes) => Size::serialize(bytes, serializer),
            None => serializer.serialize_none(),
        }
    }
}

/// A duration in seconds.
pub(super) struct Seconds;

impl Seconds {
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        f64::deserialize(deserializer).map(Duration::from_secs_f64)
    }

    /// Writes seconds without decimals if they are whole.
    pub(super) fn serialize<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        match time.subsec_nanos() {
            0 => serializer.serialize_u64(time.as_secs()),
            _ => serializer.serialize_f64(time.as_secs_f64()),
        }
    }
}

/// An optional duration in seconds; `None` if it is 0.
pub(super) struct OptionalSeconds;

impl OptionalSeconds {
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        Seconds::deserialize(deserializer).map(|time| Some(time).filter(|time| !time.is_zero()))
    }

    pub(super) fn serialize<S: Serializer>(
        time: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => Seconds::serialize(time, serializer),
            None => serializer.serialize_none(),
        }
    }
}

macro_rules! inline_schema {
    ($($kind:ident: $schema:tt;)*) => {$(
        impl JsonSchema for $kind {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($kind).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )*};
}

inline_schema! {
    Size: { "type": ["integer", "string"], "format": "size", "pattern": SIZE };
    OptionalSize: { "type": ["integer", "string"], "format": "size", "pattern": SIZE };
    Seconds: { "type": "number", "format": "seconds" };
    OptionalSeconds: { "type": "number", "format": "seconds" };
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
                let parse: fn(&str) -> Result<$value, String> = $parse;
                parse(text)
            }
        }
    };
}
pub(super) use kind;

/// Checks a text as [`Parsed::parse`] does.
type Check = fn(&str) -> Result<(), String>;

/// The checks of all kinds, each with the format of its kind.
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

/// A value of a kind.
pub(super) struct One<K>(PhantomData<K>);
/// An optional value of a kind.
pub(super) struct Optional<K>(PhantomData<K>);
/// A list of values of a kind.
pub(super) struct List<K>(PhantomData<K>);
/// Values of a kind by names that the operator chooses.
pub(super) struct Named<K>(PhantomData<K>);

impl<K: Parsed> One<K> {
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<K::Value, D::Error> {
        let text = String::deserialize(deserializer)?;
        K::parse(&text).map_err(|_| serde::de::Error::custom(K::NOUN))
    }

    pub(super) fn serialize<S: Serializer>(value: &K::Value, serializer: S) -> Result<S::Ok, S::Error>
    where
        K::Value: Display,
    {
        shown::<K>(value).serialize(serializer)
    }
}

impl<K: Parsed> Optional<K> {
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<K::Value>, D::Error> {
        One::<K>::deserialize(deserializer).map(Some)
    }

    pub(super) fn serialize<S: Serializer>(value: &Option<K::Value>, serializer: S) -> Result<S::Ok, S::Error>
    where
        K::Value: Display,
    {
        value.as_ref().map(shown::<K>).serialize(serializer)
    }
}

impl<K: Parsed> List<K> {
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<K::Value>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        let parsed = texts.iter().map(|text| K::parse(text));
        parsed.collect::<Result<_, _>>().map_err(|_| serde::de::Error::custom(K::NOUN))
    }

    pub(super) fn serialize<S: Serializer>(values: &[K::Value], serializer: S) -> Result<S::Ok, S::Error>
    where
        K::Value: Display,
    {
        serializer.collect_seq(values.iter().map(shown::<K>))
    }
}

impl<K: Parsed> Named<K> {
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<String, K::Value>, D::Error> {
        let texts = BTreeMap::<String, String>::deserialize(deserializer)?;
        let parsed = texts.into_iter().map(|(name, text)| Ok((name, K::parse(&text)?)));
        parsed.collect::<Result<_, String>>().map_err(|_| serde::de::Error::custom(K::NOUN))
    }
}

/// A value as written in the configuration.
fn shown<K: Parsed>(value: &K::Value) -> Json
where
    K::Value: Display,
{
    match K::TYPES {
        ["number"] => serde_json::from_str(&value.to_string()).unwrap_or_default(),
        _ => value.to_string().into(),
    }
}

fn schema<K: Parsed>() -> Schema {
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

macro_rules! kind_schema {
    ($($wrapper:ident: $schema:expr;)*) => {$(
        impl<K: Parsed> JsonSchema for $wrapper<K> {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                format!("{} {}", stringify!($wrapper), K::FORMAT).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    )*};
}

kind_schema! {
    One: schema::<K>();
    Optional: schema::<K>();
    List: json_schema!({ "type": "array", "items": schema::<K>() });
    Named: json_schema!({ "type": "object", "additionalProperties": schema::<K>() });
}
