//! What a recorded decision may not say, besides what a handed in one may not either.

use crate::coordination::error::TerminationError;
use crate::id::WorkId;
use crate::routing::RoutingDecision;

/// Why a recorded decision about an attempt cannot follow, or what cannot follow on it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::coordination) enum IllegalRoute {
    /// No decision could have led to it.
    #[error(transparent)]
    Session(#[from] TerminationError),
    #[error("session {session} carries out {actual}, not {claimed}")]
    OtherWork { session: u64, actual: WorkId, claimed: WorkId },
    #[error("{} cannot name {to} items that go on", decision.as_str())]
    Targets { decision: RoutingDecision, to: usize },
    #[error("{target} is not there to go on")]
    NotThere { target: WorkId },
    #[error("its confidence is {confidence} millionths")]
    Confidence { confidence: u32 },
    #[error("{what} is longer than {max} bytes")]
    TooLong { what: &'static str, max: usize },
    #[error("what follows session {session} is decided, and its end has to come next")]
    EndOutstanding { session: u64 },
}
