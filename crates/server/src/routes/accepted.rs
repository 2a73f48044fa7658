//! What is answered to whoever has something recorded: that it is, or why not.

use antiphon::id::{CoordinationId, SessionId, Version};
use antiphon::world::Written;
use axum::http::StatusCode;

use super::record::explained;
use crate::answer::{Answer, Unanswered, json};
use crate::api::{Accepted, Code, Problem};
use crate::state::Shared;

pub(super) async fn accepted(
    shared: &Shared,
    id: &CoordinationId,
    answer: Result<Version, Unanswered>,
) -> Answer {
    match answer {
        Ok(version) => json(StatusCode::OK, &Accepted { run: id.to_string(), version: version.0 }),
        Err(asked) => Err(explained(shared, id, asked).await),
    }
}

/// Where a session's write is on the record; nothing of one that is over is.
pub(super) fn by_session(
    session: &SessionId,
    answer: Result<Written, Unanswered>,
) -> Result<Version, Unanswered> {
    match answer? {
        Written::Done(done) => Ok(done.version),
        Written::Refused => Err(stale(session)),
    }
}

/// What a session is told that is over.
pub(super) fn stale(session: &SessionId) -> Unanswered {
    let detail = format!("session {session} is over; it changes nothing any more");
    Unanswered::Problem(Problem::new(Code::StaleSession, detail))
}
