//! Why a recorded event is not possible in the state that it meets, by the noun that says so.

use crate::coordination::approval::IllegalAnswer;
use crate::coordination::error::{IllegalEnd, TerminationError, WrongStopCondition};
use crate::coordination::key::IllegalChange;
use crate::coordination::life::LifeError;
use crate::coordination::route::IllegalRoute;
use crate::coordination::session::{IllegalBinding, IllegalRefusal, IllegalUnbinding};
use crate::coordination::signal::IllegalSignal;
use crate::coordination::started::IllegalStart;
use crate::coordination::work::{IllegalAddition, IllegalSkip};

/// What is in the way of a recorded event. It becomes text where
/// [`ApplyError::Illegal`](crate::coordination::ApplyError::Illegal) is made of it, and nowhere
/// before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Illegal {
    #[error("a coordination begins with coordination.started")]
    NotTheFirst,
    #[error(transparent)]
    Start(#[from] IllegalStart),
    #[error("it was started before")]
    StartedBefore,
    #[error("the run {0}")]
    Life(LifeError),
    #[error("it adds more items than the start announced")]
    MoreThanAnnounced,
    #[error(transparent)]
    Addition(#[from] IllegalAddition),
    #[error(transparent)]
    Binding(#[from] IllegalBinding),
    #[error(transparent)]
    Unbinding(#[from] IllegalUnbinding),
    #[error(transparent)]
    Route(#[from] IllegalRoute),
    #[error(transparent)]
    Clearing(TerminationError),
    #[error(transparent)]
    Skip(#[from] IllegalSkip),
    #[error(transparent)]
    Signal(#[from] IllegalSignal),
    #[error(transparent)]
    Keys(#[from] IllegalChange),
    #[error(transparent)]
    Answer(#[from] IllegalAnswer),
    #[error("the new budget is not higher")]
    BudgetNotHigher,
    #[error("it sweeps more sessions than are bound")]
    SweptMoreThanBound,
    #[error("it says that nobody carried the run out for longer than since the event before")]
    AwayTooLong,
    #[error(transparent)]
    Refusal(#[from] IllegalRefusal),
    #[error(transparent)]
    Stop(#[from] WrongStopCondition),
    #[error(transparent)]
    End(#[from] IllegalEnd),
}
