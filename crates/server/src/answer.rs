//! Answers as JSON, and what the engine says within the time that a client is given.

use antiphon::{AskError, QueryError, Rejection, SubmitError, Unavailable};
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::time::timeout;

use crate::api::{Code, Problem};
use crate::state::Shared;

/// What a handler gives back.
pub(crate) type Answer = Result<Response, Problem>;

/// A value as the answer: one JSON object on a line.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    let mut bytes = serde_json::to_vec(value).map_err(|error| {
        Problem::new(Code::Internal, format!("the answer cannot be written as JSON: {error}"))
    })?;
    bytes.push(b'\n');
    Ok(bytes_of(status, bytes))
}

/// Bytes that are JSON already.
pub(crate) fn bytes_of(status: StatusCode, bytes: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Asks the engine's decider, unless its mailbox is full, and not for ever.
pub(crate) async fn ask<T, E: Into<Unanswered>>(
    shared: &Shared,
    question: impl Future<Output = Result<T, E>>,
) -> Result<T, Unanswered> {
    if !shared.engine().has_room() {
        return Err(Unanswered::Problem(Problem::new(
            Code::Busy,
            "the engine's mailbox is full, so it did not get the request; repeat it in a moment",
        )));
    }
    match timeout(shared.limits().answer_time, question).await {
        Ok(answer) => answer.map_err(Into::into),
        Err(_) => Err(Unanswered::Problem(Problem::new(
            Code::NoAnswer,
            "the engine did not answer in time, and whether a command was carried out is unknown; \
             repeat it with the same Idempotency-Key",
        ))),
    }
}

/// Why a question has no answer.
#[derive(Debug)]
pub(crate) enum Unanswered {
    /// A live run does not do it, or there is no live run.
    Rejected(Rejection),
    /// Anything else, and whatever the engine was not asked.
    Problem(Problem),
}

impl From<AskError> for Unanswered {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Rejected(rejection) => Self::Rejected(rejection),
            AskError::Unavailable(unavailable) => Self::Problem(unavailable.into()),
            AskError::Mismatch(mismatch) => {
                let detail = mismatch.to_string();
                Self::Problem(Problem::new(Code::SchemaMismatch, detail))
            }
            AskError::Schemas { .. } => {
                Self::Problem(Problem::new(Code::Damaged, error.to_string()))
            }
            error => Self::Problem(Problem::new(Code::Internal, error.to_string())),
        }
    }
}

macro_rules! problems {
    ($($error:ty),*) => {$(
        impl From<$error> for Unanswered {
            fn from(error: $error) -> Self {
                Self::Problem(error.into())
            }
        }
    )*};
}
problems!(QueryError, Unavailable);

impl From<SubmitError> for Unanswered {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Rejected(rejection) => Self::Rejected(rejection),
            error => Self::Problem(error.into()),
        }
    }
}

impl From<Unanswered> for Problem {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::Rejected(rejection) => rejection.into(),
            Unanswered::Problem(problem) => problem,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = Response::new(Body::from(self.to_bytes()));
        *response.status_mut() = status;
        let code = self.known_code();
        // For the log.
        if let Some(code) = code {
            response.extensions_mut().insert(code);
        }
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = code.and_then(Code::retry_after) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
