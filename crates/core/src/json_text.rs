//! JSON that is kept as it was written.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// A JSON value as it was written, byte for byte but for line breaks: what is recorded is a line.
#[derive(Clone)]
pub struct JsonText(Arc<RawValue>);

/// The text is no JSON value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is not JSON: {message}")]
pub struct NotJson {
    /// What is wrong, and where.
    pub message: String,
}

impl JsonText {
    /// Reads a JSON value of any kind.
    ///
    /// # Errors
    /// [`NotJson`] says what is wrong with the text.
    pub fn new(text: impl Into<String>) -> Result<Self, NotJson> {
        // Within a text of JSON they are escaped, so that these are nothing but layout.
        let text = text.into().replace(['\n', '\r'], " ");
        match RawValue::from_string(text) {
            Ok(value) => Ok(Self(value.into())),
            Err(error) => Err(NotJson { message: error.to_string() }),
        }
    }

    /// The value as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.get()
    }
}

impl PartialEq for JsonText {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for JsonText {}

impl PartialOrd for JsonText {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for JsonText {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl fmt::Debug for JsonText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for JsonText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for JsonText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Box::<RawValue>::deserialize(deserializer)?.into()))
    }
}

/// Reads a member that is there, be it null.
pub(crate) fn present<'de, D: Deserializer<'de>>(read: D) -> Result<Option<JsonText>, D::Error> {
    JsonText::deserialize(read).map(Some)
}
