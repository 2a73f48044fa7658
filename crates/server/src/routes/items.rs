//! Items of a run: a page of them, one with everything that is known of it, and the value that it
//! puts out.

use std::sync::Arc;

use antiphon::coordination::WorkStage;
use antiphon::items::{ItemRecord, ValueSource};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;

use crate::answer::{Answer, json};
use crate::api::{Code, Item, ItemLine, ItemPage, ItemQuery, Problem};
use crate::request::{Addressed, Parameters, limited};
use crate::state::Shared;

/// Items on a page, unless the query says otherwise.
const DEFAULT_PAGE: usize = 100;

/// Most items on a page.
const MAX_PAGE: usize = 1_000;

pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    target: Addressed,
    Parameters(query): Parameters<ItemQuery>,
) -> Answer {
    let invalid = |detail: String| Problem::new(Code::InvalidRequest, detail);
    let ItemQuery { state, group, limit, cursor } = query;
    let stage = match state {
        None => None,
        Some(state) => Some(stage(&state).ok_or_else(|| {
            let words: Vec<&str> = WorkStage::ALL.iter().map(|stage| stage.as_str()).collect();
            invalid(format!("state is {state:?}; it must be one of {}", words.join(", ")))
        })?),
    };
    let limit = limited(limit, DEFAULT_PAGE, MAX_PAGE)?;
    let items = shared.run(target.id())?.items().await?;
    let begin = match cursor {
        None => 0,
        Some(cursor) => items
            .iter()
            .position(|item| item.spec.id.as_str() == cursor)
            .map(|place| place + 1)
            .ok_or_else(|| {
                invalid(format!("{cursor:?} is not a cursor; give `next` of the previous page"))
            })?,
    };
    let is_wanted = |item: &&ItemRecord| {
        stage.is_none_or(|stage| item.stage == stage)
            && group.as_deref().is_none_or(|group| {
                item.spec.group.as_ref().is_some_and(|own| own.as_str() == group)
            })
    };
    // One more is looked at to know whether another page follows.
    let mut found: Vec<ItemLine> =
        items.iter().skip(begin).filter(is_wanted).take(limit + 1).map(ItemLine::from).collect();
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|item| item.item.clone());
    json(StatusCode::OK, &ItemPage { run: target.id().to_string(), items: found, next })
}

fn stage(word: &str) -> Option<WorkStage> {
    WorkStage::ALL.iter().copied().find(|stage| stage.as_str() == word)
}

pub(super) async fn item(State(shared): State<Arc<Shared>>, target: Addressed) -> Answer {
    let details = shared.run(target.id())?.item(target.part("item")).await?;
    json(StatusCode::OK, &Item::from(&details))
}

/// The value, byte for byte; a header says what it is.
pub(super) async fn output(State(shared): State<Arc<Shared>>, target: Addressed) -> Answer {
    let value = shared.run(target.id())?.value(target.part("item")).await?;
    let mut response = Response::new(Body::from(value.bytes));
    let source = match value.source {
        ValueSource::Output => HeaderValue::from_static("output"),
        ValueSource::Stdout => HeaderValue::from_static("stdout"),
    };
    let headers = response.headers_mut();
    headers.insert("antiphon-value", source);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    Ok(response)
}
