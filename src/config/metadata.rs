//! Which metadata of a photo its result contains.

use schemars::{Schema, json_schema};
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::Value as Json;

use super::kinds::{Kind, Shown};
use crate::photo::MetadataPolicy;

/// The name of a policy. A kind, because `photo` knows nothing of the configuration's schema.
pub(super) struct MetadataWord;

impl Kind for MetadataWord {
    type Value = MetadataPolicy;

    fn schema() -> Schema {
        use MetadataPolicy::{Keep, KeepWithoutLocation, Strip};
        let words = [Keep, KeepWithoutLocation, Strip].map(MetadataPolicy::name);
        json_schema!({ "type": "string", "enum": words })
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<MetadataPolicy, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl Shown for MetadataWord {
    fn shown(policy: &MetadataPolicy) -> Json {
        policy.name().into()
    }
}
