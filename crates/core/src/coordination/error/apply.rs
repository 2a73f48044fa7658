//! Why a recorded event cannot follow.

use crate::digest::Digest;
use crate::id::{CoordinationId, OutOfOrder, StreamName, Version};
use crate::schema::Unreadable;
use crate::time::ClockRegression;

/// Why a recorded event cannot follow on the state it meets. Nothing has changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields' names say it")]
pub enum ApplyError {
    /// The payload is not what its type and schema promise.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// The stream is not a coordination's.
    #[error("{stream} is not the stream of a coordination")]
    NotACoordination { stream: StreamName },
    #[error(transparent)]
    OutOfOrder(#[from] OutOfOrder),
    #[error(transparent)]
    ClockRegression(#[from] ClockRegression),
    /// The event is not possible in this state.
    #[error("{event} is not possible here: {why}")]
    Illegal {
        event: &'static str,
        /// What is in the way.
        why: String,
    },
    /// Another event was seen at that version.
    #[error(
        "version {version} has hash {known}, and an event with hash {actual} is offered for it"
    )]
    AnotherEvent {
        version: Version,
        /// The hash of the event that was seen.
        known: Digest,
        /// The hash of the event offered.
        actual: Digest,
    },
    /// The event belongs to a coordination that is not known.
    #[error("coordination {coordination_id} is not known; its first event is missing")]
    CoordinationNotFound { coordination_id: CoordinationId },
    /// The state is at its bound.
    #[error("{what} would exceed its limit of {max} entries")]
    LimitExceeded { what: &'static str, max: usize },
}
