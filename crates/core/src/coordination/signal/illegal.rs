//! What a recorded signal may not say, besides what a sent one may not either.

use crate::coordination::error::SignalError;
use crate::id::Version;

/// Why a recorded signal cannot follow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::coordination) enum IllegalSignal {
    /// No command could have led to it.
    #[error(transparent)]
    Signal(#[from] SignalError),
    #[error("the same signal was sent before, at version {first}")]
    SentBefore { first: Version },
}
