//! What can be wrong with a configuration or with an item's description.

use super::need::NeedError;
use crate::id::{CoordinationId, IdError, WorkId};

/// What is wrong with a configuration, or with the description of an item.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields' names say it")]
pub enum ConfigError {
    /// A closed coordination was given no work.
    #[error("the work queue is empty; give at least one item, or start an open run")]
    EmptyWorkQueue,
    /// There are more items than the configuration allows.
    #[error(
        "the work queue holds {actual} items; at most {max} are allowed: raise max_work_queue_size"
    )]
    WorkQueueSizeExceeded { actual: usize, max: usize },
    /// A number of the configuration is out of its range.
    #[error("{field} is {actual}; it must be between {min} and {max}")]
    OutOfRange { field: &'static str, actual: u64, min: u64, max: u64 },
    /// An identifier is not one.
    #[error(transparent)]
    Id(#[from] IdError),
    /// Two items have the same id.
    #[error("work {work_id} already exists; ids are unique within a run")]
    DuplicateWork { work_id: WorkId },
    /// An item needs one that does not exist.
    #[error("work {work_id} needs {need}, which does not exist and is not being added")]
    UnknownNeed { work_id: WorkId, need: String },
    /// An item may route to one that does not exist.
    #[error("work {work_id} may route to {target}, which does not exist and is not being added")]
    UnknownTarget { work_id: WorkId, target: WorkId },
    /// An item may route to one that does not wait for a route.
    #[error(
        "work {work_id} may route to {target}, which does not wait for a route and may not be visited \
         again; let it need a route, or say how often it may be visited"
    )]
    NotATarget { work_id: WorkId, target: WorkId },
    /// What an item waits for makes no sense.
    #[error("work {work_id} has a need that cannot be met: {problem}")]
    Need { work_id: WorkId, problem: NeedError },
    /// Items wait for each other in a cycle.
    #[error("these wait for each other and would never start: {}", path.join(" -> "))]
    Cycle { path: Vec<String> },
    /// A part of an item's description has no meaning yet.
    #[error("work {work_id} uses `{feature}`, which this version does not support yet")]
    NotYetSupported { work_id: WorkId, feature: &'static str },
    /// An item is carried out by a process or a nested coordination, and nothing says which.
    #[error("work {work_id} has no input that says what to run")]
    NoDescription { work_id: WorkId },
    /// Plans are no runners that sessions are given to by what they can.
    #[error(
        "work {work_id} is a plan, which is not carried out by runners that have what it wants"
    )]
    CapableOfPlan { work_id: WorkId },
    /// One item's description is too large to be recorded.
    #[error(
        "the description of work {work_id} takes {actual} bytes; at most {max} are allowed: \
         put large values into its input"
    )]
    WorkTooLarge { work_id: WorkId, actual: usize, max: usize },
    /// The name and the labels do not fit the first event.
    #[error(
        "the name and labels take {actual} bytes; at most {max} are allowed: shorten them, or use fewer labels"
    )]
    StartTooLarge { actual: usize, max: usize },
    /// An item is taken over from a run that is not retried.
    #[error("work {work_id} is taken over from run {from}, which is not the one that this retries")]
    NotFromForerunner { work_id: WorkId, from: CoordinationId },
    /// An item is taken over after the start.
    #[error(
        "work {work_id} is taken over from an earlier run; only a start can take work over, \
         add it as work to be done"
    )]
    ReusedLate { work_id: WorkId },
    /// Coordinations are nested too deep.
    #[error("work {work_id} would nest runs more than {max} deep")]
    TooDeep { work_id: WorkId, max: u8 },
}
