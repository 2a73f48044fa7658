//! The value of a key.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::json_text::JsonText;

/// The value of a key, where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum KeyValue {
    /// A JSON value of up to 256 bytes.
    Here(JsonText),
    /// A larger one is the blob of this digest.
    Blob(Digest),
}

impl KeyValue {
    /// Digest of its text, wherever that is.
    #[must_use]
    pub fn digest(&self) -> Digest {
        match self {
            Self::Here(text) => Digest::of(text.as_str().as_bytes()),
            Self::Blob(digest) => *digest,
        }
    }
}
