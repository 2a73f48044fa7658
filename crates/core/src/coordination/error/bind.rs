//! Why a session cannot be bound to an item.

use super::state::StateError;
use super::work::WorkError;
use crate::coordination::stop::StopCondition;
use crate::id::{GroupName, SessionId, Version, WorkId};

/// Why a session cannot be bound to an item now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields' names say it")]
pub enum BindError {
    /// The item is not there, or not in a state for it.
    #[error(transparent)]
    Work(#[from] WorkError),
    /// It is elsewhere in its life.
    #[error(transparent)]
    State(#[from] StateError),
    /// All session slots are taken.
    #[error("session {session_id} is running, and the concurrency of {concurrency} allows no more")]
    SessionAlreadyBound { session_id: SessionId, concurrency: u32 },
    /// The coordination must stop instead.
    #[error("no new session can start: {}", stop.describe_of_the_run())]
    MustStop { stop: StopCondition },
    /// The caller claims to have seen what has not happened yet.
    #[error("version {looked_at} is beyond version {last}, the last there is; look again")]
    LookedAhead { looked_at: Version, last: Version },
    /// The caller looked at the work before it last changed.
    #[error(
        "work {work_id} changed at version {current} after it was looked at (version {looked_at}); \
         look again"
    )]
    WorkFreshnessViolation { work_id: WorkId, looked_at: Version, current: Version },
    /// As many items of its group run as may.
    #[error("work {work_id} waits: group {group} has reached its limit of sessions, {width}")]
    GroupFull { work_id: WorkId, group: GroupName, width: u32 },
    /// A meter has nothing left to grant because running sessions hold the rest.
    #[error("no {meter} left to grant now; running sessions hold the rest")]
    NothingToGrant { meter: &'static str },
}
