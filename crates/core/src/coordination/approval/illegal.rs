//! What a recorded question or answer may not say, besides what a command may not either.

use crate::coordination::error::ApprovalError;
use crate::id::QuestionId;

/// Why a recorded question or answer cannot follow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::coordination) enum IllegalAnswer {
    /// No command could have led to it.
    #[error(transparent)]
    Approval(#[from] ApprovalError),
    #[error("question {question} was asked before")]
    AskedBefore { question: QuestionId },
    #[error("question {question} was answered before")]
    AnsweredBefore { question: QuestionId },
    #[error(
        "question {question} has the form of ids that are made of versions, but not of its own"
    )]
    NotItsVersion { question: QuestionId },
    #[error("question {question} has expired before it was asked")]
    ExpiredBefore { question: QuestionId },
}
