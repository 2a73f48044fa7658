//! A finished item, as it leaves memory and comes back.

use serde::{Deserialize, Serialize};

use super::spec::WorkSpec;
use super::state::WorkItemOutcome;
use crate::coordination::limits::MAX_SESSION_IDS_PER_WORK;
use crate::coordination::receipt::WorkOutcome;
use crate::digest::Digest;
use crate::id::Version;

/// A finished item, as blobs and events carry it. The shape is part of the ledger's format: replay
/// must give the same bytes for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct Finished {
    /// The item as it was submitted.
    pub work: WorkSpec,
    pub outcome: WorkItemOutcome,
    /// Attempts counted against its limit.
    pub attempts: u32,
    /// Numbers of its sessions.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "crate::bounded::list::<MAX_SESSION_IDS_PER_WORK, _, _>"
    )]
    pub sessions: Vec<u64>,
    /// Version of the event that gave it its outcome.
    pub changed: Version,
    /// Tokens that it used.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tokens: u64,
    /// Digest of what its last session put out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Digest>,
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

impl From<Finished> for WorkOutcome {
    fn from(item: Finished) -> Self {
        Self {
            work_id: item.work.id,
            attempts: item.attempts,
            final_outcome: Some(item.outcome),
            sessions: item.sessions,
            output: item.output,
        }
    }
}
