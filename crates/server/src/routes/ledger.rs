//! The ledger as its store has it, page by page, for clients that do not read it from files. To a
//! session it holds nothing but the session's own run.

use std::sync::Arc;

use antiphon::append::HeadRow;
use antiphon::digest::Digest;
use antiphon::envelope::Recorded;
use antiphon::event::{AggregateEvent as _, CoordinationEvent};
use antiphon::id::{CommitNumber, CoordinationId, Seq, StreamName, Version};
use antiphon::ledger::{Events, HeadFilter, HeadQuery, ReadError, Store};
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;

use crate::answer::{Answer, json};
use crate::api::{
    Code, CommitLine, CommitPage, EventLine, EventPage, HeadLine, HeadPage, PlacedLine, PlacedPage,
    Problem,
};
use crate::request::{Operator, Parameters, Reader, limited};
use crate::state::Shared;

/// Most that is on a page, and as many as there are unless the query says otherwise.
const MAX_PAGE: usize = 1_000;

/// Events read per step, so that large ones fill a page before many of them are in memory.
const READ_AT_ONCE: usize = 50;

/// Payload bytes after which a page is full.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HeadsQuery {
    stream: Option<String>,
    #[serde(default)]
    prefix: String,
    status: Option<String>,
    ended: Option<bool>,
    older_than: Option<String>,
    limit: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PageQuery {
    stream: Option<String>,
    #[serde(default)]
    after: u64,
    limit: Option<usize>,
}

pub(super) async fn heads(
    State(shared): State<Arc<Shared>>,
    reader: Reader,
    Parameters(query): Parameters<HeadsQuery>,
) -> Answer {
    let HeadsQuery { stream, prefix, status, ended, older_than, limit } = query;
    let limit = limited(limit, MAX_PAGE, MAX_PAGE)?;
    let stream = stream.as_deref().map(named).transpose()?;
    let older_than = older_than.as_deref().map(named).transpose()?;
    let wanted = match (stream, reader.own_stream()) {
        (Some(stream), None) => HeadQuery::Stream(stream),
        // One more is read to know whether there are more.
        (None, None) => {
            HeadQuery::List(HeadFilter { prefix, status, ended, older_than, limit: limit + 1 })
        }
        (stream, Some(own)) => {
            let is_wanted = |head: &HeadRow| match &stream {
                Some(stream) => *stream == head.stream,
                None => {
                    head.stream.to_string().starts_with(&prefix)
                        && status.as_ref().is_none_or(|status| *status == head.status)
                        && ended.is_none_or(|ended| ended == head.ended)
                        && older_than.is_none()
                }
            };
            let mut heads = shared.engine().heads(HeadQuery::Stream(own)).await?;
            heads.retain(is_wanted);
            return heads_page(&heads, false);
        }
    };
    let mut heads = shared.engine().heads(wanted).await?;
    let more = heads.len() > limit;
    heads.truncate(limit);
    heads_page(&heads, more)
}

fn heads_page(heads: &[HeadRow], more: bool) -> Answer {
    json(StatusCode::OK, &HeadPage { heads: heads.iter().map(HeadLine::from).collect(), more })
}

pub(super) async fn events(
    State(shared): State<Arc<Shared>>,
    reader: Reader,
    Parameters(query): Parameters<PageQuery>,
) -> Answer {
    let PageQuery { stream, after, limit } = query;
    let limit = limited(limit, MAX_PAGE, MAX_PAGE)?;
    let stream = stream.as_deref().map(named).transpose()?;
    reader.may_read(stream.as_ref())?;
    let Some(stream) = stream else {
        let read = move |store: &dyn Store| {
            paged(limit, after, |after, limit| {
                let page = store.read_all(Seq(after), limit)?;
                let last = page.last().map(|placed| placed.seq.0);
                let bytes = page.iter().map(|placed| bytes_of(&placed.event)).sum();
                Ok((page, last, bytes))
            })
        };
        let (events, more) = shared.engine().read(read).await?;
        let events = events.iter().map(PlacedLine::from).collect();
        return json(StatusCode::OK, &PlacedPage { events, more });
    };
    let read = move |store: &dyn Store| {
        let head = store.heads(&HeadQuery::Stream(stream.clone()))?.into_iter().next();
        let (events, more) = paged(limit, after, |after, limit| {
            let page = store.read_stream(&stream, Version(after), limit)?;
            let last = page.last().map(|event| event.version.0);
            let bytes = page.iter().map(bytes_of).sum();
            Ok((page, last, bytes))
        })?;
        Ok((head.is_some_and(|head| head.ended), events, more))
    };
    let (ended, events, more) = shared.engine().read(read).await?;
    let after = events.last().map_or(after, |event| event.version.0);
    let events: Vec<EventLine> = events.iter().map(EventLine::from).collect();
    json(StatusCode::OK, &EventPage { events, after, more, ended })
}

pub(super) async fn commits(
    State(shared): State<Arc<Shared>>,
    _: Operator,
    Parameters(query): Parameters<PageQuery>,
) -> Answer {
    let PageQuery { stream, after, limit } = query;
    if stream.is_some() {
        return Err(invalid("commits are of the whole ledger; leave `stream` away".to_owned()));
    }
    let limit = limited(limit, MAX_PAGE, MAX_PAGE)?;
    let read = move |store: &dyn Store| store.commits(CommitNumber(after), limit + 1);
    let mut commits = shared.engine().read(read).await?;
    let more = commits.len() > limit;
    commits.truncate(limit);
    let commits = commits.iter().map(CommitLine::from).collect();
    json(StatusCode::OK, &CommitPage { commits, more })
}

/// The bytes of a blob; nothing if there is none, or it was erased.
pub(super) async fn blob(
    State(shared): State<Arc<Shared>>,
    reader: Reader,
    Path(digest): Path<String>,
) -> Answer {
    let digest: Digest =
        digest.parse().map_err(|error| invalid(format!("{digest:?} is no digest: {error}")))?;
    if let Reader::Session(session) = reader {
        let run = session.coordination.clone();
        if !shared.engine().read(move |store| names(store, run, digest)).await? {
            let detail =
                format!("the caller is session {session}, whose run does not name blob {digest}");
            return Err(Problem::new(Code::SessionMayNot, detail));
        }
    }
    let Some(bytes) = shared.engine().blob(digest).await? else {
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    let mut response = Response::new(Body::from(bytes));
    let kind = HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}

/// Whether an event of a run names a blob.
fn names(store: &dyn Store, run: CoordinationId, blob: Digest) -> Result<bool, ReadError> {
    for event in Events::after(store, StreamName::Coordination(run), Version(0)) {
        if CoordinationEvent::of(&event?).is_ok_and(|event| event.blobs().contains(&blob)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Reads until a page is full or there is no more; says whether there is more.
fn paged<T>(
    limit: usize,
    after: u64,
    mut read: impl FnMut(u64, usize) -> Result<(Vec<T>, Option<u64>, usize), ReadError>,
) -> Result<(Vec<T>, bool), ReadError> {
    let (mut found, mut bytes, mut after) = (Vec::new(), 0, after);
    while found.len() < limit && bytes < PAGE_BYTES {
        let (page, last, size) = read(after, READ_AT_ONCE.min(limit - found.len()))?;
        let Some(last) = last else { return Ok((found, false)) };
        (after, bytes) = (last, bytes + size);
        found.extend(page);
    }
    let (_, next, _) = read(after, 1)?;
    Ok((found, next.is_some()))
}

fn bytes_of(event: &Recorded) -> usize {
    event.payload.bytes().map_or(0, <[u8]>::len)
}

fn named(stream: &str) -> Result<StreamName, Problem> {
    stream.parse().map_err(|error| invalid(format!("{stream:?} is no stream: {error}")))
}

fn invalid(detail: String) -> Problem {
    Problem::new(Code::InvalidRequest, detail)
}
