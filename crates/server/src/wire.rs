//! What goes over the socket, for both ends of it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use antiphon::append::HeadRow;
use antiphon::envelope::{Payload, Recorded};
use antiphon::id::Version;
use antiphon::time::{LedgerTime, WallTime};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::client::ClientError;

/// Before the id of a coordination in the name of its stream.
pub(crate) const COORDINATIONS: &str = "coordination/";

/// That the engine takes commands in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// `ok`; when anything else is the case, the answer is a problem.
    pub status: String,
    /// The engine's version.
    pub engine: String,
    /// Its process.
    pub pid: u32,
}

/// A run at a glance, as `antiphon list --json` prints it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunLine {
    /// Its id.
    pub id: String,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// A word for its state.
    pub status: String,
    /// Whether it has ended.
    pub ended: bool,
    /// The version of its last event.
    pub version: u64,
    /// The hash of its last event.
    pub hash: String,
    /// When it began, in UTC.
    pub started: String,
    /// When it last changed, in UTC.
    pub changed: String,
    /// What the core says of it: totals, usage, receipt and so on.
    pub summary: Value,
}

impl RunLine {
    pub(crate) fn of(head: &HeadRow) -> Self {
        let summary: Value = serde_json::from_str(&head.summary).unwrap_or_default();
        let stream = head.stream.to_string();
        Self {
            id: stream.strip_prefix(COORDINATIONS).unwrap_or(&stream).to_owned(),
            name: summary["name"].as_str().map(ToOwned::to_owned),
            status: head.status.clone(),
            ended: head.ended,
            version: head.tip.version.0,
            hash: head.tip.hash.to_string(),
            started: exact(head.started),
            changed: exact(head.changed.1),
            summary,
        }
    }
}

/// Some runs, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListPage {
    /// The runs.
    pub runs: Vec<RunLine>,
    /// The cursor of the next page, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Which runs are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    /// Only those in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Only those that have not ended.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub running: bool,
    /// Only those that have ended.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ended: bool,
    /// At most so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// From where the page before ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// An event, as `antiphon log --json` prints it.
#[derive(Debug, Serialize, Deserialize)]
pub struct EventLine {
    /// Its stream.
    pub stream: String,
    /// Its position there, from 1.
    pub version: u64,
    /// Its type.
    pub r#type: String,
    /// The shape of its payload.
    pub schema: u32,
    /// Ledger time in nanoseconds.
    pub at: u64,
    /// Wall-clock time in nanoseconds since 1970.
    pub wall: u64,
    /// The same in UTC.
    pub time: String,
    /// Who caused it.
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
    /// Its hash.
    pub hash: String,
}

impl EventLine {
    pub(crate) fn of(event: &Recorded) -> Self {
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
            time: exact(event.wall),
            actor: event.actor.as_str().to_owned(),
            cause: event.cause.as_ref().map(|cause| cause.as_str().to_owned()),
            payload,
            erased,
            prev: event.prev.to_string(),
            hash: event.hash.to_string(),
        }
    }

    /// The event as it is recorded.
    ///
    /// # Errors
    /// [`ClientError::NotUnderstood`] if it is none.
    pub fn recorded(&self) -> Result<Recorded, ClientError> {
        fn part<T: FromStr<Err: fmt::Display>>(what: &str, text: &str) -> Result<T, ClientError> {
            text.parse().map_err(|error| {
                ClientError::NotUnderstood(format!("the {what} of an event, {text:?}: {error}"))
            })
        }
        let payload = match (&self.payload, &self.erased) {
            (Some(payload), _) => Payload::Bytes(payload.get().as_bytes().to_vec()),
            (None, Some(digest)) => Payload::Erased(part("digest", digest)?),
            (None, None) => {
                return Err(ClientError::NotUnderstood(
                    "an event has neither a payload nor its digest".to_owned(),
                ));
            }
        };
        Ok(Recorded {
            stream: part("stream", &self.stream)?,
            version: Version(self.version),
            kind: self.r#type.clone().into(),
            schema: self.schema,
            at: LedgerTime(self.at),
            wall: WallTime(self.wall),
            actor: part("actor", &self.actor)?,
            cause: self.cause.as_deref().map(|cause| part("cause", cause)).transpose()?,
            payload,
            prev: part("link", &self.prev)?,
            hash: part("hash", &self.hash)?,
        })
    }

    /// Whether nothing follows it.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        is_terminal(&self.r#type)
    }
}

pub(crate) fn is_terminal(kind: &str) -> bool {
    matches!(kind, "coordination.completed" | "coordination.aborted")
}

/// Bytes that are no JSON are damage, and shown as text; a line break in them would end the line.
fn stored(bytes: &[u8]) -> Box<RawValue> {
    match serde_json::from_slice::<Box<RawValue>>(bytes) {
        Ok(json) if !bytes.contains(&b'\n') => json,
        _ => RawValue::from_string(Value::from(String::from_utf8_lossy(bytes)).to_string())
            .expect("BUG: a JSON text is JSON"),
    }
}

/// Some events of a run, in order.
#[derive(Debug, Serialize, Deserialize)]
pub struct EventPage {
    /// The events.
    pub events: Vec<EventLine>,
    /// What to ask for next: the version of the last event here, or the one that was asked after.
    pub after: u64,
    /// Whether there are more now.
    pub more: bool,
    /// Whether the run has ended, so that nothing comes after what is there.
    pub ended: bool,
}

/// A plan to be run. `Debug` shows no secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubmitRequest {
    /// The plan's text.
    pub plan: String,
    /// What to call it in messages.
    pub name: String,
    /// The directory that sessions run in, absolute.
    pub directory: String,
    /// Variables of the environment that the plan may use.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// Values of the secrets that the plan names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, String>,
    /// The id that the run shall have; a new one if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

impl fmt::Debug for SubmitRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubmitRequest")
            .field("name", &self.name)
            .field("directory", &self.directory)
            .field("secrets", &self.secrets.keys().collect::<Vec<_>>())
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// What a submission came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submitted {
    /// The run.
    pub id: String,
    /// Whether it was there before, started with the same.
    pub existing: bool,
}

/// Why an item does not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reasons {
    /// The run.
    pub run: String,
    /// The item.
    pub work: String,
    /// Everything that keeps it from running; empty if it would start at the next turn.
    pub reasons: Vec<Why>,
}

/// One thing that keeps an item from running.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    /// A word for it.
    pub reason: String,
    /// A sentence for it.
    pub text: String,
    /// What it is about: items, groups, sessions, meters.
    #[serde(flatten)]
    pub about: BTreeMap<String, Value>,
}

/// What to do with a run in progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Steer {
    /// End it: running sessions are asked to stop.
    Cancel,
    /// Let running sessions end, and start nothing new.
    Drain,
    /// Take no more work, and end when what is there is done.
    Close,
    /// Start nothing new until continued.
    Pause,
}

impl Steer {
    /// The word in the path.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Drain => "drain",
            Self::Close => "close",
            Self::Pause => "pause",
        }
    }
}

/// Higher ceilings; what is absent stays as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Raise {
    /// Sessions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sessions: Option<u32>,
    /// Duration in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// Tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Cost in millionths of the budget's currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<u64>,
}

/// A command that is on the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// The run.
    pub run: String,
    /// The version of the event that it caused.
    pub version: u64,
}

/// A wall-clock time to the nanosecond. Every 64-bit number of nanoseconds lies within the years
/// that a timestamp has.
fn exact(wall: WallTime) -> String {
    let time = Timestamp::from_nanosecond(wall.0.into()).unwrap_or(Timestamp::UNIX_EPOCH);
    time.strftime("%Y-%m-%dT%H:%M:%S%.9fZ").to_string()
}

/// A text as a segment of a path: everything but letters, digits and `-._~` is encoded.
pub(crate) fn segment(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte))
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}
