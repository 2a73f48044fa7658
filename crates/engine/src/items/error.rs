//! Why the record does not tell what was asked of an item.

use antiphon_core::digest::Digest;
use antiphon_core::id::CoordinationId;

use crate::ledger::ReadError;
use crate::mailbox::{QueryError, Unavailable};

/// Why the record does not tell what was asked of an item.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names of its variants say it")]
pub enum ItemError {
    /// The run has no such item.
    #[error("there is no item {item} in {run}")]
    UnknownItem { run: CoordinationId, item: String },
    /// What the run recorded of its items was erased, and perhaps this one with it.
    #[error("what was recorded of the items of {run} was erased")]
    Erased { run: CoordinationId },
    /// The item has no session of this attempt, or none at all.
    #[error("{what}")]
    NoSession {
        /// In one sentence.
        what: String,
    },
    /// The item has no value, or none yet.
    #[error("{item} of {run} has put out no value: {why}")]
    NoValue {
        run: CoordinationId,
        item: String,
        /// Why not.
        why: String,
    },
    /// What a session put out or printed is not there any more.
    #[error("the output {digest} is missing: it was erased or lost; `antiphon verify` says which")]
    Missing { digest: Digest },
    /// What a running session prints cannot be read.
    #[error("what session {session} prints cannot be read: {reason}")]
    Unread { session: String, reason: String },
    /// There is no such run, or the ledger cannot be read.
    #[error(transparent)]
    Query(#[from] QueryError),
}

impl From<ReadError> for ItemError {
    fn from(error: ReadError) -> Self {
        Self::Query(error.into())
    }
}

impl From<Unavailable> for ItemError {
    fn from(error: Unavailable) -> Self {
        Self::Query(error.into())
    }
}
