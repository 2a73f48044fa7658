//! A plan that is to be run.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A plan to run. `Debug` shows the names of secrets, and no value.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct SubmitRequest {
    pub plan: String,
    /// What messages call the plan, such as the path of its file.
    pub name: String,
    /// The directory that sessions run in and relative paths start from; absolute.
    pub directory: String,
    /// Variables of the submitter's environment that the plan may use.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// Values of the secrets that the plan names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, String>,
    /// The id of the run; a new one if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// Items that are added to a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkRequest {
    /// The items in the words of a plan: a mapping with `work` and, where they need them, `runners` and
    /// `env`. What they need and do not define are items of the run.
    pub work: String,
    /// What messages call the text, such as the path of its file.
    pub name: String,
    /// The directory that sessions run in and relative paths start from; absolute.
    pub directory: String,
    /// Variables of the caller's environment that the items read.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
}

impl fmt::Debug for SubmitRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubmitRequest")
            .field("name", &self.name)
            .field("directory", &self.directory)
            .field("secrets", &self.secrets.keys().collect::<Vec<_>>())
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// The run of a submission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct SubmitAnswer {
    pub id: String,
    /// Whether an earlier submission of the same had started it.
    pub existing: bool,
}
