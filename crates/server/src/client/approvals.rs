//! Questions of runs that a person answers: asked, listed, waited for and answered.

use antiphon::id::CoordinationId;

use super::Client;
use super::error::ClientError;
use crate::api::{Accepted, AnswerRequest, AskedLine, QuestionLine, QuestionPage, QuestionRequest};
use crate::path::{APPROVALS, run_path, segment};

impl Client {
    /// Asks a person something in a run. The answer comes once the question is durable; one that was
    /// asked before under its id is found.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn ask(
        &self,
        id: &CoordinationId,
        request: &QuestionRequest,
        key: Option<&str>,
    ) -> Result<AskedLine, ClientError> {
        self.link.post(&run_path(id.as_str(), "/approvals"), request, key).await
    }

    /// Answers a question of a run, as a person.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn answer(
        &self,
        id: &CoordinationId,
        question: &str,
        request: &AnswerRequest,
        key: Option<&str>,
    ) -> Result<Accepted, ClientError> {
        let path = format!("/approvals/{}/answer", segment(question));
        self.link.post(&run_path(id.as_str(), &path), request, key).await
    }

    /// The questions of a run by id, or those that are open; from the beginning, or from
    /// [`QuestionPage::next`] of the page before.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn questions(
        &self,
        id: &CoordinationId,
        open: bool,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<QuestionPage, ClientError> {
        let query = format!("/approvals?open={open}&{}", paged(cursor, limit));
        self.link.get(&run_path(id.as_str(), &query)).await
    }

    /// The open questions of all runs, by run and id, likewise.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn open_questions(
        &self,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<QuestionPage, ClientError> {
        self.link.get(&format!("{APPROVALS}?{}", paged(cursor, limit))).await
    }

    /// A question of a run as it is.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn question(
        &self,
        id: &CoordinationId,
        question: &str,
    ) -> Result<QuestionLine, ClientError> {
        let path = format!("/approvals/{}", segment(question));
        self.link.get(&run_path(id.as_str(), &path)).await
    }

    /// A question of a run once it has its answer; without one only where the run has ended.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn answered(
        &self,
        id: &CoordinationId,
        question: &str,
    ) -> Result<QuestionLine, ClientError> {
        let path = format!("/approvals/{}?wait=true", segment(question));
        loop {
            // Each answer comes after some time, whether the question has its own or not.
            let line: QuestionLine = self.link.get(&run_path(id.as_str(), &path)).await?;
            if line.answer.is_some() || line.ended {
                return Ok(line);
            }
        }
    }
}

fn paged(cursor: Option<&str>, limit: usize) -> String {
    match cursor {
        None => format!("limit={limit}"),
        Some(cursor) => format!("limit={limit}&cursor={}", segment(cursor)),
    }
}
