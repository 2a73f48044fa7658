//! What recorded events about work may not say, besides what a decision may not either.

use super::need::NeedTarget;
use crate::coordination::error::{ConfigError, WorkError};
use crate::id::{QuestionId, WorkId};

/// Why recorded work cannot be added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::coordination) enum IllegalAddition {
    /// No decision could have led to it.
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("work {work_id} never left memory")]
    NeverLeft { work_id: WorkId },
    #[error("{items} items in one event")]
    Count { items: usize },
}

/// Why a recorded skip cannot follow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::coordination) enum IllegalSkip {
    /// No decision could have led to it.
    #[error(transparent)]
    Work(#[from] WorkError),
    #[error("{items} items in one event")]
    Count { items: usize },
    #[error("work {work_id} is skipped twice")]
    Twice { work_id: WorkId },
    #[error("{target}, which work {work_id} needs, has not timed out")]
    NotTimedOut { work_id: WorkId, target: NeedTarget },
    #[error("work {work_id} did not wait for question {question}, or the answer was not no")]
    NotDenied { work_id: WorkId, question: QuestionId },
    #[error("work {work_id} does not wait for a route")]
    NoRoute { work_id: WorkId },
    #[error("work {work_id} does not need {root}, or that has not failed")]
    NeedStands { work_id: WorkId, root: WorkId },
}
