//! How a bare controller's sessions are carried out, kept as the seed has it.

use super::controller::SpawnResult;
use crate::coordination::SessionOutcome;

/// Starts sessions and waits for their ends, on behalf of the driver of a
/// [`CoordinationController`](super::CoordinationController).
///
/// The binding event must be durable before `spawn` is called (CTR-CO10); if `spawn` fails, the
/// session is unbound with [`SessionOutcome::SpawnFailed`] (CTR-CO11).
pub trait SessionSpawner: Send + Sync {
    /// Starts a session.
    ///
    /// # Errors
    /// A [`SpawnError`] says why it did not start.
    fn spawn(&self, session_id: &str, work_id: &str) -> Result<(), SpawnError>;

    /// Waits until a session ends.
    ///
    /// # Errors
    /// A [`SpawnError`] says why its end was not seen.
    fn observe_termination(&self, session_id: &str) -> Result<SessionTerminationInfo, SpawnError>;

    /// Starts a session that was bound and waits for its end; one that does not start has ended with
    /// [`SessionOutcome::SpawnFailed`]. The answer has no place for the reason: who wants to know it
    /// calls [`SessionSpawner::spawn`].
    ///
    /// # Errors
    /// A [`SpawnError`] says why its end was not seen.
    fn carry_out(&self, bound: &SpawnResult) -> Result<SessionTerminationInfo, SpawnError> {
        let session_id = bound.session_id.to_string();
        match self.spawn(&session_id, bound.work_id.as_str()) {
            Ok(()) => self.observe_termination(&session_id),
            Err(_) => Ok(SessionTerminationInfo::new(&session_id, SessionOutcome::SpawnFailed, 0)),
        }
    }
}

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct SessionTerminationInfo {
    pub session_id: String,
    pub outcome: SessionOutcome,
    /// Fresh input and output tokens it used.
    pub tokens_consumed: u64,
}

impl SessionTerminationInfo {
    /// A session that ended in some way.
    #[must_use]
    pub fn new(session_id: &str, outcome: SessionOutcome, tokens_consumed: u64) -> Self {
        Self { session_id: session_id.to_owned(), outcome, tokens_consumed }
    }

    /// A session that did its work.
    #[must_use]
    pub fn success(session_id: &str, tokens_consumed: u64) -> Self {
        Self::new(session_id, SessionOutcome::Success, tokens_consumed)
    }

    /// A session that did not.
    #[must_use]
    pub fn failure(session_id: &str, tokens_consumed: u64) -> Self {
        Self::new(session_id, SessionOutcome::Failure, tokens_consumed)
    }
}

/// Why a session did not start, or its end was not seen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names of its variants say it")]
pub enum SpawnError {
    /// It could not be started.
    #[error("the session could not be started: {reason}")]
    SpawnFailed { reason: String },
    /// It did not end in time.
    #[error("session {session_id} did not end in time")]
    ObservationTimeout { session_id: String },
    /// No such session was started.
    #[error("session {session_id} was never started")]
    SessionNotFound { session_id: String },
    /// The spawner itself failed.
    #[error("the spawner failed: {message}")]
    Internal { message: String },
}
