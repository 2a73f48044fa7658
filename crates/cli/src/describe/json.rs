//! An event as JSON: its envelope and its payload.

use antiphon::envelope::{Payload, Recorded};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::timestamps;

/// An event as `--json` prints it, the payload as it is stored.
#[derive(Debug, Serialize)]
pub(crate) struct EventJson<'a> {
    stream: String,
    version: u64,
    r#type: &'a str,
    schema: u32,
    at: u64,
    wall: u64,
    time: String,
    actor: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'a str>,
    /// Absent if it was erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Stored<'a>>,
    /// The payload's digest, if it was erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    erased: Option<String>,
    prev: String,
    hash: String,
}

/// A payload as it is stored; bytes that are no JSON are damage, and shown as text.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Stored<'a> {
    Json(&'a RawValue),
    Text(String),
}

/// The whole event, envelope included.
pub(crate) fn json(event: &Recorded) -> EventJson<'_> {
    let (payload, erased) = match &event.payload {
        Payload::Bytes(bytes) => (Some(stored(bytes)), None),
        Payload::Erased(digest) => (None, Some(digest.to_string())),
    };
    EventJson {
        stream: event.stream.to_string(),
        version: event.version.0,
        r#type: &event.kind,
        schema: event.schema,
        at: event.at.0,
        wall: event.wall.0,
        time: timestamps::exact(event.wall),
        actor: event.actor.as_str(),
        cause: event.cause.as_ref().map(|cause| cause.as_str()),
        payload,
        erased,
        prev: event.prev.to_string(),
        hash: event.hash.to_string(),
    }
}

fn stored(bytes: &[u8]) -> Stored<'_> {
    match serde_json::from_slice::<&RawValue>(bytes) {
        // A line break in it would end the line.
        Ok(json) if !bytes.contains(&b'\n') => Stored::Json(json),
        _ => Stored::Text(String::from_utf8_lossy(bytes).into_owned()),
    }
}
