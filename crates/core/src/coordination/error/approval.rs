//! Why a question cannot be asked or answered.

use std::time::Duration;

use super::state::StateError;
use crate::coordination::approval::Answer;
use crate::id::{Actor, QuestionId, SessionId, Version};

/// Why a question cannot be asked or answered. Nothing has changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields' names say it")]
pub enum ApprovalError {
    /// The coordination does not take it now.
    #[error(transparent)]
    State(#[from] StateError),
    /// A text says nothing.
    #[error("{what} is empty; say something in it")]
    Blank { what: &'static str },
    /// A text is longer than there is room for.
    #[error("{what} takes {actual} bytes; at most {max} are allowed")]
    TooLong { what: &'static str, actual: usize, max: usize },
    /// The id has the form of those that questions without one get.
    #[error(
        "{question} cannot be chosen as the id of a question: `q` and a number are for questions \
         without one"
    )]
    MintedForm { question: QuestionId },
    /// Something else was asked under the id.
    #[error("something else was asked as question {question}; choose another id")]
    OtherQuestion { question: QuestionId },
    /// So many wait for an answer that no more can be asked.
    #[error("{max} questions of the run are open, as many as can be; have some of them answered")]
    TooManyOpen { max: usize },
    /// There is no such question, or it was answered so long ago that it is forgotten.
    #[error("the run has no question {question}")]
    Unknown { question: QuestionId },
    /// It has another answer, which stands.
    #[error(
        "question {question} was answered with {answer} by {by} at version {version}; an answer \
         stands"
    )]
    AnsweredOtherwise { question: QuestionId, answer: Answer, by: Actor, version: Version },
    /// Sessions ask, and others answer.
    #[error(
        "session {session} may not answer question {question}: sessions ask, and a person answers \
         from outside of them"
    )]
    BySession { session: SessionId, question: QuestionId },
    /// The engine answers only what has expired, and with no.
    #[error("question {question} is for a person; the engine only answers what has expired")]
    NotAPerson { question: QuestionId },
    /// A session asks faster than it may.
    #[error(
        "session {session} writes too fast: {per_second} times a second are let through, {burst} at \
         once; ask again in {} ms", retry_after.as_millis().max(1)
    )]
    TooFast { session: SessionId, per_second: u64, burst: u64, retry_after: Duration },
}
