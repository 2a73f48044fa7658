//! Why what was decided cannot be recorded.

use super::state::StateError;
use super::termination::TerminationError;
use crate::time::ClockRegression;

/// Why a decided event cannot be recorded in the stream of a coordination. Nothing has changed
/// then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RecordError {
    /// It has ended.
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    ClockRegression(#[from] ClockRegression),
}

/// Why the end of a session cannot be recorded. Nothing has changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UnbindError {
    #[error(transparent)]
    Session(#[from] TerminationError),
    #[error(transparent)]
    Record(#[from] RecordError),
}
