//! What an event says of a key.

use serde::{Deserialize, Serialize};

use super::value::KeyValue;
use crate::digest::Digest;
use crate::id::KeyName;
use crate::json_text::JsonText;

/// What became of one key: it has a value, here or in a blob, or else it is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyChange {
    /// Which key.
    pub key: KeyName,
    /// Its value, up to 256 bytes.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::json_text::present"
    )]
    pub value: Option<JsonText>,
    /// Digest of the blob that is its value, if that is larger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
}

impl KeyChange {
    pub(super) fn new(key: KeyName, value: Option<KeyValue>) -> Self {
        let (value, digest) = match value {
            Some(KeyValue::Here(value)) => (Some(value), None),
            Some(KeyValue::Blob(digest)) => (None, Some(digest)),
            None => (None, None),
        };
        Self { key, value, digest }
    }

    /// The value; none if the key is gone.
    #[must_use]
    pub fn value(&self) -> Option<KeyValue> {
        match (&self.value, self.digest) {
            (Some(value), _) => Some(KeyValue::Here(value.clone())),
            (None, digest) => digest.map(KeyValue::Blob),
        }
    }
}
