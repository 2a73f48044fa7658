//! Why a command, a configuration or a recorded event is refused: an error for each operation, and
//! the seed's, which holds them all.

mod add;
mod apply;
mod approval;
mod archive;
mod bind;
mod config;
mod end;
mod key;
mod need;
mod raise;
mod record;
mod signal;
mod skip;
mod state;
mod stop;
mod termination;
mod work;

pub use add::AddError;
pub use apply::ApplyError;
pub use approval::ApprovalError;
pub use archive::ArchiveDamaged;
pub use bind::BindError;
pub use config::ConfigError;
pub(super) use end::IllegalEnd;
pub use key::KeyError;
pub use need::NeedError;
pub use raise::RaiseError;
pub(crate) use record::{RecordError, UnbindError};
pub use signal::SignalError;
pub use skip::SkipError;
pub use state::{NotNow, StateError};
pub use stop::WrongStopCondition;
pub use termination::TerminationError;
pub use work::WorkError;
pub(super) use work::verb;

use crate::id::{CoordinationId, IdError, Version};
use crate::time::ClockRegression;

/// Why a command to a coordination was refused. Nothing has changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields' names say it")]
pub enum ControllerError {
    /// A closed coordination was given no work. The seed's contract names it here.
    #[error("{}", ConfigError::EmptyWorkQueue)]
    EmptyWorkQueue,
    /// Something is wrong with the configuration.
    #[error(transparent)]
    Config(ConfigError),
    /// An identifier is not one.
    #[error(transparent)]
    Id(#[from] IdError),
    /// The coordination does not take it now.
    #[error(transparent)]
    State(#[from] StateError),
    /// The item is not there, or not in a state for it.
    #[error(transparent)]
    Work(#[from] WorkError),
    /// The session cannot be bound.
    #[error(transparent)]
    Bind(BindError),
    /// The session cannot be ended.
    #[error(transparent)]
    Termination(#[from] TerminationError),
    /// The work cannot be added.
    #[error(transparent)]
    Add(AddError),
    /// The question cannot be asked or answered.
    #[error(transparent)]
    Approval(ApprovalError),
    /// The keys cannot be changed.
    #[error(transparent)]
    Key(KeyError),
    /// The signal cannot be sent.
    #[error(transparent)]
    Signal(SignalError),
    /// The budget cannot be raised.
    #[error(transparent)]
    Raise(#[from] RaiseError),
    /// The stop condition that the caller gave does not hold.
    #[error(transparent)]
    WrongStopCondition(#[from] WrongStopCondition),
    /// The state and the end of the stream that were given do not belong together.
    #[error(
        "the state of run {coordination_id} is at version {state}, but the given tip is at version {tip}"
    )]
    AnotherTip { coordination_id: CoordinationId, state: Version, tip: Version },
    /// The coordination was not started.
    #[error("the run was not started; call start first")]
    NotStarted,
    /// The coordination was started before.
    #[error("run {coordination_id} already exists")]
    CoordinationAlreadyExists { coordination_id: CoordinationId },
    /// The planner scores as many items as it may.
    #[error("the planner has scores of {max} items; no more can be scored")]
    TooManyObjectives { max: usize },
    #[error(transparent)]
    ClockRegression(#[from] ClockRegression),
}

// What several operations can meet has one place, so that a caller who asks for it need not know
// the operation.

impl From<ConfigError> for ControllerError {
    fn from(error: ConfigError) -> Self {
        match error {
            ConfigError::EmptyWorkQueue => Self::EmptyWorkQueue,
            ConfigError::Id(error) => Self::Id(error),
            error => Self::Config(error),
        }
    }
}

impl From<BindError> for ControllerError {
    fn from(error: BindError) -> Self {
        match error {
            BindError::State(error) => Self::State(error),
            BindError::Work(error) => Self::Work(error),
            error => Self::Bind(error),
        }
    }
}

impl From<SkipError> for ControllerError {
    fn from(error: SkipError) -> Self {
        match error {
            SkipError::State(error) => Self::State(error),
            SkipError::Work(error) => Self::Work(error),
        }
    }
}

impl From<ApprovalError> for ControllerError {
    fn from(error: ApprovalError) -> Self {
        match error {
            ApprovalError::State(error) => Self::State(error),
            error => Self::Approval(error),
        }
    }
}

impl From<KeyError> for ControllerError {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::State(error) => Self::State(error),
            error => Self::Key(error),
        }
    }
}

impl From<SignalError> for ControllerError {
    fn from(error: SignalError) -> Self {
        match error {
            SignalError::State(error) => Self::State(error),
            error => Self::Signal(error),
        }
    }
}

impl From<RecordError> for ControllerError {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::State(error) => Self::State(error),
            RecordError::ClockRegression(error) => Self::ClockRegression(error),
        }
    }
}

impl From<UnbindError> for ControllerError {
    fn from(error: UnbindError) -> Self {
        match error {
            UnbindError::Session(error) => Self::Termination(error),
            UnbindError::Record(error) => error.into(),
        }
    }
}

impl From<AddError> for ControllerError {
    fn from(error: AddError) -> Self {
        match error {
            AddError::State(error) => Self::State(error),
            AddError::Config(error) => error.into(),
            AddError::Session(error) => Self::Termination(error),
            error => Self::Add(error),
        }
    }
}
