//! Keys of a run, as they are changed and read.

use std::collections::BTreeMap;

use antiphon::keys::{FoundKey, JsonText, KeyRecord};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::utc::utc;

/// A change of keys: all of it is made, or nothing.
#[derive(Debug, Clone, Default, Serialize)]
pub struct KeysRequest {
    /// Values by key.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<String, Box<RawValue>>,
    /// Keys that are removed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub delete: Vec<String>,
    /// The versions that changed keys are expected to have; none where a key is expected not to be
    /// there.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub expected: BTreeMap<String, Option<u64>>,
}

/// A key as it is.
#[derive(Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct KeyLine {
    pub key: String,
    /// Where in the run's stream it was set last.
    pub version: u64,
    pub value: Box<RawValue>,
}

/// Keys of a run, by name.
#[derive(Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct KeyList {
    pub run: String,
    pub keys: Vec<KeyLine>,
    /// Whether there may be others after them.
    pub more: bool,
}

/// What became of a key once.
#[derive(Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct KeyChangeLine {
    pub key: String,
    /// Where in the run's stream it is.
    pub version: u64,
    /// Ledger time in nanoseconds.
    pub at: u64,
    /// Wall-clock time in nanoseconds since 1970.
    pub wall: u64,
    /// The same in UTC.
    pub time: String,
    pub by: String,
    /// Its value; absent where it was removed or its value erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Box<RawValue>>,
    /// Whether it was removed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gone: bool,
}

/// The last changes of keys of a run, the newest first.
#[derive(Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct KeyHistory {
    pub run: String,
    pub changes: Vec<KeyChangeLine>,
}

impl From<&FoundKey> for KeyLine {
    fn from(found: &FoundKey) -> Self {
        let (key, version) = (found.key.to_string(), found.version.0);
        Self { key, version, value: raw(&found.value) }
    }
}

impl From<&KeyRecord> for KeyChangeLine {
    fn from(change: &KeyRecord) -> Self {
        Self {
            key: change.key.to_string(),
            version: change.version.0,
            at: change.at.0,
            wall: change.wall.0,
            time: utc(change.wall),
            by: change.by.to_string(),
            value: change.value.as_ref().map(raw),
            gone: change.gone,
        }
    }
}

fn raw(text: &JsonText) -> Box<RawValue> {
    RawValue::from_string(text.as_str().to_owned()).expect("BUG: a JSON text is JSON")
}
