//! What recorded events about sessions may not say, besides what a decision may not either.

use super::{NextStep, SessionOutcome};
use crate::coordination::error::{BindError, TerminationError};
use crate::id::WorkId;

/// Why a recorded binding cannot follow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::coordination) enum IllegalBinding {
    /// No decision could have led to it.
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error("session {session} does not follow {last}")]
    Number { session: u64, last: u64 },
    #[error("attempt {attempt} does not follow {attempts}")]
    Attempt { attempt: u32, attempts: u32 },
    #[error("its deadline lies in the past")]
    Overdue,
    #[error("its context is not the one that its agent has")]
    Context,
    #[error("it is not given to the least loaded runner that has what its item wants")]
    Assigned,
    #[error("it names as met elsewhere what its item does not need there")]
    Met,
    #[error(transparent)]
    Grant(#[from] IllegalGrant),
}

/// Why a recorded grant cannot be: it goes above what is left, or grants nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::coordination) enum IllegalGrant {
    #[error("it grants {granted} ticks of {left}")]
    Ticks { granted: u64, left: u64 },
    #[error("it grants no session")]
    NoSession,
    #[error("it grants more {meter} than is left")]
    Above { meter: &'static str },
}

/// Why a recorded end of a session cannot follow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::coordination) enum IllegalUnbinding {
    /// No decision could have led to it.
    #[error(transparent)]
    Session(#[from] TerminationError),
    #[error("session {session} carries out {actual}, not {claimed}")]
    OtherWork { session: u64, actual: WorkId, claimed: WorkId },
    #[error("{then:?} does not follow from {}", outcome.as_str())]
    NextStep { outcome: SessionOutcome, then: NextStep },
    #[error("it used {used} sessions of {granted}")]
    Used { used: u32, granted: u32 },
}

/// A recorded refusal of a write refuses one that was sound, or repeats another.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the write was valid, or its refusal is recorded already")]
pub(in crate::coordination) struct IllegalRefusal;
