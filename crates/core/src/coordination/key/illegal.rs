//! What a recorded change of keys may not say, besides what a command may not either.

use crate::coordination::error::KeyError;
use crate::id::KeyName;

/// Why recorded changes of keys cannot follow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::coordination) enum IllegalChange {
    /// No command could have led to it.
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("it changes no key")]
    Nothing,
    #[error("key {key} has a value and a blob")]
    TwoValues { key: KeyName },
    #[error("key {key} is not there to be removed")]
    NotThere { key: KeyName },
}
