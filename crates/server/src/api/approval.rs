//! Questions of runs that a person answers, as they are asked, read and answered.

use antiphon::approvals::{AskedQuestion, FoundQuestion, GivenAnswer};
use antiphon::id::CoordinationId;
use serde::{Deserialize, Serialize};

use super::utc::utc;

/// A question for a person.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuestionRequest {
    /// What is asked.
    pub question: String,
    /// The id under which asking again finds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// After how many milliseconds without an answer the answer is no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_ms: Option<u64>,
}

/// A question that is on the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct AskedLine {
    pub run: String,
    /// Where in the run's stream it is asked.
    pub version: u64,
    pub id: String,
    /// Its answer, if it was asked before and has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<AnswerLine>,
}

/// An answer to a question.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerRequest {
    /// `yes` or `no`.
    pub answer: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The answer that a question was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerLine {
    /// `yes` or `no`.
    pub answer: String,
    /// Who answered: `engine` where it has expired.
    pub by: String,
    /// Why, in their words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Where in the run's stream it is.
    pub version: u64,
}

/// A question of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct QuestionLine {
    pub run: String,
    pub id: String,
    pub question: String,
    /// Who asks.
    pub by: String,
    /// Where in the run's stream it is asked.
    pub version: u64,
    /// When it was asked, in UTC.
    pub asked: String,
    /// When it is answered with no, in UTC; absent where it has an answer, never expires, or its run's
    /// time stands still.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// Its answer, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<AnswerLine>,
    /// Whether the run has ended, so that nobody answers it any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ended: bool,
}

/// Questions, by run and id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuestionPage {
    /// Those that are asked for.
    pub questions: Vec<QuestionLine>,
    /// The cursor of the next page, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl AskedLine {
    /// What was recorded in a run.
    #[must_use]
    pub fn of(run: &CoordinationId, asked: &AskedQuestion) -> Self {
        Self {
            run: run.to_string(),
            version: asked.version.0,
            id: asked.question.to_string(),
            answer: asked.answer.as_ref().map(AnswerLine::from),
        }
    }
}

impl From<&GivenAnswer> for AnswerLine {
    fn from(given: &GivenAnswer) -> Self {
        Self {
            answer: given.answer.to_string(),
            by: given.by.to_string(),
            reason: given.reason.clone(),
            version: given.version.0,
        }
    }
}

impl QuestionLine {
    /// A question of a run.
    #[must_use]
    pub fn of(run: &CoordinationId, found: &FoundQuestion) -> Self {
        Self {
            run: run.to_string(),
            id: found.id.to_string(),
            question: found.state.text.clone(),
            by: found.state.by.to_string(),
            version: found.state.version.0,
            asked: utc(found.asked),
            expires: found.expires.map(utc),
            answer: found.state.answer.as_ref().map(AnswerLine::from),
            ended: found.ended,
        }
    }
}
