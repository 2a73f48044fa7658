//! Why nothing can be done with an item.

use crate::id::WorkId;

/// Why nothing can be done with an item: it is not there, or not in a state for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields' names say it")]
pub enum WorkError {
    /// The work is not in this coordination.
    #[error("there is no work {work_id:?} in this run")]
    WorkNotFound { work_id: String },
    /// The work finished so long ago that it is not in memory any more.
    #[error("work {work_id} has finished and left memory; its events are in the log")]
    WorkLeftMemory { work_id: String },
    /// The work cannot be bound or skipped in its state.
    #[error("work {work_id} {} {state}; {instead}", verb(state))]
    WorkNotClaimable { work_id: WorkId, state: &'static str, instead: &'static str },
}

/// The verb that goes with the word for an item's state.
pub(in crate::coordination) fn verb(state: &str) -> &'static str {
    match state {
        "succeeded" | "failed" => "has",
        "skipped" => "was",
        _ => "is",
    }
}
