//! Why a command, a configuration or a recorded event is refused.

use super::life::LifeError;
use super::stop::StopCondition;
use crate::digest::Digest;
use crate::id::{CoordinationId, GroupName, IdError, SessionId, StreamName, Version, WorkId};
use crate::schema::Unreadable;

/// Why a command to a coordination was refused. Nothing has changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields' names say it")]
pub enum ControllerError {
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
    /// As many items of its group run as may.
    #[error("work {work_id} waits: group {group} has reached its limit of sessions, {width}")]
    GroupFull {
        work_id: WorkId,
        group: GroupName,
        /// How many may run.
        width: u32,
    },
    /// Items wait for each other in a cycle.
    #[error("these wait for each other and would never start: {}", path.join(" -> "))]
    Cycle {
        /// The cycle, its first member repeated at the end.
        path: Vec<String>,
    },
    /// A part of an item's description has no meaning yet.
    #[error("work {work_id} uses `{feature}`, which this version does not support yet")]
    NotYetSupported { work_id: WorkId, feature: &'static str },
    /// An item is carried out by a process or a nested coordination, and nothing says which.
    #[error("work {work_id} has no input that says what to run")]
    NoDescription { work_id: WorkId },
    /// One item's description is too large to be recorded.
    #[error(
        "the description of work {work_id} takes {actual} bytes; at most {max} are allowed: \
         put large values into its input"
    )]
    WorkTooLarge { work_id: WorkId, actual: usize, max: usize },
    /// What is kept of finished items that left memory is not what its name says.
    #[error(
        "blob {archive}, which holds finished items, is damaged; run verify, and restore it \
         from a copy"
    )]
    ArchiveDamaged { archive: Digest },
    /// A session added work with a higher priority than its own.
    #[error(
        "work {work_id} has priority {actual}, but the session that adds it has {max}; \
         it cannot outrank it"
    )]
    OutranksAdder { work_id: WorkId, actual: i32, max: i32 },
    /// The work is not in this coordination.
    #[error("there is no work {work_id:?} in this run")]
    WorkNotFound { work_id: String },
    /// The work finished so long ago that it is not in memory any more.
    #[error("work {work_id} has finished and left memory; its events are in the log")]
    WorkLeftMemory { work_id: String },
    /// The work cannot be bound or skipped as it stands.
    #[error("work {work_id} {} {state}; {instead}", verb(state))]
    WorkNotClaimable {
        work_id: WorkId,
        state: &'static str,
        /// What to do instead.
        instead: &'static str,
    },
    /// The caller looked at the work before it last changed.
    #[error(
        "work {work_id} changed at version {current} after it was looked at (version {looked_at}); \
         look again"
    )]
    WorkFreshnessViolation {
        work_id: WorkId,
        /// What the caller had seen.
        looked_at: Version,
        /// The version of the item's last change.
        current: Version,
    },
    /// The caller claims to have seen what has not happened yet.
    #[error("version {looked_at} is beyond version {last}, the last there is; look again")]
    LookedAhead {
        /// What the caller claims to have seen.
        looked_at: Version,
        /// The version of the last event.
        last: Version,
    },
    /// All session slots are taken.
    #[error("session {session_id} is running, and the concurrency of {concurrency} allows no more")]
    SessionAlreadyBound {
        /// One of the bound sessions.
        session_id: SessionId,
        /// Sessions allowed at a time.
        concurrency: u32,
    },
    /// The session is not bound: it never was, has ended, or belongs to something else.
    #[error("session {session_id:?} is not running; it has ended or never started")]
    SessionNotBound { session_id: String },
    /// No item waits for what the session left running.
    #[error("no work waits for what session {session_id} left running")]
    HoldsNothing { session_id: SessionId },
    /// The session carries out other work than the caller says.
    #[error("session {session_id} carries out {actual}, not {claimed:?}")]
    SessionWorkMismatch {
        session_id: SessionId,
        /// The work it is bound to.
        actual: WorkId,
        /// The work the caller named.
        claimed: String,
    },
    /// The coordination must stop instead.
    #[error("no new session can start: {}", stop.describe_of_the_run())]
    MustStop {
        /// The condition that holds.
        stop: StopCondition,
    },
    /// The stop condition that the caller gave does not hold.
    #[error(
        "the run cannot complete with {claimed}: {} holds",
        actual.as_ref().map_or_else(|| "no stop condition".to_owned(), ToString::to_string)
    )]
    WrongStopCondition {
        /// What the caller gave.
        claimed: StopCondition,
        actual: Option<StopCondition>,
    },
    /// A meter has nothing left to grant because running sessions hold the rest.
    #[error("no {meter} left to grant now; running sessions hold the rest")]
    NothingToGrant { meter: &'static str },
    /// The state and the end of the stream that were given do not belong together.
    #[error(
        "the state of run {coordination_id} is at version {state}, but the given tip is at version {tip}"
    )]
    AnotherTip {
        coordination_id: CoordinationId,
        /// The version that the state has taken in.
        state: Version,
        /// The version that the stream is said to end at.
        tip: Version,
    },
    /// The coordination was not started.
    #[error("the run was not started; call start first")]
    NotStarted,
    /// The coordination was started before.
    #[error("run {coordination_id} already exists")]
    CoordinationAlreadyExists { coordination_id: CoordinationId },
    /// The coordination has ended.
    #[error("run {coordination_id} has ended; nothing can be added to its record")]
    CoordinationTerminal { coordination_id: CoordinationId },
    /// The coordination is not in the state that the command is for.
    #[error("run {coordination_id} {reason}")]
    NotInState {
        coordination_id: CoordinationId,
        /// What is in the way.
        reason: NotNow,
    },
    /// A ceiling would be lowered, or the tick rate or currency changed.
    #[error(
        "the budget of a run can only be raised, at the same tick rate and in the same currency"
    )]
    BudgetNotRaised,
    /// A ceiling would be raised that the budget does not have.
    #[error("the budget has no ceiling on {meter} to raise")]
    NoCeiling { meter: &'static str },
    /// A nested coordination would get more than the session that it carries out was granted.
    #[error(
        "this budget is above what session {session_id} was granted; a nested run cannot be \
         given more"
    )]
    AboveGrant {
        /// The session of its parent.
        session_id: SessionId,
    },
    /// Coordinations are nested too deep.
    #[error("work {work_id} would nest runs more than {max} deep")]
    TooDeep { work_id: WorkId, max: u8 },
    /// Time went back.
    #[error("the clock went back from {last} ns to {current} ns")]
    ClockRegression {
        /// The last time seen.
        last: u64,
        current: u64,
    },
}

/// What is in the way of a command, as the coordination stands: the rest of a sentence about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotNow {
    /// It is elsewhere in its life.
    #[error(transparent)]
    Life(#[from] LifeError),
    /// A ceiling is reached, and none was raised.
    #[error("has used up its budget; raise a ceiling to continue")]
    BudgetUsedUp,
    /// The session is carried out by this coordination, so it cannot be ended by itself.
    #[error("carries this session out, which ends when it ends; stop it instead")]
    CarriesOutSession,
    /// Nothing carries the nested item out any more.
    #[error("has no plan for this item any more")]
    NoPlan,
    /// What needs a failed item is skipped without being asked for.
    #[error("skips dependents of failed work itself; give another reason")]
    SkipsDependents,
}

/// The verb that goes with the word for an item's state.
pub(super) fn verb(state: &str) -> &'static str {
    match state {
        "succeeded" | "failed" => "has",
        "skipped" => "was",
        _ => "is",
    }
}

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
    /// The event does not follow the last one.
    #[error("version {actual} does not follow version {last}")]
    OutOfOrder {
        /// The last version seen.
        last: Version,
        actual: Version,
    },
    /// Time went back.
    #[error("the clock went back from {last} ns to {current} ns")]
    ClockRegression {
        /// The last time seen.
        last: u64,
        current: u64,
    },
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
