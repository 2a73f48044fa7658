//! What sessions printed: a part of what one has, or a stream of what one item or all of them print.

use std::sync::Arc;
use std::time::Duration;

use antiphon::PrintedStream;
use antiphon::items::{PrintedQuery, PrintedTo};
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use tokio_util::sync::CancellationToken;

use super::events::{problem, streamed, wants_stream};
use super::unfolded::Unfolded;
use crate::answer::{Answer, json};
use crate::api::{Code, LogPage, LogPiece, LogQuery, Problem};
use crate::request::{Addressed, Parameters, limited};
use crate::state::Shared;

/// Bytes of each output in an answer, unless the query says otherwise.
const DEFAULT_PART: usize = 256 << 10;

/// Most bytes of each output in an answer.
const MAX_PART: usize = 4 << 20;

pub(super) async fn of_item(
    State(shared): State<Arc<Shared>>,
    target: Addressed,
    headers: HeaderMap,
    Parameters(query): Parameters<LogQuery>,
) -> Answer {
    let item = target.part("item").to_owned();
    if wants_stream(&headers) {
        return stream(&shared, &target, Some(item), &query).await;
    }
    if query.follow {
        return Err(invalid(
            "only a stream of events follows; ask with `Accept: text/event-stream`",
        ));
    }
    let wanted = wanted(&query)?;
    if query.from.is_some() && wanted.len() > 1 {
        return Err(invalid("`from` is a position in one output; give `stream`, too"));
    }
    let limit = limited(query.limit, DEFAULT_PART, MAX_PART)?;
    let printed = shared.run(target.id())?.printed(item.as_str(), session(&query)).await?;
    let names = (target.id().as_str(), item.as_str());
    let page = LogPage::of(names, &printed, &wanted, query.from.unwrap_or(0), limit);
    json(StatusCode::OK, &page)
}

/// What all items print.
pub(super) async fn of_run(
    State(shared): State<Arc<Shared>>,
    target: Addressed,
    headers: HeaderMap,
    Parameters(query): Parameters<LogQuery>,
) -> Answer {
    if !wants_stream(&headers) {
        return Err(invalid(
            "this path has a stream of events only; ask with `Accept: text/event-stream`",
        ));
    }
    if query.attempt.is_some() || query.session.is_some() {
        return Err(invalid("`attempt` and `session` are of one item; name it in the path"));
    }
    stream(&shared, &target, None, &query).await
}

async fn stream(
    shared: &Shared,
    target: &Addressed,
    item: Option<String>,
    query: &LogQuery,
) -> Answer {
    if query.from.is_some() || query.limit.is_some() {
        return Err(invalid("a stream of events takes neither `from` nor `limit`"));
    }
    let run = shared.run(target.id())?;
    let printed = run.printing(item, session(query), wanted(query)?, query.follow).await?;
    let (heartbeat, stopping) = (shared.limits().heartbeat, shared.stopping().clone());
    let sending = Sending { printed, heartbeat, stopping, ended: false };
    Ok(streamed(Body::new(Unfolded::new(sending, Sending::frame))))
}

fn invalid(detail: &str) -> Problem {
    Problem::new(Code::InvalidRequest, detail)
}

fn session(query: &LogQuery) -> PrintedQuery {
    PrintedQuery { attempt: query.attempt, session: query.session }
}

fn wanted(query: &LogQuery) -> Result<Vec<PrintedTo>, Problem> {
    Ok(match query.stream.as_deref() {
        None | Some("both") => PrintedTo::BOTH.to_vec(),
        Some("stdout") => vec![PrintedTo::Stdout],
        Some("stderr") => vec![PrintedTo::Stderr],
        Some(other) => {
            let detail = format!("stream is {other:?}; it must be stdout, stderr or both");
            return Err(Problem::new(Code::InvalidRequest, detail));
        }
    })
}

/// What was printed on its way to a client, which is asked for when the client has taken what came
/// before.
struct Sending {
    printed: PrintedStream,
    heartbeat: Duration,
    stopping: CancellationToken,
    ended: bool,
}

impl Sending {
    /// What to send next. An `end` says that nothing more comes; without it the connection broke,
    /// or the server is to stop.
    async fn frame(mut self) -> Option<(Bytes, Self)> {
        if self.ended {
            return None;
        }
        let frame = tokio::select! {
            biased;
            () = self.stopping.cancelled() => return None,
            piece = self.printed.next() => match piece {
                Ok(Some(piece)) => text(&LogPiece::from(&piece)),
                Ok(None) => {
                    self.ended = true;
                    "event: end\ndata: {}\n\n".to_owned()
                }
                Err(error) => {
                    self.ended = true;
                    problem(error)
                }
            },
            () = tokio::time::sleep(self.heartbeat) => ":\n\n".to_owned(),
        };
        Some((frame.into(), self))
    }
}

fn text(piece: &LogPiece) -> String {
    match serde_json::to_string(piece) {
        Ok(line) => format!("event: printed\ndata: {line}\n\n"),
        Err(error) => format!(": what was printed cannot be written as JSON: {error}\n\n"),
    }
}
