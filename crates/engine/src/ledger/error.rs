//! What can go wrong with a ledger, by operation, and what that leaves behind.

use std::path::PathBuf;

use antiphon_core::envelope::CommitTip;
use antiphon_core::id::{CommitNumber, Epoch, StreamName, Version};

use super::directory::LockHolder;
use super::head_mark::{HeadMark, MarkError};
use super::store::LedgerId;

/// An error of the disk or the database, with what was being done.
#[derive(Debug, thiserror::Error)]
#[error("could not {doing}")]
pub struct Fault {
    /// What was being done.
    pub doing: String,
    /// What the system said.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
    /// Whether the disk (or a quota) is full, so that the same may work once there is room.
    pub disk_full: bool,
    /// Whether a sync failed, after which nobody knows what the disk holds.
    pub sync_failed: bool,
}

impl Fault {
    pub(super) fn io(doing: impl Into<String>, source: std::io::Error) -> Self {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        let disk_full = matches!(source.kind(), StorageFull | QuotaExceeded);
        Self { doing: doing.into(), source: source.into(), disk_full, sync_failed: false }
    }

    pub(super) fn sync(doing: impl Into<String>, source: std::io::Error) -> Self {
        Self { sync_failed: true, ..Self::io(doing, source) }
    }

    pub(super) fn sql(doing: impl Into<String>, source: rusqlite::Error) -> Self {
        use rusqlite::ffi;
        let (code, extended) = source
            .sqlite_error()
            .map_or((None, 0), |error| (Some(error.code), error.extended_code));
        Self {
            doing: doing.into(),
            disk_full: code == Some(rusqlite::ErrorCode::DiskFull),
            sync_failed: matches!(extended, ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC),
            source: source.into(),
        }
    }
}

/// Why a ledger was not opened. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another engine owns the ledger.
    #[error("the ledger in {} is in use by {holder}; stop that engine, or submit to it instead", dir.display())]
    InUse {
        /// The state directory.
        dir: PathBuf,
        /// Who owns it.
        holder: LockHolder,
    },
    /// This store has the ledger open already.
    #[error("this store has opened its ledger already; close it first")]
    AlreadyOpen,
    /// The directory is on a file system that other machines write to, where neither locks nor the
    /// database's log can be relied on.
    #[error("{} is on a network file system ({kind}), which loses locks and syncs; put the state directory on a local disk", dir.display())]
    NetworkFileSystem {
        /// The state directory.
        dir: PathBuf,
        /// Which file system.
        kind: &'static str,
    },
    /// The directory holds something, and it is not a ledger.
    #[error("{} holds {found:?} and no ledger; name an empty directory, or one that does not exist yet", dir.display())]
    NotAStateDirectory {
        /// The directory.
        dir: PathBuf,
        /// Something that is in there.
        found: String,
    },
    /// The ledger was written by a newer version.
    #[error(
        "the ledger has format {found}, this version of antiphon knows {known}; use the version that wrote it, or a newer one"
    )]
    Format {
        /// Its format.
        found: u32,
        /// The newest format known here.
        known: u32,
    },
    /// The ledger does not agree with its head mark.
    #[error(transparent)]
    Mark(#[from] MarkRefusal),
    /// The row that says which ledger this is was changed.
    #[error("the row of the table `ledger` was changed: {0}; restore the ledger from a copy")]
    Identity(#[from] IdentityRefusal),
    /// The ledger is damaged.
    #[error(transparent)]
    Damaged(#[from] ReadError),
    /// The disk or the database failed.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// What the one row of the table `ledger`, which no chain covers, says otherwise than the ledger's
/// events.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityRefusal {
    /// Another ledger.
    #[error(
        "it names ledger {row}, but event {version} of `ledger` was recorded in ledger {event}"
    )]
    Id {
        /// The id in the row.
        row: LedgerId,
        /// The id in the event.
        event: LedgerId,
        /// The last event that names it.
        version: Version,
    },
    /// Another format.
    #[error("it says format {row}, but event {version} of `ledger` was recorded in format {event}")]
    Format {
        /// The format in the row.
        row: u32,
        /// The format in the event.
        event: u32,
        /// The last event that names it.
        version: Version,
    },
    /// An epoch that is over.
    #[error(
        "it says epoch {row}, but event {version} of `ledger` began epoch {event}; epochs do not fall"
    )]
    EpochBehind {
        /// The epoch in the row.
        row: Epoch,
        /// The epoch in the event.
        event: Epoch,
        /// The last event that names it.
        version: Version,
    },
    /// An epoch that no owner can have begun.
    #[error("it says epoch {row}, but the last that an owner took is {known}")]
    EpochAhead {
        /// The epoch in the row.
        row: Epoch,
        /// The last that the events or the head mark know.
        known: Epoch,
    },
}

/// Why a ledger was refused for its head mark.
#[derive(Debug, thiserror::Error)]
pub enum MarkRefusal {
    /// The ledger has lost its end.
    #[error(
        "the ledger ends at commit {} of epoch {ledger_epoch}, but its head mark knows commit {} of epoch {}: acknowledged work is missing; restore it from a copy, or accept the shorter ledger, which will be recorded", ledger.number, mark.commit.number, mark.epoch
    )]
    Shorter {
        /// The last commit that the ledger has.
        ledger: CommitTip,
        /// The epoch that the ledger has.
        ledger_epoch: Epoch,
        /// The mark.
        mark: HeadMark,
    },
    /// The ledger holds another commit where the mark was made.
    #[error(
        "commit {} of the ledger is not the one in its head mark: this is another ledger, or it was rewritten; restore it from a copy, or accept the ledger as it is, which will be recorded", mark.commit.number
    )]
    Differs {
        /// What the ledger has at the number of the mark.
        ledger: CommitTip,
        /// The mark.
        mark: HeadMark,
    },
    /// There is a ledger, but no head mark.
    #[error(
        "the ledger has {commits} commits but no head mark ({}): the file was removed, so nobody can tell whether the ledger is whole; restore it, or accept the missing mark, which will be recorded", path.display()
    )]
    Missing {
        /// Where it should be.
        path: PathBuf,
        /// The last commit of the ledger.
        commits: CommitNumber,
    },
    /// The head mark cannot be read.
    #[error("{source}; restore the file, or accept the missing mark, which will be recorded")]
    Unreadable {
        /// Why.
        #[from]
        source: MarkError,
    },
}

/// Why an append did not succeed, by what is on the disk now.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Nothing was written, and the same append will be refused again.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Nothing was written; the same append may be repeated.
    #[error("the append was not written and may be repeated")]
    NotWritten {
        /// Why.
        #[from]
        source: Fault,
    },
    /// Nobody knows whether it was written. The store takes in nothing more until it is opened
    /// again and verified.
    #[error(
        "it is unknown whether the append was written; restart the engine, which will verify the ledger"
    )]
    Unknown {
        /// Why.
        source: Fault,
    },
}

/// Why an append was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The ledger is not open.
    #[error("the ledger is not open for writing; open it first")]
    NotOpen,
    /// An earlier append met an error of a sync.
    #[error(
        "the ledger takes in nothing after an error of a sync; restart the engine, which will verify it"
    )]
    Poisoned,
    /// Somebody else has taken the ledger over.
    #[error(
        "epoch {ours} of the ledger is over, its owner is of epoch {theirs} now; stop this engine"
    )]
    Superseded {
        /// The epoch of the append.
        ours: Epoch,
        /// The epoch of the ledger.
        theirs: Epoch,
    },
    /// The commit does not continue the ledger: wrong number, hash before, count or hash.
    #[error("the commit {} does not continue the ledger, which ends at commit {}", found.number, tip.number)]
    CommitConflict {
        /// The end of the ledger.
        tip: CommitTip,
        /// What was to be appended.
        found: CommitTip,
    },
    /// An event does not continue its stream: wrong version or hash before.
    #[error(
        "event {found} of `{stream}` does not continue the stream, which ends at version {tip}"
    )]
    StreamConflict {
        /// The stream.
        stream: StreamName,
        /// Its last version.
        tip: Version,
        /// The version that was to be appended.
        found: Version,
    },
    /// An event follows the end of its stream.
    #[error("`{stream}` has ended and takes in no event")]
    StreamEnded {
        /// The stream.
        stream: StreamName,
    },
    /// A head row is missing, repeated, or does not stand at the end of its stream.
    #[error("the head row of `{stream}` does not stand at the end of the stream")]
    HeadConflict {
        /// The stream.
        stream: StreamName,
    },
    /// Something in the append is larger than the format allows.
    #[error("the {what} has {actual}, at most {max} are allowed")]
    TooLarge {
        /// What.
        what: String,
        /// How much it has.
        actual: u64,
        /// How much is allowed.
        max: u64,
    },
    /// The append holds no event.
    #[error("an append without events is no commit")]
    Empty,
    /// An event to be written comes with its payload erased already.
    #[error("event {version} of `{stream}` has no payload; only written events can be erased")]
    NoPayload {
        /// The stream.
        stream: StreamName,
        /// The event.
        version: Version,
    },
    /// A payload cannot be erased.
    #[error("event {version} of `{stream}` cannot be erased: {why}")]
    NotErasable {
        /// The stream.
        stream: StreamName,
        /// The event.
        version: Version,
        /// Why not.
        why: &'static str,
    },
}

impl Refusal {
    /// Whether it has nothing to do with what was to be written: this owner has lost the ledger.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self, Self::NotOpen | Self::Poisoned | Self::Superseded { .. })
    }
}

/// Why something was not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is no ledger yet.
    #[error("there is no ledger in {}", dir.display())]
    Absent {
        /// The state directory.
        dir: PathBuf,
    },
    /// What was read is not what any writer of this format writes.
    #[error("{what} is damaged: {how}; run `antiphon verify`")]
    Damaged {
        /// What was being read.
        what: String,
        /// What is wrong with it.
        how: String,
    },
    /// The disk or the database failed.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Why something beside the chains was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// This is not the owner, or must not write any more.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The disk or the database failed.
    #[error(transparent)]
    Fault(#[from] Fault),
}
