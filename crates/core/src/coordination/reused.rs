//! What a run takes over from an earlier one: the run that it retries, and items of it that need
//! not run again.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::id::{CoordinationId, SessionId, Version, WorkId};

/// The ended run that another one retries, with what finds its evidence and tells it apart from
/// every other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forerunner {
    /// Its id.
    pub coordination: CoordinationId,
    /// Digest of its receipt.
    pub receipt: Digest,
    /// Version of its last event.
    pub version: Version,
    /// Hash of that event.
    pub hash: Digest,
}

/// Where an item succeeded before, so that it need not run again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reused {
    /// The run that it is taken over from.
    pub from: CoordinationId,
    /// The item there, if it had another id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub work: Option<WorkId>,
    /// Digest of what it put out there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Digest>,
    /// Digest of the blob that says what it left of its declared files there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<Digest>,
    /// The session that carried it out. It belongs to another run than `from` where that one had
    /// taken the item over, too. Came with schema 3 of `work_added`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
}

impl Reused {
    /// The run that carried it out, where that is known not to be the one that it is taken over
    /// from.
    #[must_use]
    pub fn earlier_run(&self) -> Option<&CoordinationId> {
        self.session.as_ref().map(|session| &session.coordination).filter(|run| **run != self.from)
    }
}
