//! The events of a run: a page of them, or a stream of them until the run ends.

use std::sync::Arc;
use std::time::Duration;

use antiphon::Subscription;
use antiphon::envelope::Recorded;
use antiphon::id::Version;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::record::head;
use super::unfolded::Unfolded;
use crate::answer::{Answer, ask, json};
use crate::api::{Code, EventLine, EventPage, Problem};
use crate::request::{Addressed, Parameters, limited};
use crate::state::Shared;

/// Events on a page, unless the query says otherwise.
const DEFAULT_PAGE: usize = 100;

/// Most events on a page.
const MAX_PAGE: usize = 1_000;

/// Events read per step, so that large ones fill a page before many of them are in memory.
const READ_AT_ONCE: usize = 50;

/// Payload bytes after which a page is full.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// Highest version that can be asked after: what every reader of JSON reads without loss.
const MAX_VERSION: u64 = (1 << 53) - 1;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventsQuery {
    after: Option<u64>,
    limit: Option<usize>,
}

pub(super) async fn events(
    State(shared): State<Arc<Shared>>,
    target: Addressed,
    headers: HeaderMap,
    Parameters(query): Parameters<EventsQuery>,
) -> Answer {
    let after = query.after.unwrap_or(0);
    if wants_stream(&headers) {
        if query.limit.is_some() {
            return Err(Problem::new(Code::InvalidRequest, "a stream of events takes no `limit`"));
        }
        let after = resumed(&headers)?.unwrap_or(after);
        return stream(&shared, &target, checked(after)?).await;
    }
    let limit = limited(query.limit, DEFAULT_PAGE, MAX_PAGE)?;
    page(&shared, &target, checked(after)?, limit).await
}

/// Whether a client asks for a stream of events.
pub(super) fn wants_stream(headers: &HeaderMap) -> bool {
    let kinds = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    kinds
        .flat_map(|value| value.split(','))
        .any(|kind| kind.trim().starts_with("text/event-stream"))
}

/// A stream of events as the answer.
pub(super) fn streamed(body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn checked(after: u64) -> Result<Version, Problem> {
    let detail = || format!("after is {after}; it must be between 0 and {MAX_VERSION}");
    if after <= MAX_VERSION {
        Ok(Version(after))
    } else {
        Err(Problem::new(Code::InvalidRequest, detail()))
    }
}

/// The version that a client had seen when its stream broke.
pub(super) fn resumed(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let version = value.to_str().ok().and_then(|text| text.parse().ok());
    let invalid = || {
        Problem::new(Code::InvalidRequest, "the header Last-Event-ID is not a version of an event")
    };
    version.map(Some).ok_or_else(invalid)
}

async fn page(shared: &Shared, target: &Addressed, after: Version, limit: usize) -> Answer {
    // The head first: what is read after it is at least as new.
    let head = head(shared, target.id()).await?;
    let run = shared.run(target.id())?;
    let (mut events, mut bytes, mut last) = (Vec::new(), 0, after);
    while events.len() < limit && bytes < PAGE_BYTES {
        let recorded = run.events(last, READ_AT_ONCE.min(limit - events.len())).await?;
        let Some(newest) = recorded.last() else { break };
        last = newest.version;
        bytes += recorded
            .iter()
            .map(|event| event.payload.bytes().map_or(0, <[u8]>::len))
            .sum::<usize>();
        events.extend(recorded.iter().map(EventLine::from));
    }
    let ended = head.ended || events.last().is_some_and(EventLine::is_terminal);
    json(StatusCode::OK, &EventPage { events, after: last.0, more: last < head.tip.version, ended })
}

async fn stream(shared: &Shared, target: &Addressed, after: Version) -> Answer {
    let head = head(shared, target.id()).await?;
    if head.ended && after >= head.tip.version {
        // To a client of event streams this means: do not reconnect.
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let subscription = ask(shared, shared.run(target.id())?.follow_after(after)).await?;
    let heartbeat = shared.limits().heartbeat;
    let following =
        Following { subscription, heartbeat, stopping: shared.stopping().clone(), failed: false };
    Ok(streamed(Body::new(Unfolded::new(following, Following::frame))))
}

/// A stream of events on its way to a client. It is asked for the next one when the client has
/// taken those before, so a slow client delays nothing else.
struct Following {
    subscription: Subscription,
    heartbeat: Duration,
    stopping: CancellationToken,
    failed: bool,
}

impl Following {
    /// What to send next; nothing after the event that ends the run, or when the server is
    /// to stop.
    async fn frame(mut self) -> Option<(Bytes, Self)> {
        if self.failed {
            return None;
        }
        let frame = tokio::select! {
            biased;
            () = self.stopping.cancelled() => return None,
            event = self.subscription.next() => match event {
                Ok(event) => text(&event?),
                Err(error) => {
                    self.failed = true;
                    problem(error)
                }
            },
            () = tokio::time::sleep(self.heartbeat) => ":\n\n".to_owned(),
        };
        Some((frame.into(), self))
    }
}

fn text(event: &Recorded) -> String {
    match serde_json::to_string(&EventLine::from(event)) {
        Ok(line) => format!("id: {}\nevent: {}\ndata: {line}\n\n", event.version, event.kind),
        Err(error) => format!(": version {} cannot be written as JSON: {error}\n\n", event.version),
    }
}

/// A stream that broke says why in its last event.
pub(super) fn problem(error: impl Into<Problem>) -> String {
    let problem: Problem = error.into();
    format!("event: problem\ndata: {}\n", String::from_utf8_lossy(&problem.to_bytes()))
}
