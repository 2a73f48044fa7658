//! What verification can find: where, what is wrong there, and what to do about it.

use std::fmt;

use antiphon_core::digest::Digest;
use antiphon_core::id::{CommitNumber, CoordinationId, Epoch, Seq, StreamName, Version};
use antiphon_core::time::LedgerTime;
use serde::{Serialize, Serializer};

/// Findings that a report spells out; the rest is counted. A ledger with more of them is beyond
/// reading line by line.
const MAX_FINDINGS: usize = 1_000;

/// One thing that is not as a sound ledger has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct Finding {
    #[serde(flatten)]
    pub place: Place,
    #[serde(flatten)]
    pub wrong: Wrong,
}

/// Where something is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "place", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names of its variants say it")]
pub enum Place {
    Event {
        #[serde(serialize_with = "as_text")]
        stream: StreamName,
        version: Version,
    },
    /// An event that cannot be read so far as to tell its stream.
    Address {
        seq: Seq,
    },
    /// The head row of a stream, or the stream as a whole.
    Stream {
        #[serde(serialize_with = "as_text")]
        stream: StreamName,
    },
    Commit {
        commit: CommitNumber,
    },
    /// The file `head`.
    HeadMark,
    /// Something outside of the chains.
    Beside {
        /// What, as the store names it.
        what: String,
    },
    Export,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "wrong", rename_all = "snake_case")]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names of its variants say it")]
pub enum Wrong {
    /// It cannot be read.
    #[error("cannot be read: {how}")]
    Unreadable {
        /// What the store said.
        how: String,
    },
    /// An event does not have the hash that its content gives.
    #[error(
        "its content does not match its hash: type, actor, time, payload or another part was changed"
    )]
    HashDiffers,
    /// A version is missing, or there twice.
    #[error(
        "follows version {before} of its stream: events between are missing, repeated or out of order"
    )]
    VersionGap {
        /// The version before it.
        before: Version,
    },
    /// An event is linked to another one than the one before it.
    #[error("is not linked to the event before it: that one, or this one, was replaced")]
    PrevDiffers,
    /// An address is missing.
    #[error("has address {seq} where {expected} follows: events between are missing")]
    AddressGap { seq: Seq, expected: Seq },
    /// A type of event is in a stream where it has no place.
    #[error("is of type {kind}, which has no place in this stream")]
    Misplaced { kind: String },
    /// Ledger time went back.
    #[error("was recorded at ledger time {} ns, after an event at {} ns; time does not go back", at.0, before.0)]
    TimeBack {
        /// The latest time before it.
        before: LedgerTime,
        at: LedgerTime,
    },
    /// An event follows the end of its stream.
    #[error("follows the end of its stream")]
    AfterEnd,
    /// The payload does not have the shape of its type.
    #[error("does not decode: {how}")]
    Undecodable {
        /// What is wrong with it.
        how: String,
    },
    /// The event cannot happen in the state that the events before it give.
    #[error("cannot be replayed: {why}")]
    NotReplayable {
        /// What is in the way.
        why: String,
    },
    /// The receipt that the events give is not the one that was recorded.
    #[error("names receipt {recorded}, but its events give {rebuilt}")]
    ReceiptDiffers { recorded: Digest, rebuilt: Digest },
    /// A retry names an end of the run that it retries which is not there.
    #[error("retries run {run}, and does not name its last event and receipt")]
    ForerunnerDiffers { run: CoordinationId },
    /// An event names a blob that is not there.
    #[error("names blob {blob}, which is missing, and no `ledger.erased` event names it")]
    BlobMissing { blob: Digest },
    /// A payload is erased, and no event says so.
    #[error("has an erased payload that no `ledger.erased` event names")]
    ErasedUnnamed,
    /// A payload that an event names as erased is there.
    #[error("is named as erased by event {by} of `ledger`, but its payload is there")]
    NotErased {
        /// Version of the event that names it.
        by: Version,
    },
    /// The payload of an event that must stay is erased.
    #[error(
        "has an erased payload, which neither the end of a run nor the `ledger` stream may have"
    )]
    MustNotBeErased,
    /// A commit number is missing.
    #[error("follows commit {before}: commits between are missing")]
    CommitGap {
        /// The number before it.
        before: CommitNumber,
    },
    /// A commit is linked to another one than the one before it.
    #[error("is not linked to the commit before it: that one, or this one, was replaced")]
    CommitPrevDiffers,
    /// A commit begins elsewhere, or holds another number of events, than it says.
    #[error(
        "says that it holds {events} events from address {first}, but there are {found} from {found_first}"
    )]
    CommitEvents {
        /// Address of its first event, as recorded.
        first: Seq,
        /// Number of its events, as recorded.
        events: u32,
        /// Address of the first event found.
        found_first: Seq,
        /// Number of events found.
        found: u64,
    },
    /// A commit does not have the hash that its events give.
    #[error("its events do not have its hash: an event was changed, moved, added or removed")]
    CommitHashDiffers,
    /// The epoch went back.
    #[error("is of epoch {epoch}, after one of epoch {before}; epochs do not fall")]
    EpochFalls {
        /// The epoch before it.
        before: Epoch,
        epoch: Epoch,
    },
    /// A commit has another epoch than the ownership that it was made under.
    #[error("is of epoch {epoch}, but `ledger.opened` before it began epoch {opened}")]
    EpochDiffers {
        /// The epoch that the events tell.
        opened: Epoch,
        epoch: Epoch,
    },
    /// A head row says something else than its stream.
    #[error("its head row does not say what its events say: {field} differs")]
    HeadDiffers { field: &'static str },
    /// A stream has no head row.
    #[error("has no head row")]
    HeadMissing,
    /// A head row has no events.
    #[error("has a head row but no events")]
    EventsMissing,
    /// The head mark says something else than the ledger, or cannot be read.
    #[error("{how}")]
    Mark { how: String },
    /// Something outside of the chains is damaged.
    #[error("{how}")]
    Damaged {
        /// What is wrong with it.
        how: String,
    },
    /// A file is not an exported receipt.
    #[error("{how}")]
    NotAnExport {
        /// What is wrong with it.
        how: String,
    },
    /// The canonical bytes of an export are not those of its receipt.
    #[error("its canonical bytes have hash {found}, not {receipt}")]
    CanonicalDiffers {
        /// The receipt that it says it is.
        receipt: Digest,
        /// The hash of its bytes.
        found: Digest,
    },
    /// The JSON rendering in an export is not that of the receipt.
    #[error("its rendering is not that of the receipt that its events give")]
    RenderingDiffers,
    /// The earlier receipt is not from this ledger, or the ledger was rewritten since.
    #[error("is not what the earlier receipt saw: {how}")]
    NotExtended { how: String },
}

impl Wrong {
    /// What the reader should do.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Undecodable { .. } | Self::NotReplayable { .. } | Self::Misplaced { .. } => {
                "verify with the version that wrote it; if that finds it too, keep the ledger as it is and restore a copy"
            }
            Self::Mark { .. } => {
                "restore the directory from a copy, or accept the ledger as it is when it is opened, which is recorded"
            }
            Self::HeadDiffers { .. } | Self::HeadMissing => {
                "restore a copy; the events themselves are not touched by this"
            }
            Self::NotAnExport { .. } => "name a file that `antiphon receipt export` wrote",
            Self::CanonicalDiffers { .. } | Self::RenderingDiffers => {
                "do not rely on this file; export the receipt again"
            }
            Self::NotExtended { .. } => {
                "compare with the ledger that issued the receipt; this one is another, or was rewritten"
            }
            _ => "keep the ledger as it is for evidence, and restore a copy",
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event { stream, version } => write!(f, "event {version} of `{stream}`"),
            Self::Address { seq } => write!(f, "the event at address {seq}"),
            Self::Stream { stream } => write!(f, "`{stream}`"),
            Self::Commit { commit } => write!(f, "commit {commit}"),
            Self::HeadMark => f.write_str("the head mark"),
            Self::Beside { what } => f.write_str(what),
            Self::Export => f.write_str("the exported receipt"),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.place, self.wrong, self.wrong.remedy())
    }
}

/// What was found so far.
#[derive(Debug, Default)]
pub(in crate::ledger) struct Findings {
    pub(in crate::ledger) list: Vec<Finding>,
    pub(in crate::ledger) omitted: u64,
}

impl Findings {
    pub(in crate::ledger) fn add(&mut self, place: Place, wrong: Wrong) {
        if self.list.len() < MAX_FINDINGS {
            self.list.push(Finding { place, wrong });
        } else {
            self.omitted += 1;
        }
    }

    pub(in crate::ledger) fn event(&mut self, stream: &StreamName, version: Version, wrong: Wrong) {
        self.add(Place::Event { stream: stream.clone(), version }, wrong);
    }
}

pub(in crate::ledger) fn as_text<S: Serializer>(
    value: &impl fmt::Display,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}
