//! Why work cannot be added.

use super::config::ConfigError;
use super::state::StateError;
use super::termination::TerminationError;
use crate::id::WorkId;

/// Why work cannot be added to a coordination that runs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields' names say it")]
pub enum AddError {
    /// It is elsewhere in its life.
    #[error(transparent)]
    State(#[from] StateError),
    /// Something is wrong with the items.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The session that adds them is not bound.
    #[error(transparent)]
    Session(#[from] TerminationError),
    /// A session added work with a higher priority than its own.
    #[error(
        "work {work_id} has priority {actual}, but the session that adds it has {max}; \
         it cannot outrank it"
    )]
    OutranksAdder { work_id: WorkId, actual: i32, max: i32 },
    /// A session added work that may change, or would know, what its own does not.
    #[error(
        "work {work_id} would be given {what}, which the item whose session adds it is not given itself"
    )]
    BeyondAdder { work_id: WorkId, what: String },
    /// The items do not fit one command.
    #[error("the work takes {actual} bytes; at most {max} can be added at once: add it in parts")]
    TooMuchAtOnce { actual: u64, max: u64 },
}
