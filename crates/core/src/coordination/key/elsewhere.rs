//! A key of another stream, as it is named where it meets what an item needs.

use serde::{Deserialize, Serialize};

use crate::id::{CoordinationId, KeyName, StreamName, Version};

fn shared_stream() -> String {
    StreamName::Coordination(CoordinationId::shared().clone()).to_string()
}

/// A key of another stream that met what an item needs of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetElsewhere {
    /// The key.
    pub key: KeyName,
    /// The stream whose key it is: that of the run `shared`.
    pub stream: String,
    /// The version at which it was set there.
    pub version: Version,
}

impl MetElsewhere {
    /// A key that all runs share, as it was set at a version.
    #[must_use]
    pub fn by_shared(key: KeyName, version: Version) -> Self {
        Self { key, stream: shared_stream(), version }
    }

    /// Whether it is a key of the run that keeps what all share.
    pub(in crate::coordination) fn is_of_shared(&self) -> bool {
        self.stream == shared_stream()
    }
}
