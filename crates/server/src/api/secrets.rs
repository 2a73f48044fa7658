//! The secrets of a run: which it needs, and their values for one that is resumed.

use std::collections::BTreeMap;
use std::fmt;

use antiphon::plan::SecretSource;
use serde::{Deserialize, Serialize};

/// The secrets that a run needs. Values are never told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunSecrets {
    /// Its id.
    pub run: String,
    /// Each with where whoever submitted the run took its value from.
    pub secrets: Vec<SecretSource>,
}

/// A run is to be carried out again. `Debug` shows the names of secrets, and no value.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResumeRequest {
    /// Values of the secrets that it needs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, String>,
}

impl fmt::Debug for ResumeRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.secrets.keys().collect();
        f.debug_struct("ResumeRequest").field("secrets", &names).finish()
    }
}
