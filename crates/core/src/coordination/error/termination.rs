//! Why a session cannot be ended.

use crate::id::{SessionId, WorkId};

/// Why a session cannot be ended, or what it left running not be declared gone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields' names say it")]
pub enum TerminationError {
    /// The session is not bound: it never was, has ended, or belongs to something else.
    #[error("session {session_id:?} is not running; it has ended or never started")]
    SessionNotBound { session_id: String },
    /// No item waits for what the session left running.
    #[error("no work waits for what session {session_id} left running")]
    HoldsNothing { session_id: SessionId },
    /// The session carries out other work than the caller says.
    #[error("session {session_id} carries out {actual}, not {claimed:?}")]
    SessionWorkMismatch { session_id: SessionId, actual: WorkId, claimed: String },
}
