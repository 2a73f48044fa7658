//! What an item waits for before it may start.

mod key;
mod signal;
mod target;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use key::{KeyCondition, KeyNeed, KeyOwner};
pub use signal::SignalNeed;
pub use target::NeedTarget;

use crate::coordination::error::NeedError;
use crate::coordination::limits::MAX_QUESTION_BYTES;
use crate::id::{GroupName, WorkId};

/// What an item waits for before it may start.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Need {
    /// The outcome of another item.
    Work(WorkId),
    /// The outcomes of all items of a group.
    Group(GroupName),
    /// A signal, whether it was sent before the item was added or comes later.
    Signal(Box<SignalNeed>),
    /// What a key is, at the moment in which a session is bound.
    Key(Box<KeyNeed>),
    /// A person's yes to this question, which the run asks once what it needs of items is there. With
    /// another answer it is skipped.
    Approval(String),
    /// That an item routes to it.
    Routed,
}

impl Need {
    /// What it names.
    #[must_use]
    pub fn target(&self) -> NeedTarget {
        match self {
            Self::Work(id) => NeedTarget::Work(id.clone()),
            Self::Group(name) => NeedTarget::Group(name.clone()),
            Self::Signal(signal) => NeedTarget::Signal(signal.kind.clone()),
            Self::Key(key) => NeedTarget::Key(key.key.clone()),
            Self::Approval(question) => NeedTarget::Approval(question.clone()),
            Self::Routed => NeedTarget::Route,
        }
    }

    /// Whether other items meet it, by their outcomes or by a route.
    #[must_use]
    pub fn is_of_items(&self) -> bool {
        matches!(self, Self::Work(_) | Self::Group(_) | Self::Routed)
    }

    /// Whether a key that all runs share may meet it.
    #[must_use]
    pub fn looks_at_shared(&self) -> bool {
        matches!(self, Self::Key(key) if key.looks_at_shared())
    }

    /// Whether it is one of the outcome of this item.
    pub(super) fn is_of(&self, work: &WorkId) -> bool {
        matches!(self, Self::Work(id) if id == work)
    }

    /// Whether it can be waited for.
    ///
    /// # Errors
    /// [`NeedError`] says what is wrong with it.
    pub fn check(&self) -> Result<(), NeedError> {
        match self {
            Self::Work(_) | Self::Group(_) | Self::Routed => Ok(()),
            Self::Approval(question) => {
                let (actual, max) = (question.len(), MAX_QUESTION_BYTES);
                match question.trim().is_empty() || actual > max {
                    true => Err(NeedError::Question { actual, max }),
                    false => Ok(()),
                }
            }
            Self::Signal(signal) => signal.check(),
            Self::Key(key) => key.check(),
        }
    }
}

impl From<SignalNeed> for Need {
    fn from(signal: SignalNeed) -> Self {
        Self::Signal(Box::new(signal))
    }
}

impl From<KeyNeed> for Need {
    fn from(key: KeyNeed) -> Self {
        Self::Key(Box::new(key))
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Work(id) => write!(f, "{id}"),
            Self::Group(name) => write!(f, "group {name}"),
            Self::Signal(signal) => signal.fmt(f),
            Self::Key(key) => key.fmt(f),
            Self::Approval(question) => write!(f, "approval: {question}"),
            Self::Routed => f.write_str("a route to it"),
        }
    }
}
