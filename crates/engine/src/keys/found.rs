//! Keys as those who read them get them.

use antiphon_core::coordination::{KeyChange, KeyValue};
use antiphon_core::digest::Digest;
use antiphon_core::envelope::Recorded;
use antiphon_core::event::KeySet;
use antiphon_core::id::{Actor, KeyName, Version};
use antiphon_core::json_text::JsonText;
use antiphon_core::time::{LedgerTime, WallTime};

/// A key as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct FoundKey {
    pub key: KeyName,
    /// Where in the run's stream it was set last.
    pub version: Version,
    pub value: JsonText,
}

/// What became of a key once.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct KeyRecord {
    pub key: KeyName,
    /// Where in the run's stream it is.
    pub version: Version,
    pub at: LedgerTime,
    pub wall: WallTime,
    pub by: Actor,
    /// Its value; none if the key was removed, or its value erased.
    pub value: Option<JsonText>,
    /// Whether it was removed.
    pub gone: bool,
}

/// A change, and the blob that holds its value, if that is not in the event.
pub(super) struct Change {
    pub(super) record: KeyRecord,
    pub(super) value: Option<Digest>,
}

/// What an event says of the keys that begin so.
pub(super) fn changes(recorded: &Recorded, set: KeySet, prefix: &str) -> Vec<Change> {
    let KeySet { changes, by } = set;
    let named = changes.into_iter().filter(|change| change.key.as_str().starts_with(prefix));
    named.map(|change| of(recorded, change, by.clone())).collect()
}

fn of(recorded: &Recorded, change: KeyChange, by: Actor) -> Change {
    let (here, blob) = match change.value() {
        Some(KeyValue::Here(value)) => (Some(value), None),
        Some(KeyValue::Blob(digest)) => (None, Some(digest)),
        _ => (None, None),
    };
    let gone = here.is_none() && blob.is_none();
    let (key, value) = (change.key, here);
    let (version, at, wall) = (recorded.version, recorded.at, recorded.wall);
    Change { record: KeyRecord { key, version, at, wall, by, value, gone }, value: blob }
}

/// The value in a blob, unless it was erased.
pub(crate) fn read_value(blob: Option<Vec<u8>>) -> Option<JsonText> {
    JsonText::new(String::from_utf8(blob?).ok()?).ok()
}
