//! Events of a run as they are recorded, one or a page of them.

use std::fmt;
use std::str::FromStr;

use antiphon::envelope::{Payload, Recorded};
use antiphon::event::Event;
use antiphon::id::Version;
use antiphon::time::{LedgerTime, WallTime};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::utc::utc;

/// An event, as `antiphon log --json` prints it.
#[derive(Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct EventLine {
    /// The stream that it is in.
    pub stream: String,
    /// Its position there, from 1.
    pub version: u64,
    /// What happened, such as `coordination.session_bound`.
    pub r#type: String,
    /// The version of its payload's form.
    pub schema: u32,
    /// Ledger time in nanoseconds.
    pub at: u64,
    /// Wall-clock time in nanoseconds since 1970.
    pub wall: u64,
    /// The same in UTC.
    pub time: String,
    pub actor: String,
    /// The id of the command that caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// Its payload as it is stored; absent if it was erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Box<RawValue>>,
    /// The payload's digest, if it was erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased: Option<String>,
    /// Hash of the event before it.
    pub prev: String,
    pub hash: String,
}

/// What is wrong with a line that says it is an event.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotAnEvent(String);

impl From<&Recorded> for EventLine {
    fn from(event: &Recorded) -> Self {
        let (payload, erased) = match &event.payload {
            Payload::Bytes(bytes) => (Some(stored(bytes)), None),
            Payload::Erased(digest) => (None, Some(digest.to_string())),
        };
        Self {
            stream: event.stream.to_string(),
            version: event.version.0,
            r#type: event.kind.to_string(),
            schema: event.schema,
            at: event.at.0,
            wall: event.wall.0,
            time: utc(event.wall),
            actor: event.actor.as_str().to_owned(),
            cause: event.cause.as_ref().map(|cause| cause.as_str().to_owned()),
            payload,
            erased,
            prev: event.prev.to_string(),
            hash: event.hash.to_string(),
        }
    }
}

impl EventLine {
    /// The event as it is recorded.
    ///
    /// # Errors
    /// [`NotAnEvent`] says which part cannot be read.
    pub fn recorded(&self) -> Result<Recorded, NotAnEvent> {
        let payload = match (&self.payload, &self.erased) {
            (Some(payload), _) => Payload::Bytes(payload.get().as_bytes().to_vec()),
            (None, Some(digest)) => Payload::Erased(part("digest of an event", digest)?),
            (None, None) => {
                return Err(NotAnEvent("an event has neither a payload nor its digest".to_owned()));
            }
        };
        Ok(Recorded {
            stream: part("stream of an event", &self.stream)?,
            version: Version(self.version),
            kind: self.r#type.clone().into(),
            schema: self.schema,
            at: LedgerTime(self.at),
            wall: WallTime(self.wall),
            actor: part("actor of an event", &self.actor)?,
            cause: self
                .cause
                .as_deref()
                .map(|cause| part("cause of an event", cause))
                .transpose()?,
            payload,
            prev: part("link of an event", &self.prev)?,
            hash: part("hash of an event", &self.hash)?,
        })
    }

    /// Whether nothing follows it.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        Event::is_terminal_kind(&self.r#type)
    }
}

/// Reads a part of what is recorded.
pub(super) fn part<T: FromStr<Err: fmt::Display>>(what: &str, text: &str) -> Result<T, NotAnEvent> {
    text.parse().map_err(|error| NotAnEvent(format!("the {what}, {text:?}: {error}")))
}

/// Bytes that are no JSON are damage, and shown as text; a line break in them would end the line.
pub(super) fn stored(bytes: &[u8]) -> Box<RawValue> {
    match serde_json::from_slice::<Box<RawValue>>(bytes) {
        Ok(json) if !bytes.contains(&b'\n') => json,
        _ => RawValue::from_string(Value::from(String::from_utf8_lossy(bytes)).to_string())
            .expect("BUG: a JSON text is JSON"),
    }
}

/// Some events of a run, in order.
#[derive(Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct EventPage {
    pub events: Vec<EventLine>,
    /// What to ask for next: the version of the last event here, or the one that was asked after.
    pub after: u64,
    /// Whether there are more now.
    pub more: bool,
    /// Whether the run has ended, so that no more events follow.
    pub ended: bool,
}
