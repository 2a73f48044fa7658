//! The ledger as its store has it, for clients that have no files to read it from: head rows, events of
//! all streams, commits.

use antiphon::append::HeadRow;
use antiphon::envelope::{Commit, StreamTip};
use antiphon::id::{CommitNumber, Epoch, Seq, Version};
use antiphon::ledger::{Placed, PlacedCommit};
use antiphon::time::{LedgerTime, WallTime};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::event::{EventLine, NotAnEvent, part, stored};

/// The head row of a stream.
#[derive(Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct HeadLine {
    pub stream: String,
    /// The version of its last event.
    pub version: u64,
    /// The hash of that.
    pub hash: String,
    pub status: String,
    pub ended: bool,
    /// Wall-clock time of its first event, in nanoseconds since 1970.
    pub started: u64,
    /// Ledger time of its last event, in nanoseconds.
    pub at: u64,
    /// Wall-clock time of the same.
    pub changed: u64,
    /// A JSON object, as it is stored.
    pub summary: Box<RawValue>,
}

/// Some head rows, the newest stream first.
#[derive(Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct HeadPage {
    pub heads: Vec<HeadLine>,
    /// Whether there are more.
    pub more: bool,
}

/// An event with its place in the ledger.
#[derive(Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct PlacedLine {
    /// Its address.
    pub seq: u64,
    /// The number of the commit that it is part of.
    pub commit: u64,
    pub event: EventLine,
}

/// Some events of the ledger, in order.
#[derive(Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct PlacedPage {
    pub events: Vec<PlacedLine>,
    /// Whether there are more now.
    pub more: bool,
}

/// A link of the commit chain.
#[derive(Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct CommitLine {
    pub number: u64,
    /// The address of its first event.
    pub first: u64,
    /// How many events it holds.
    pub events: u32,
    /// The ownership that it was made under.
    pub epoch: u64,
    /// Hash of the commit before it.
    pub prev: String,
    pub hash: String,
}

/// Some commits, in order.
#[derive(Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct CommitPage {
    pub commits: Vec<CommitLine>,
    /// Whether there are more now.
    pub more: bool,
}

impl From<&HeadRow> for HeadLine {
    fn from(head: &HeadRow) -> Self {
        Self {
            stream: head.stream.to_string(),
            version: head.tip.version.0,
            hash: head.tip.hash.to_string(),
            status: head.status.clone(),
            ended: head.ended,
            started: head.started.0,
            at: head.changed.0.0,
            changed: head.changed.1.0,
            summary: stored(head.summary.as_bytes()),
        }
    }
}

impl HeadLine {
    /// The row as it is stored.
    ///
    /// # Errors
    /// [`NotAnEvent`] says which part cannot be read.
    pub fn row(self) -> Result<HeadRow, NotAnEvent> {
        Ok(HeadRow {
            stream: part("stream of a head row", &self.stream)?,
            tip: StreamTip {
                version: Version(self.version),
                hash: part("hash of a head row", &self.hash)?,
            },
            status: self.status,
            ended: self.ended,
            started: WallTime(self.started),
            changed: (LedgerTime(self.at), WallTime(self.changed)),
            summary: self.summary.get().to_owned(),
        })
    }
}

impl From<&Placed> for PlacedLine {
    fn from(placed: &Placed) -> Self {
        let Placed { seq, commit, event } = placed;
        Self { seq: seq.0, commit: commit.0, event: event.into() }
    }
}

impl PlacedLine {
    /// The event as it is stored, with its place.
    ///
    /// # Errors
    /// [`NotAnEvent`] says which part cannot be read.
    pub fn placed(&self) -> Result<Placed, NotAnEvent> {
        let event = self.event.recorded()?;
        Ok(Placed { seq: Seq(self.seq), commit: CommitNumber(self.commit), event })
    }
}

impl From<&PlacedCommit> for CommitLine {
    fn from(placed: &PlacedCommit) -> Self {
        let PlacedCommit { first, commit } = placed;
        Self {
            number: commit.number.0,
            first: first.0,
            events: commit.events,
            epoch: commit.epoch.0,
            prev: commit.prev.to_string(),
            hash: commit.hash.to_string(),
        }
    }
}

impl CommitLine {
    /// The commit as it is stored, with the place of its events.
    ///
    /// # Errors
    /// [`NotAnEvent`] says which part cannot be read.
    pub fn placed(&self) -> Result<PlacedCommit, NotAnEvent> {
        let commit = Commit {
            number: CommitNumber(self.number),
            epoch: Epoch(self.epoch),
            events: self.events,
            prev: part("link of a commit", &self.prev)?,
            hash: part("hash of a commit", &self.hash)?,
        };
        Ok(PlacedCommit { first: Seq(self.first), commit })
    }
}
