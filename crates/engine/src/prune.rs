//! Pruning: which ended runs may go, and erasing what they left: payloads, and the blobs that
//! nothing names which stays.
//!
//! Their first and last events, receipts and head rows stay, so that their ids stay taken and the
//! ledger verifies.

mod erasing;
mod runs;
mod survey;

use std::time::Duration;

use antiphon_core::id::CoordinationId;

use crate::mailbox::EraseError;

pub use survey::Survey;

/// Which ended runs may go. What is given must hold together; nothing given lets nothing go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PruneRequest {
    /// Only runs that ended longer ago.
    pub older_than: Option<Duration>,
    /// The newest ended runs, so many, stay.
    pub keep: Option<usize>,
    /// Also runs of which others that stay have taken over what succeeded; what they took over
    /// stays. Otherwise such a run stays whole.
    pub forerunners: bool,
}

/// What went, or would go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// The runs that somebody started, oldest first.
    pub runs: Vec<CoordinationId>,
    /// How many nested runs go with them.
    pub nested: u64,
    /// How many payloads of events.
    pub payloads: u64,
    /// How many blobs: inputs, outputs, and what was printed.
    pub blobs: u64,
    /// How many bytes these payloads and blobs have.
    pub bytes: u64,
    /// The runs that would go if others that stay had not taken over from them, oldest first.
    pub needed: Vec<CoordinationId>,
    /// How many runs more may go: the next prune takes them.
    pub left: u64,
    /// Bytes that were in use in the ledger before, and are now; `None` where nothing was erased.
    pub sizes: Option<(u64, u64)>,
}

/// Why nothing was pruned, or not all of it.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum PruneError {
    /// The request does not say which runs may go.
    #[error("nothing says which runs may go; give an age, how many to keep, or both")]
    Unlimited,
    /// The ledger cannot be read, or takes nothing in, or what was erased is still in its files.
    /// What was erased until then stays so, and the next prune goes on.
    #[error(transparent)]
    Erase(#[from] EraseError),
}

impl PruneRequest {
    /// Whether it says which runs may go.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        self.older_than.is_some() || self.keep.is_some()
    }
}
