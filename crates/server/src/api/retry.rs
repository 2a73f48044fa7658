//! A run that has ended and is carried out again, as far as that is needed.

use std::collections::BTreeMap;
use std::fmt;

use antiphon::retry::{Prepared, RunsAgain};
use serde::{Deserialize, Serialize};

/// What is to be carried out again of a run that has ended: what did not succeed, what has changed,
/// and what needs that. `Debug` shows the names of secrets, and no value.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryRequest {
    /// The plan as it is now; the recorded one if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// What messages call the plan, such as the path of its file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The directory that sessions run in and relative paths start from; absolute. It comes with the
    /// plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// Variables of the submitter's environment that the plan may use.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// Values of the secrets that the plan names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, String>,
    /// Whether only what did not succeed runs, with what needs it and what is new: what succeeded is
    /// taken over as it was, whether it has changed or not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
    /// Items, groups and matrices that run again although they succeeded; an item of a nested plan
    /// behind the item that runs it and a slash.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<String>,
    /// The id of the new run; the next free one after that of the earlier run if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

impl fmt::Debug for RetryRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryRequest")
            .field("name", &self.name)
            .field("directory", &self.directory)
            .field("secrets", &self.secrets.keys().collect::<Vec<_>>())
            .field("failed", &self.failed)
            .field("items", &self.items)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Items that a [`RetryAnswer`] names.
const NAMED: usize = 100;

/// The run that a retry started, and what it takes over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct RetryAnswer {
    pub id: String,
    /// The run that is retried.
    pub forerunner: String,
    /// Whether an earlier request of the same had started it.
    pub existing: bool,
    /// How many items are taken over, those of nested plans among them.
    pub reused: u64,
    /// How many of these have changed since; with `failed` only.
    pub changed: u64,
    /// How many of them an earlier run than the one that is retried had carried out, by that run.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub carried_out: BTreeMap<String, u64>,
    /// How many items run again.
    pub again: u64,
    /// The same by why they do: `failed`, `skipped`, `unfinished`, `changed`, `new`, `asked` and so
    /// on.
    pub reasons: BTreeMap<String, u64>,
    /// The first items that run again.
    pub runs: Vec<Again>,
    /// How many more items run again than are named here.
    pub left_out: u64,
}

/// An item that runs again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Again {
    /// Its id; one of a nested plan behind the item that runs it and a slash.
    pub item: String,
    /// A word for why, which never changes its meaning.
    pub reason: String,
    /// A sentence for it.
    pub text: String,
}

impl RetryAnswer {
    /// What is said of a retry once it was submitted.
    #[must_use]
    pub fn new(id: String, forerunner: String, existing: bool, prepared: &Prepared) -> Self {
        let Prepared { reused, changed, carried_out, runs, .. } = prepared;
        let mut reasons = BTreeMap::new();
        for runs in runs {
            *reasons.entry(runs.reason.as_str().to_owned()).or_default() += 1;
        }
        let again = runs.len() as u64;
        let named: Vec<Again> = runs.iter().take(NAMED).map(Again::from).collect();
        let left_out = again - named.len() as u64;
        let carried_out = carried_out.iter().map(|(run, count)| (run.to_string(), *count));
        Self {
            id,
            forerunner,
            existing,
            reused: *reused,
            changed: *changed,
            carried_out: carried_out.collect(),
            again,
            reasons,
            runs: named,
            left_out,
        }
    }
}

impl From<&RunsAgain> for Again {
    fn from(runs: &RunsAgain) -> Self {
        Self {
            item: runs.item.clone(),
            reason: runs.reason.as_str().to_owned(),
            text: runs.reason.to_string(),
        }
    }
}
