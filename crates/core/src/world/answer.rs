//! Who asks the world, and what it answers.

use crate::coordination::{
    AddError, ApprovalError, ArchiveDamaged, ConfigError, ControllerError, GivenAnswer, KeyError,
    RaiseError, RecordError, SignalError, SkipError, StateError, TerminationError, UnbindError,
    WorkError,
};
use crate::digest::Digest;
use crate::id::{Actor, CommandId, CoordinationId, QuestionId, Version};
use crate::live::EmitError;

/// Who asks, and under which id.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct Asker {
    pub actor: Actor,
    /// An id that makes the command idempotent.
    pub id: Option<CommandId>,
}

impl Asker {
    /// The engine, on its own.
    #[must_use]
    pub fn engine() -> Self {
        Self { actor: Actor::engine().clone(), id: None }
    }
}

/// A change that is on the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    /// Where the stream first tells of it.
    pub version: Version,
}

/// The result of a start.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub enum Started {
    /// It is on the record.
    New,
    /// The coordination was there before, started with the same configuration.
    Existing { coordination: CoordinationId },
}

/// The result of a session's write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It is on the record.
    Done(Done),
    /// The session's fence was stale: nothing was changed but the count of such writes.
    Refused,
}

/// A question that is on the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedQuestion {
    /// Where the stream asks it.
    pub version: Version,
    /// The id that it has.
    pub question: QuestionId,
    /// What it was answered with before, if it was.
    pub answer: Option<GivenAnswer>,
}

/// The result of a session's question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionQuestion {
    /// It is on the record.
    Asked(AskedQuestion),
    /// The session's fence was stale: nothing was changed but the count of such writes.
    Refused,
}

/// Why a command was refused. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields' names say it")]
pub enum Rejection {
    /// The coordination's own rules forbid it.
    #[error(transparent)]
    Refused(#[from] ControllerError),
    /// It could not be recorded at this moment.
    #[error(transparent)]
    NotRecorded(#[from] EmitError),
    /// What an earlier engine left is not taken over yet.
    #[error(
        "the engine is still taking over what it found in the ledger; repeat the command in a moment"
    )]
    TakingOver,
    /// There is no such live coordination.
    #[error("run {coordination} is not running; list shows what there is")]
    UnknownCoordination { coordination: CoordinationId },
    /// The id is taken by a coordination that was started with something else.
    #[error(
        "run {coordination} already exists and was started with a different configuration; choose another id"
    )]
    Conflict { coordination: CoordinationId },
    /// The id of the command was used for another one.
    #[error("the command id {command} was used for another command; give each command its own")]
    OtherCommand { command: CommandId },
    /// It depends on finished items that left memory: repeat the command with these blobs.
    #[error("this depends on finished items that left memory; they must be read first")]
    ArchivesNeeded {
        /// The blobs that may hold them.
        archives: Vec<Digest>,
    },
    /// It depends on more of them than one command can.
    #[error(
        "this depends on finished items in {actual} archives; at most {max} can be read for one \
         command: add the work in parts"
    )]
    TooManyArchives { actual: usize, max: usize },
    /// An archive of finished items cannot be used.
    #[error(transparent)]
    ArchiveDamaged(#[from] ArchiveDamaged),
    /// One erasure names nothing, or more than its event can hold.
    #[error("an erasure names {actual} events and blobs; it must be between 1 and {max}")]
    ErasureSize { actual: usize, max: usize },
    /// Only what has ended can be erased.
    #[error("run {coordination} has not ended; payloads can be erased once it has")]
    StillRunning { coordination: CoordinationId },
}

macro_rules! refused_by_its_rules {
    ($($error:ty),*) => {$(
        impl From<$error> for Rejection {
            fn from(error: $error) -> Self {
                Self::Refused(error.into())
            }
        }
    )*};
}
refused_by_its_rules!(
    AddError,
    ApprovalError,
    ConfigError,
    KeyError,
    RaiseError,
    RecordError,
    SignalError,
    SkipError,
    StateError,
    TerminationError,
    UnbindError,
    WorkError
);

impl Rejection {
    /// Whether it says no more than that the coordination does not run.
    #[must_use]
    pub fn is_not_running(&self) -> bool {
        matches!(
            self,
            Self::UnknownCoordination { .. }
                | Self::Refused(ControllerError::State(StateError::CoordinationTerminal { .. }))
        )
    }

    pub(super) fn unknown(coordination: &CoordinationId) -> Self {
        Self::UnknownCoordination { coordination: coordination.clone() }
    }
}
