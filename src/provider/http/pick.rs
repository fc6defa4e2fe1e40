//! Reads a few values of a JSON document. No memory is allocated for all other values, whatever their size and depth.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::credit::price::JsonPointer;

/// Reads the values at the given pointers.
#[derive(Clone, Debug, Default)]
pub struct Picker {
    root: WantedPaths,
}

#[derive(Clone, Debug, Default)]
struct WantedPaths {
    /// Whether to read the value here, if it is a text, a number or a boolean.
    here: bool,
    below: BTreeMap<String, WantedPaths>,
}

impl Picker {
    pub fn new<'p>(pointers: impl IntoIterator<Item = &'p JsonPointer>) -> Self {
        let mut root = WantedPaths::default();
        for pointer in pointers {
            let parts =
                pointer.as_str().split('/').skip(1).map(|part| part.replace("~1", "/").replace("~0", "~"));
            parts.fold(&mut root, |selected, part| selected.below.entry(part).or_default()).here = true;
        }
        Self { root }
    }

    /// The document with only the selected values. Lists become objects with the indexes as names, so that pointers
    /// work as in the whole document. `None` if the document is not JSON.
    pub fn read(&self, json: &[u8]) -> Option<Value> {
        let mut document = serde_json::Deserializer::from_slice(json);
        let value = (&self.root).deserialize(&mut document).ok()?;
        document.end().ok().map(|()| value)
    }
}

impl<'de> DeserializeSeed<'de> for &WantedPaths {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl WantedPaths {
    fn scalar<E: Error>(&self, value: impl FnOnce() -> Value) -> Result<Value, E> {
        Ok(if self.here { value() } else { Value::Null })
    }
}

impl<'de> Visitor<'de> for &WantedPaths {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        self.scalar(|| value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        self.scalar(|| value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        self.scalar(|| value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        self.scalar(|| value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        self.scalar(|| value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut picked = Map::new();
        for index in 0_usize.. {
            // Compared as text, so that only the canonical form of an index matches.
            let selected =
                if self.below.is_empty() { None } else { self.below.get_key_value(&index.to_string()) };
            let there = match selected {
                Some((name, selected)) => {
                    let item = items.next_element_seed(selected)?;
                    item.map(|item| picked.insert(name.clone(), item)).is_some()
                }
                None => items.next_element::<IgnoredAny>()?.is_some(),
            };
            if !there {
                break;
            }
        }
        Ok(picked.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut picked = Map::new();
        while let Some(name) = items.next_key::<String>()? {
            match self.below.get(&name) {
                Some(selected) => {
                    let item = items.next_value_seed(selected)?;
                    picked.insert(name, item);
                }
                None => drop(items.next_value::<IgnoredAny>()?),
            }
        }
        Ok(picked.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picker(pointers: &[&str]) -> Picker {
        let pointers: Vec<JsonPointer> =
            pointers.iter().map(|text| JsonPointer::parse(text).unwrap()).collect();
        Picker::new(&pointers)
    }

    #[test]
    fn pointers_find_the_same_values_as_in_the_whole_document() {
        let text =
            r#"{"a": [1, {"b": "x"}, null], "c/d": {"~": true, "": 2.5}, "e": {"f": {"g": 1}}, "h": -3}"#;
        let whole: Value = serde_json::from_str(text).unwrap();
        let pointers =
            ["/a/0", "/a/1/b", "/a/2", "/a/7", "/c~1d/~0", "/c~1d/", "/e/f/g", "/h", "/absent/x", "/h/x"];
        let picked = picker(&pointers).read(text.as_bytes()).unwrap();
        for pointer in pointers {
            let null = |value: Option<&Value>| value.cloned().unwrap_or_default();
            assert_eq!(null(picked.pointer(pointer)), null(whole.pointer(pointer)), "{pointer}");
        }
        assert_eq!(picker(&[""]).read(b"\"all\"").unwrap(), "all");
    }

    #[test]
    fn unselected_values_are_dropped() {
        let picked = picker(&["/a"]).read(br#"{"b": "long", "a": {"c": "long"}, "d": [1, 2]}"#).unwrap();
        assert_eq!(picked, serde_json::json!({ "a": {} }));
        let many = format!("[{}0]", "0,".repeat(1_000_000));
        assert_eq!(picker(&["/1000000"]).read(many.as_bytes()).unwrap(), serde_json::json!({ "1000000": 0 }));
    }

    #[test]
    fn invalid_json_is_none() {
        let deep = "[".repeat(100_000);
        for text in ["", "<h1>", "{", "{\"a\": 1", "{} x", "{\"a\": 1e999}", "\u{feff}{}", deep.as_str()] {
            assert!(picker(&["/a"]).read(text.as_bytes()).is_none(), "{text:.20}");
        }
        assert!(picker(&["/a"]).read(&[0xff, 0xfe]).is_none());
    }
}
