//! What can be wrong with a coordination for good.

use serde::{Deserialize, Serialize};

use crate::id::WorkId;

/// What can be wrong with a coordination's state or configuration; recordable, as it may be why a
/// coordination stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names of its variants say it")]
pub enum CoordinationError {
    /// A ceiling is zero or out of range.
    #[error("the budget is invalid: {field} must be greater than zero")]
    InvalidBudget { field: String },
    /// There are more items than allowed.
    #[error("the work queue holds {actual} items; at most {max} are allowed")]
    WorkQueueSizeExceeded { actual: usize, max: usize },
    /// Ticks of another rate were offered.
    #[error("ticks come at {actual} Hz, but this run counts at {expected} Hz")]
    TickRateMismatch { expected: u64, actual: u64 },
    #[error("time went back from {last} to {current}; it may only go on")]
    ClockRegression {
        /// The last time seen.
        last: u64,
        current: u64,
    },
    /// An item failed for good whose failure policy is to end everything.
    #[error("work {work_id} failed, and its failure policy ends the run")]
    WorkFailed { work_id: WorkId },
}
