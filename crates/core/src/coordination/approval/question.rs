//! A question on its way into the record.

use std::time::Duration;

use crate::coordination::error::ApprovalError;
use crate::coordination::event::Asked;
use crate::coordination::limits::MAX_QUESTION_BYTES;
use crate::id::{Actor, QuestionId, Version};
use crate::time::LedgerTime;

/// A question for a person.
///
/// ```
/// use antiphon_core::coordination::Question;
/// use std::time::Duration;
/// let question = Question::new("Deploy to production?")?
///     .with_id("deploy".parse()?)?
///     .expiring_in(Duration::from_secs(3600));
/// assert_eq!(question.text(), "Deploy to production?");
/// assert!(Question::new(" ").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    id: Option<QuestionId>,
    text: String,
    expires_in: Option<Duration>,
}

impl Question {
    /// A question that gets an id of its own.
    ///
    /// # Errors
    /// [`ApprovalError::Blank`], or [`ApprovalError::TooLong`] beyond 1,000 bytes.
    pub fn new(text: impl Into<String>) -> Result<Self, ApprovalError> {
        let text = text.into();
        check_text("the question", &text)?;
        Ok(Self { id: None, text, expires_in: None })
    }

    /// Asks it under an id, so that asking again finds it.
    ///
    /// # Errors
    /// [`ApprovalError::MintedForm`] if the id has the form of those that are made for others.
    pub fn with_id(self, id: QuestionId) -> Result<Self, ApprovalError> {
        match id.minted_at() {
            Some(_) => Err(ApprovalError::MintedForm { question: id }),
            None => Ok(Self { id: Some(id), ..self }),
        }
    }

    /// Without an answer in this time, of the ledger, the answer is no.
    #[must_use]
    pub fn expiring_in(self, time: Duration) -> Self {
        Self { expires_in: Some(time), ..self }
    }

    /// The id that it is to have, if it was given one.
    #[must_use]
    pub fn id(&self) -> Option<&QuestionId> {
        self.id.as_ref()
    }

    /// What is asked.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The same with another text.
    ///
    /// # Errors
    /// As [`Question::new`].
    pub fn with_text(self, text: impl Into<String>) -> Result<Self, ApprovalError> {
        Ok(Self { text: Self::new(text)?.text, ..self })
    }

    /// What is recorded of it at a version.
    pub(super) fn asked(self, by: Actor, version: Version, at: LedgerTime) -> Asked {
        let after = |time: Duration| {
            let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
            LedgerTime(at.0.saturating_add(time))
        };
        Asked {
            id: self.id.unwrap_or_else(|| QuestionId::minted(version)),
            question: self.text,
            expires: self.expires_in.map(after),
            by,
        }
    }
}

/// What a question and a reason both keep to.
pub(super) fn check_text(what: &'static str, text: &str) -> Result<(), ApprovalError> {
    let (actual, max) = (text.len(), MAX_QUESTION_BYTES);
    if text.trim().is_empty() {
        return Err(ApprovalError::Blank { what });
    }
    if actual > max {
        return Err(ApprovalError::TooLong { what, actual, max });
    }
    Ok(())
}
