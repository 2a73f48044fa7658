//! Keys of a run: changed, read, looked back at, or followed until the run ends.

use std::collections::BTreeMap;
use std::sync::Arc;

use antiphon::Unavailable;
use antiphon::id::Version;
use antiphon::keys::{Expected, JsonText, KeyChanges, KeyName, KeyWrite};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::accepted::{accepted, by_session};
use super::events::wants_stream;
use super::listening::{Followed, FollowedLine, Listening, all_seen, beginning};
use crate::answer::{Answer, ask, json};
use crate::api::{Code, FollowAfter, KeyChangeLine, KeyHistory, KeyLine, KeyList, Problem};
use crate::request::{
    Fields, IdempotencyKey, JsonBody, Parameters, Reader, WithKeys, limited, pointer,
};
use crate::state::Shared;

/// Keys or changes in an answer, unless the query says otherwise.
const DEFAULT_LIMIT: usize = 100;

/// Most keys or changes in an answer.
const MAX_LIMIT: usize = 1_000;

pub(super) async fn change(
    State(shared): State<Arc<Shared>>,
    caller: Reader,
    WithKeys(target): WithKeys,
    IdempotencyKey(key): IdempotencyKey,
    JsonBody(mut body): JsonBody,
) -> Answer {
    let writes = read(&mut body);
    body.finish()?;
    let command = shared.run(target.id())?.command(key);
    let answer = match caller {
        Reader::Operator => ask(&shared, command.set_keys(writes)).await,
        Reader::Session(session) => {
            by_session(&session, ask(&shared, command.set_keys_from(&session, writes)).await)
        }
    };
    accepted(&shared, target.id(), answer).await
}

/// The changes in a body, as far as nothing is wrong with it.
fn read(body: &mut Fields) -> Vec<KeyWrite> {
    let set: BTreeMap<String, Box<RawValue>> = by_key(body, "set", "values by key");
    let delete = body.list("delete");
    let mut expected: BTreeMap<String, Option<u64>> =
        by_key(body, "expected", "versions by key, or null for a key that is not there");
    let mut writes = Vec::new();
    for (key, value) in set {
        let at = pointer("set", &key);
        let write = name(body, &at, &key).and_then(|name| {
            let value = JsonText::new(value.get()).map_err(|error| error.to_string());
            let write = value
                .and_then(|value| KeyWrite::set(name, value).map_err(|error| error.to_string()));
            write.map_err(|detail| body.fault(at, detail)).ok()
        });
        writes.extend(write.map(|write| expecting(write, expected.remove(&key))));
    }
    for (at, key) in delete.iter().enumerate() {
        let write = name(body, &format!("/delete/{at}"), key).map(KeyWrite::delete);
        writes.extend(write.map(|write| expecting(write, expected.remove(key))));
    }
    for key in expected.keys() {
        body.fault(pointer("expected", key), "this key is not changed");
    }
    writes
}

fn expecting(write: KeyWrite, expected: Option<Option<u64>>) -> KeyWrite {
    match expected {
        None => write,
        Some(None) => write.expecting(Expected::Nothing),
        Some(Some(version)) => write.expecting(Expected::At(Version(version))),
    }
}

fn name(body: &mut Fields, pointer: &str, key: &str) -> Option<KeyName> {
    let name = KeyName::new(key).map_err(|error| error.to_string());
    name.map_err(|detail| body.fault(pointer.to_owned(), detail)).ok()
}

/// An optional object whose members are named by keys.
fn by_key<T: serde::de::DeserializeOwned>(
    body: &mut Fields,
    field: &str,
    what: &str,
) -> BTreeMap<String, T> {
    let Some(raw) = body.raw(field) else { return BTreeMap::new() };
    serde_json::from_str(raw.get()).unwrap_or_else(|_| {
        body.fault(format!("/{field}"), format!("`{field}` must be an object: {what}"));
        BTreeMap::new()
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    #[serde(default)]
    prefix: String,
    after: Option<String>,
    limit: Option<usize>,
}

pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    _: Reader,
    WithKeys(target): WithKeys,
    Parameters(query): Parameters<ListQuery>,
) -> Answer {
    let ListQuery { prefix, after, limit } = query;
    let limit = limited(limit, DEFAULT_LIMIT, MAX_LIMIT)?;
    let run = shared.run(target.id())?;
    let found = ask(&shared, run.keys(prefix, after.as_deref(), limit)).await?;
    let (run, keys) = (target.id().to_string(), found.iter().map(KeyLine::from).collect());
    json(StatusCode::OK, &KeyList { run, keys, more: found.len() == limit })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HistoryQuery {
    #[serde(default)]
    prefix: String,
    limit: Option<usize>,
    after: Option<String>,
}

pub(super) async fn history(
    State(shared): State<Arc<Shared>>,
    _: Reader,
    WithKeys(target): WithKeys,
    headers: HeaderMap,
    Parameters(query): Parameters<HistoryQuery>,
) -> Answer {
    let HistoryQuery { prefix, limit, after } = query;
    let invalid = |detail: String| Problem::new(Code::InvalidRequest, detail);
    let id = target.id();
    if wants_stream(&headers) {
        if limit.is_some() {
            return Err(invalid("a stream of changes takes no `limit`".to_owned()));
        }
        let after = after.map(|after| FollowAfter::read(&after)).transpose().map_err(invalid)?;
        let Some(after) = beginning(&shared, id, &headers, after).await? else {
            return Ok(all_seen());
        };
        let changes = ask(&shared, shared.run(id)?.watch_keys(prefix, after)).await?;
        return Ok(Listening::answer(&shared, id, changes));
    }
    if after.is_some() {
        return Err(invalid(
            "only a stream of events begins somewhere; ask with `Accept: text/event-stream`"
                .to_owned(),
        ));
    }
    let limit = limited(limit, DEFAULT_LIMIT, MAX_LIMIT)?;
    let found = ask(&shared, shared.run(id)?.key_history(prefix, limit)).await?;
    let (run, changes) = (id.to_string(), found.iter().map(KeyChangeLine::from).collect());
    json(StatusCode::OK, &KeyHistory { run, changes })
}

impl Followed for KeyChanges {
    async fn next(&mut self) -> Result<Option<FollowedLine>, Unavailable> {
        let change = Self::next(self).await?;
        Ok(change.map(|change| {
            FollowedLine::new("key", change.version.0, &KeyChangeLine::from(&change))
        }))
    }

    fn position(&self) -> Version {
        Self::position(self)
    }
}
