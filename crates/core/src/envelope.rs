//! An event as the ledger keeps it, and the two chains over events: one a stream, one over all
//! appends.
//!
//! docs/ledger-format.md describes the bytes for other readers.

use std::borrow::Cow;

use crate::digest::{Canonical, Digest};
use crate::id::{Actor, CommandId, CommitNumber, Epoch, StreamName, Version};
use crate::time::{LedgerTime, WallTime};

/// Largest payload of one event, in bytes.
pub const MAX_PAYLOAD_BYTES: usize = 64 * 1024;

/// Most bytes of payload in one append.
pub const MAX_APPEND_BYTES: usize = 16 * 1024 * 1024;

/// Most bytes of payload that one command adds. An engine takes no further command into a turn once
/// that holds a quarter of an append, and what continues by itself adds nothing beyond half: so
/// whatever comes last, a quarter is left.
pub const MAX_COMMAND_BYTES: usize = MAX_APPEND_BYTES / 2;

/// Largest blob that is stored in the append that names it, in bytes; larger ones are files.
pub const MAX_INLINE_BLOB_BYTES: usize = 64 * 1024;

/// What an event says: the JSON bytes as they were written, or, once erased, only their digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// The bytes that were hashed.
    Bytes(Vec<u8>),
    /// The bytes were erased; this is their SHA-256.
    Erased(Digest),
}

impl Payload {
    /// The digest that the stream chain covers.
    #[must_use]
    pub fn digest(&self) -> Digest {
        match self {
            Self::Bytes(bytes) => Digest::of(bytes),
            Self::Erased(digest) => *digest,
        }
    }

    /// The bytes, if they are still there.
    #[must_use]
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::Erased(_) => None,
        }
    }
}

/// One event with its envelope: the unit of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct Recorded {
    /// The stream it belongs to.
    pub stream: StreamName,
    /// Its position there, from 1.
    pub version: Version,
    /// Its type, such as `coordination.started`.
    pub kind: Cow<'static, str>,
    /// Which shape of that type the payload has, from 1.
    pub schema: u32,
    pub at: LedgerTime,
    /// Wall-clock time, as data.
    pub wall: WallTime,
    pub actor: Actor,
    /// The id of the command that caused it, if it had one.
    pub cause: Option<CommandId>,
    pub payload: Payload,
    /// Hash of the event before it in its stream; [`Digest::GENESIS`] for the first.
    pub prev: Digest,
    /// Hash of this event.
    pub hash: Digest,
}

impl Recorded {
    /// The hash that the envelope, the payload and the link to the event before give.
    #[must_use]
    pub fn computed_hash(&self) -> Digest {
        let mut bytes = Canonical::new("antiphon.event.1");
        match &self.stream {
            StreamName::Ledger => bytes.text("ledger"),
            other => bytes.text(&other.to_string()),
        }
        .u64(self.version.0)
        .text(&self.kind)
        .u32(self.schema)
        .u64(self.at.0)
        .u64(self.wall.0)
        .text(self.actor.as_str())
        .optional(self.cause.as_ref(), |bytes, cause| {
            bytes.text(cause.as_str());
        })
        .digest(&self.payload.digest())
        .digest(&self.prev);
        bytes.hash()
    }

    /// Whether the stored hash is the computed one.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.hash == self.computed_hash()
    }
}

/// What an event's envelope tells the state.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct Meta {
    /// Its position in the stream.
    pub version: Version,
    pub at: LedgerTime,
    pub wall: WallTime,
    /// The command that caused it, if it had an id.
    pub cause: Option<CommandId>,
}

impl Meta {
    /// What the envelope of a recorded event tells.
    #[must_use]
    pub fn of(recorded: &Recorded) -> Self {
        Self {
            version: recorded.version,
            at: recorded.at,
            wall: recorded.wall,
            cause: recorded.cause.clone(),
        }
    }
}

/// The end of a stream's chain: what the next event must continue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StreamTip {
    /// Version of the last event, 0 if there is none.
    pub version: Version,
    /// Hash of the last event, [`Digest::GENESIS`] if there is none.
    pub hash: Digest,
}

/// One append as a link of the commit chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commit {
    /// Its number, from 1 without gaps.
    pub number: CommitNumber,
    /// The ownership it was made under.
    pub epoch: Epoch,
    /// How many events it holds, in ledger order.
    pub events: u32,
    /// Hash of the commit before; [`Digest::GENESIS`] for the first.
    pub prev: Digest,
    /// Hash of this commit.
    pub hash: Digest,
}

/// The end of the commit chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommitTip {
    /// Number of the last commit, 0 if there is none.
    pub number: CommitNumber,
    /// Hash of the last commit, [`Digest::GENESIS`] if there is none.
    pub hash: Digest,
}

impl Commit {
    /// Links the events of one append to the commits before it.
    ///
    /// # Panics
    /// If there are 2^32 events or more, which the byte limit of an append excludes.
    #[must_use]
    pub fn link(
        tip: CommitTip,
        epoch: Epoch,
        event_hashes: impl ExactSizeIterator<Item = Digest>,
    ) -> Self {
        let number = tip.number.next();
        let events = u32::try_from(event_hashes.len()).expect("BUG: an append is bounded in bytes");
        let mut bytes = Canonical::new("antiphon.commit.1");
        bytes.u64(number.0).digest(&tip.hash).u32(events);
        for hash in event_hashes {
            bytes.digest(&hash);
        }
        Self { number, epoch, events, prev: tip.hash, hash: bytes.hash() }
    }

    /// The tip that this commit makes.
    #[must_use]
    pub fn tip(&self) -> CommitTip {
        CommitTip { number: self.number, hash: self.hash }
    }
}

/// A blob, named by the SHA-256 of its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct Blob {
    pub digest: Digest,
    pub bytes: Vec<u8>,
}

impl Blob {
    /// Names some bytes.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self { digest: Digest::of(&bytes), bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Recorded {
        let mut event = Recorded {
            stream: StreamName::Ledger,
            version: Version(1),
            kind: "ledger.opened".into(),
            schema: 1,
            at: LedgerTime(1),
            wall: WallTime(2),
            actor: Actor::new("engine").unwrap(),
            cause: None,
            payload: Payload::Bytes(b"{}".to_vec()),
            prev: Digest::GENESIS,
            hash: Digest::GENESIS,
        };
        event.hash = event.computed_hash();
        event
    }

    #[test]
    fn every_part_of_the_envelope_is_under_the_hash() {
        let sound = event();
        let changes: [fn(&mut Recorded); 10] = [
            |e| e.stream = StreamName::Pool("ledger".into()),
            |e| e.version = Version(2),
            |e| e.kind = "ledger.closed".into(),
            |e| e.schema = 2,
            |e| e.at = LedgerTime(2),
            |e| e.wall = WallTime(1),
            |e| e.actor = Actor::new("operator").unwrap(),
            |e| e.cause = Some(CommandId::new("x").unwrap()),
            |e| e.payload = Payload::Bytes(b"{} ".to_vec()),
            |e| e.prev = Digest::of(b"other"),
        ];
        assert!(sound.is_sound());
        for change in changes {
            let mut changed = sound.clone();
            change(&mut changed);
            assert!(!changed.is_sound(), "{changed:?}");
        }
    }

    #[test]
    fn erasing_a_payload_keeps_the_event_sound() {
        let mut erased = event();
        erased.payload = Payload::Erased(erased.payload.digest());
        assert!(erased.is_sound());
    }

    #[test]
    fn a_commit_covers_number_order_and_all_before_it() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let first = Commit::link(CommitTip::default(), Epoch(1), [a, b].into_iter());
        assert_eq!((first.number, first.events, first.prev), (CommitNumber(1), 2, Digest::GENESIS));
        assert_ne!(
            first.hash,
            Commit::link(CommitTip::default(), Epoch(1), [b, a].into_iter()).hash
        );
        assert_ne!(first.hash, Commit::link(CommitTip::default(), Epoch(1), [a].into_iter()).hash);
        let second = Commit::link(first.tip(), Epoch(1), [a, b].into_iter());
        assert_eq!(second.prev, first.hash);
        assert_ne!(second.hash, first.hash);
    }
}
