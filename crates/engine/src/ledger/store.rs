//! The seam between the engine and what keeps the ledger: speaks events, not business.

use std::fmt;

use antiphon_core::append::{Append, HeadRow};
use antiphon_core::digest::{Canonical, Digest};
use antiphon_core::envelope::{Commit, CommitTip, Recorded, StreamTip};
use antiphon_core::id::{CommitNumber, Epoch, Seq, StreamName, Version};
use antiphon_core::time::{LedgerTime, WallTime};
use antiphon_core::world::LedgerFacts;

use super::error::{AppendError, OpenError, ReadError, WriteError};
use super::held_directory::HeldDirectory;
use super::owner::{LedgerId, Owner};

/// Longest name of a cursor, in bytes.
pub const MAX_CURSOR_NAME_BYTES: usize = 256;

/// Keeps one ledger.
///
/// Reading needs no ownership and never waits for a writer. Everything that changes the ledger
/// needs [`open`](Self::open) first, and is refused once another owner has opened it. All methods
/// block; callers keep them off the threads that must not.
pub trait Store: Send + Sync {
    /// Takes the ledger over, creating it if there is none: the epoch is raised by one and durable
    /// when this returns.
    ///
    /// # Errors
    /// When another engine owns it, when it does not reach its head mark, or when it cannot be
    /// read.
    fn open(&self, owner: &Owner) -> Result<Opened, OpenError>;

    /// Whether writing may wait for something outside this process, such as a disk. A store that
    /// never waits is written to where the engine decides, without a thread in between.
    fn waits(&self) -> bool {
        true
    }

    /// Writes one turn, whole or not at all, and moves cursors with it. Returns the address of its
    /// first event.
    ///
    /// # Errors
    /// [`AppendError`] tells apart what was refused, what was not written and may be repeated, and
    /// what nobody knows.
    fn append(&self, append: &Append, cursors: &[Cursor]) -> Result<Seq, AppendError>;

    /// Moves cursors when there is no turn to move them with.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    fn move_cursors(&self, cursors: &[Cursor]) -> Result<(), AppendError>;

    /// The events of a stream after a version, at most `limit`.
    ///
    /// # Errors
    /// When the store cannot be read, or holds what no writer of this format writes.
    fn read_stream(
        &self,
        stream: &StreamName,
        after: Version,
        limit: usize,
    ) -> Result<Vec<Recorded>, ReadError>;

    /// The events of the whole ledger after an address, at most `limit`.
    ///
    /// # Errors
    /// When the store cannot be read, or holds what no writer of this format writes.
    fn read_all(&self, after: Seq, limit: usize) -> Result<Vec<Placed>, ReadError>;

    /// The commits after a number, at most `limit`.
    ///
    /// # Errors
    /// When the store cannot be read, or holds what no writer of this format writes.
    fn commits(&self, after: CommitNumber, limit: usize) -> Result<Vec<PlacedCommit>, ReadError>;

    /// Head rows: of one stream, or a listing with the newest stream first.
    ///
    /// # Errors
    /// When the store cannot be read, or a row does not match its digest.
    fn heads(&self, query: &HeadQuery) -> Result<Vec<HeadRow>, ReadError>;

    /// The bytes of a blob, checked against its name; `None` if there is none or it was erased.
    ///
    /// # Errors
    /// When the store cannot be read, or the bytes are not those that were stored.
    fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, ReadError>;

    /// Keeps snapshots, each in place of an earlier one of its stream, all of them or none. One of a
    /// stream that has ended is left out: nothing needs it, and it may hold what is erased.
    ///
    /// # Errors
    /// When this is not the owner, or the store cannot be written.
    fn save_snapshots(&self, snapshots: &[Snapshot]) -> Result<(), WriteError>;

    /// The snapshot of a stream; one of another state format or with a wrong digest is as good as
    /// absent.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn load_snapshot(
        &self,
        stream: &StreamName,
        format: &str,
    ) -> Result<Option<Snapshot>, ReadError>;

    /// The position of a cursor.
    ///
    /// # Errors
    /// When the store cannot be read, or the row does not match its digest.
    fn cursor(&self, name: &str) -> Result<Option<Cursor>, ReadError>;

    /// The cursors whose names begin so that are still before the first event of their stream, in
    /// the order of their names.
    ///
    /// # Errors
    /// As [`Store::cursor`].
    fn unmoved_cursors(&self, prefix: &str) -> Result<Vec<Cursor>, ReadError>;

    /// Looks at all that lies outside both chains (head rows, cursors, snapshots, blobs, the
    /// store's own structure) and lists what is wrong with it. The chains are checked by whoever
    /// reads the events and commits.
    ///
    /// # Errors
    /// When the store cannot be read at all.
    fn damages(&self) -> Result<Vec<Damage>, ReadError>;

    /// How many bytes a blob has; `None` if it is not there.
    ///
    /// # Errors
    /// As [`Store::blob`].
    fn blob_size(&self, digest: &Digest) -> Result<Option<u64>, ReadError> {
        Ok(self.blob(digest)?.map(|bytes| bytes.len() as u64))
    }

    /// Bytes that what is kept takes: events, blobs and all else, without room that is free.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn size(&self) -> Result<u64, ReadError>;

    /// Makes the head mark say what is durable now. The caller sees to it that this happens soon
    /// after every append.
    ///
    /// # Errors
    /// When the mark cannot be written; the ledger itself is untouched.
    fn mark_head(&self) -> Result<(), WriteError>;

    /// Tries to remove what erasures have left where it was kept: the bytes of what they named, which
    /// a reader may still need for the state that it sees. Returns whether nothing is left.
    ///
    /// # Errors
    /// When this is not the owner, or the store cannot be written.
    fn finish_erasures(&self) -> Result<bool, WriteError> {
        Ok(true)
    }

    /// The directory that the ledger is kept in, while this store owns it and if there is one: what
    /// is acknowledged is lost if it goes.
    fn held(&self) -> Option<HeldDirectory> {
        None
    }

    /// Takes back that the ledger needs verification: it has been verified since it was opened.
    ///
    /// # Errors
    /// When this is not the owner, or the note cannot be removed.
    fn declare_verified(&self) -> Result<(), WriteError>;

    /// Marks the head and gives ownership up. The store can be opened again.
    ///
    /// # Errors
    /// When the mark cannot be written; ownership is given up all the same.
    fn close(&self) -> Result<(), WriteError>;
}

/// What an owner continues from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "the next append continues these tips under this epoch"]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct Opened {
    /// Which ledger this is.
    pub ledger: LedgerId,
    /// The format it is kept in.
    pub format: u32,
    /// The ownership that begins now.
    pub epoch: Epoch,
    pub commits: CommitTip,
    /// The end of the `ledger` stream.
    pub ledger_stream: StreamTip,
    /// Ledger time of the last event; time continues from here.
    pub at: LedgerTime,
    /// Address of the last event.
    pub seq: Seq,
    /// What the head mark said; anything but [`MarkFinding::Agrees`] was let through by an option
    /// and is to be recorded.
    pub mark: MarkFinding,
    /// An earlier owner met an error of a sync: verify before anything is appended, then
    /// [`Store::declare_verified`].
    pub needs_verification: bool,
}

impl Opened {
    /// What a world of this ledger begins with: when the ledger was made, if it has events, and
    /// which engine takes it over.
    #[must_use]
    pub fn facts(&self, started: Option<WallTime>, engine: impl Into<String>) -> LedgerFacts {
        LedgerFacts {
            format: self.format,
            ledger: Digest(self.ledger.0),
            epoch: self.epoch,
            commit: self.commits,
            tip: self.ledger_stream,
            started,
            engine: engine.into(),
        }
    }
}

/// How a ledger compares with its head mark, where it was opened all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MarkFinding {
    /// The ledger reaches its mark, or is new.
    Agrees,
    /// There was no readable mark, and the options allowed that.
    Missing,
    /// The ledger is shorter than its mark, or goes another way there, and the options allowed
    /// that.
    Shorter {
        /// The last commit that the mark knew.
        marked: CommitTip,
    },
}

/// An event with its place in the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct Placed {
    pub seq: Seq,
    /// The commit that it is part of.
    pub commit: CommitNumber,
    pub event: Recorded,
}

/// A commit with the place of its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct PlacedCommit {
    /// Address of its first event; the others follow without gaps.
    pub first: Seq,
    pub commit: Commit,
}

/// Which head rows are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeadQuery {
    /// That of one stream, if it exists.
    Stream(StreamName),
    /// Those that pass a filter, the newest stream first.
    List(HeadFilter),
}

/// What a listing of head rows is narrowed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadFilter {
    /// Only streams whose name begins so.
    pub prefix: String,
    /// Only streams in this state.
    pub status: Option<String>,
    /// Only streams that have ended, or only those that have not.
    pub ended: Option<bool>,
    /// Only streams that began before this one: the last of the page before.
    pub older_than: Option<StreamName>,
    /// At most so many.
    pub limit: usize,
}

impl Default for HeadFilter {
    fn default() -> Self {
        Self {
            prefix: String::new(),
            status: None,
            ended: None,
            older_than: None,
            limit: usize::MAX,
        }
    }
}

/// The state of one stream at a version: a cache, never evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct Snapshot {
    pub stream: StreamName,
    /// The version that the state has taken in.
    pub version: Version,
    /// Which shape of the state the bytes have.
    pub format: String,
    pub bytes: Vec<u8>,
}

impl Snapshot {
    /// The digest that guards the row.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut bytes = Canonical::new("antiphon.snapshot.1");
        bytes
            .text(&self.stream.to_string())
            .u64(self.version.0)
            .text(&self.format)
            .digest(&Digest::of(&self.bytes));
        bytes.hash()
    }
}

/// How far a named reader has come in a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct Cursor {
    pub name: String,
    /// The stream it reads.
    pub stream: StreamName,
    /// The last version it is done with.
    pub version: Version,
}

impl Cursor {
    /// The digest that guards the row.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut bytes = Canonical::new("antiphon.cursor.1");
        bytes.text(&self.name).text(&self.stream.to_string()).u64(self.version.0);
        bytes.hash()
    }
}

/// Something outside both chains that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// What is damaged, such as ``the head row of `coordination/build` ``.
    pub what: String,
    /// What is wrong with it.
    pub how: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.how)
    }
}
