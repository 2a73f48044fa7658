//! Why an item cannot be skipped.

use super::state::StateError;
use super::work::WorkError;

/// Why an item cannot be skipped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SkipError {
    /// The item is not there, or not in a state for it.
    #[error(transparent)]
    Work(#[from] WorkError),
    /// It is elsewhere in its life.
    #[error(transparent)]
    State(#[from] StateError),
}
