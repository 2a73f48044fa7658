//! Whether an append continues the ledger: the rules that every store holds, in one place.

use std::collections::HashMap;

use antiphon_core::append::{Append, Erasure, HeadRow};
use antiphon_core::envelope::{
    Commit, CommitTip, MAX_APPEND_BYTES, MAX_PAYLOAD_BYTES, Payload, StreamTip,
};
use antiphon_core::id::{Epoch, StreamName, Version};

use super::error::Refusal;
use super::store::{Cursor, MAX_CURSOR_NAME_BYTES};

/// Largest number that both SQLite and PostgreSQL keep as an integer.
const MAX_INTEGER: u64 = i64::MAX as u64;

/// What a store knows of a stream before an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    /// The store's key for it.
    pub(super) key: i64,
    pub(super) tip: StreamTip,
    /// Whether it has ended.
    pub(super) ended: bool,
}

impl Known {
    pub(super) fn new(key: i64, tip: StreamTip, ended: bool) -> Self {
        Self { key, tip, ended }
    }

    /// What is known of the same stream once the append that touches it is written.
    pub(super) fn after(self, touched: &Touched<'_>) -> Self {
        Self::new(self.key, touched.tip, touched.head.ended)
    }
}

/// A stream that an append touches.
#[derive(Debug)]
pub(super) struct Touched<'a> {
    /// What was known of it, `None` if the append creates it.
    pub(super) known: Option<Known>,
    /// Its end after the append.
    pub(super) tip: StreamTip,
    /// Its new head row.
    pub(super) head: &'a HeadRow,
}

/// An append that may be written.
#[derive(Debug)]
pub(super) struct Admitted<'a> {
    /// The streams, in the order of their head rows.
    pub(super) streams: Vec<Touched<'a>>,
    /// For every event, the index of its stream.
    pub(super) of_event: Vec<u32>,
}

/// What does not need the ledger: sizes and ranges.
pub(super) fn check_bounds(append: &Append) -> Result<(), Refusal> {
    if append.events.is_empty() {
        return Err(Refusal::Empty);
    }
    let mut total = 0;
    for event in &append.events {
        let (stream, version) = (&event.stream, event.version);
        let Payload::Bytes(bytes) = &event.payload else {
            return Err(Refusal::NoPayload { stream: stream.clone(), version });
        };
        at_most(bytes.len() as u64, MAX_PAYLOAD_BYTES as u64, || {
            format!("payload of event {version} of `{stream}` in bytes")
        })?;
        let time = event.at.0.max(event.wall.0);
        at_most(time, MAX_INTEGER, || {
            format!("time of event {version} of `{stream}` in nanoseconds")
        })?;
        total += bytes.len();
    }
    for head in &append.heads {
        let time = head.started.0.max(head.changed.0.0).max(head.changed.1.0);
        at_most(time, MAX_INTEGER, || {
            format!("time of the head row of `{}` in nanoseconds", head.stream)
        })?;
    }
    at_most(total as u64, MAX_APPEND_BYTES as u64, || "append in bytes of payload".to_owned())
}

/// What does not need the ledger: names and ranges of cursors.
pub(super) fn check_cursors(cursors: &[Cursor]) -> Result<(), Refusal> {
    for cursor in cursors {
        at_most(cursor.name.len() as u64, MAX_CURSOR_NAME_BYTES as u64, || {
            "name of a cursor in bytes".to_owned()
        })?;
        at_most(cursor.version.0, MAX_INTEGER, || {
            format!("version of the cursor {:?}", cursor.name)
        })?;
    }
    Ok(())
}

fn at_most(actual: u64, max: u64, what: impl FnOnce() -> String) -> Result<(), Refusal> {
    if actual > max { Err(Refusal::TooLarge { what: what(), actual, max }) } else { Ok(()) }
}

/// Checks an append against the end of the ledger; `find` tells what is known of a stream.
pub(super) fn admit<'a, E: From<Refusal>>(
    append: &'a Append,
    epoch: Epoch,
    tip: CommitTip,
    mut find: impl FnMut(&StreamName) -> Result<Option<Known>, E>,
) -> Result<Admitted<'a>, E> {
    let commit = &append.commit;
    if commit.epoch != epoch {
        return Err(Refusal::Superseded { ours: commit.epoch, theirs: epoch }.into());
    }
    if *commit != Commit::link(tip, epoch, append.events.iter().map(|event| event.hash)) {
        return Err(Refusal::CommitConflict { tip, found: commit.tip() }.into());
    }

    let mut streams = Vec::with_capacity(append.heads.len());
    let mut index = HashMap::with_capacity(append.heads.len());
    for head in &append.heads {
        let known = find(&head.stream)?;
        let at = u32::try_from(streams.len()).expect("BUG: an append is bounded in bytes");
        if index.insert(&head.stream, at).is_some() {
            return Err(Refusal::HeadConflict { stream: head.stream.clone() }.into());
        }
        streams.push(Touched {
            known,
            tip: known.map(|known| known.tip).unwrap_or_default(),
            head,
        });
    }

    let mut of_event = Vec::with_capacity(append.events.len());
    let mut before: Option<(&StreamName, u32)> = None;
    for event in &append.events {
        let at = match before {
            Some((stream, at)) if *stream == event.stream => at,
            _ => *index
                .get(&event.stream)
                .ok_or_else(|| Refusal::HeadConflict { stream: event.stream.clone() })?,
        };
        before = Some((&event.stream, at));
        let stream = &mut streams[at as usize];
        if stream.known.is_some_and(|known| known.ended) {
            return Err(Refusal::StreamEnded { stream: event.stream.clone() }.into());
        }
        if event.version != stream.tip.version.next() || event.prev != stream.tip.hash {
            let (stream, tip) = (event.stream.clone(), stream.tip.version);
            return Err(Refusal::StreamConflict { stream, tip, found: event.version }.into());
        }
        stream.tip = StreamTip { version: event.version, hash: event.hash };
        of_event.push(at);
    }
    for stream in &streams {
        let reopened = stream.known.is_some_and(|known| known.ended) && !stream.head.ended;
        if stream.head.tip != stream.tip || stream.tip == StreamTip::default() || reopened {
            return Err(Refusal::HeadConflict { stream: stream.head.stream.clone() }.into());
        }
    }
    Ok(Admitted { streams, of_event })
}

/// Checks an erasure of payloads against the stream it is to happen in, as it is after the append.
///
/// The decider asks much the same of the head row, so that a user is refused before anything is
/// recorded. The store asks again because it is the last that can keep evidence from being
/// destroyed, whoever makes the append, and because it judges the stream as the append leaves it.
pub(super) fn admit_erasure(
    stream: &StreamName,
    versions: &[Version],
    known: Option<Known>,
) -> Result<(), Refusal> {
    let refuse = |version, why| Err(Refusal::NotErasable { stream: stream.clone(), version, why });
    for &version in versions {
        match known {
            _ if !matches!(stream, StreamName::Coordination(_)) => {
                return refuse(version, "only runs can be erased");
            }
            Some(known) if !known.ended => {
                return refuse(version, "the run has not ended");
            }
            Some(known) if version == known.tip.version => {
                return refuse(version, "it is the terminal event");
            }
            Some(known) if version < known.tip.version && version > Version(0) => {}
            _ => return refuse(version, "there is no such event"),
        }
    }
    Ok(())
}

/// The payload erasures of an append.
pub(super) fn payload_erasures(append: &Append) -> impl Iterator<Item = (&StreamName, &[Version])> {
    append.erasures.iter().filter_map(|erasure| match erasure {
        Erasure::Payloads { stream, versions } => Some((stream, versions.as_slice())),
        Erasure::Blob(_) => None,
    })
}

/// The blob erasures of an append.
pub(super) fn blob_erasures(
    append: &Append,
) -> impl Iterator<Item = &antiphon_core::digest::Digest> {
    append.erasures.iter().filter_map(|erasure| match erasure {
        Erasure::Payloads { .. } => None,
        Erasure::Blob(digest) => Some(digest),
    })
}
