//! Why contexts were not changed or read.

use antiphon_core::coordination::KeyError;
use antiphon_core::id::AgentId;
use antiphon_core::world::Rejection;

use super::fault::ContextFault;
use crate::mailbox::{AskError, QueryError};

/// Why contexts were not changed or read. Nothing has changed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names of its variants say it")]
pub enum ContextError {
    /// It is none.
    #[error("the context of {agent} cannot be used: {}", told(faults))]
    NotAContext { agent: AgentId, faults: Vec<ContextFault> },
    /// It has none.
    #[error("agent {agent} has no context; give it one first")]
    UnknownAgent { agent: AgentId },
    /// It is no part of what agents share.
    #[error("{field:?} is no part of the shared intelligence; its parts are {known}")]
    UnknownField { field: String, known: String },
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error(transparent)]
    Query(#[from] QueryError),
}

impl ContextError {
    /// Whether somebody else has changed what the change rested on.
    pub(super) fn is_stale(&self) -> bool {
        use antiphon_core::coordination::ControllerError as E;
        matches!(
            self,
            Self::Ask(AskError::Rejected(Rejection::Refused(E::Key(KeyError::Stale { .. }))))
        )
    }
}

impl From<KeyError> for ContextError {
    fn from(error: KeyError) -> Self {
        Self::Ask(AskError::Rejected(error.into()))
    }
}

fn told(faults: &[ContextFault]) -> String {
    let each = faults.iter().map(|fault| format!("{} {}", fault.pointer, fault.detail));
    each.collect::<Vec<_>>().join("; ")
}
