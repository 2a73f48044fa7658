//! What can go wrong with a ledger, by operation, and what that leaves behind.

use std::path::PathBuf;

use antiphon_core::envelope::CommitTip;
use antiphon_core::id::{Epoch, StreamName, Version};

use super::fault::Fault;
use super::head_mark::MarkRefusal;
use super::held_directory::Gone;
use super::owner::{LedgerId, LockHolder};

/// The format that this code writes and reads.
pub const FORMAT: u32 = 1;

/// Why a ledger was not opened. Nothing has changed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the names of its variants say it")]
pub enum OpenError {
    /// Another engine owns the ledger.
    #[error("the ledger in {} is in use by {holder}; stop that engine, or submit to it instead", dir.display())]
    InUse {
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
    NetworkFileSystem { dir: PathBuf, kind: &'static str },
    /// The directory holds something, and it is not a ledger.
    #[error("{} contains {found:?} but no ledger; name an empty directory, or one that does not exist yet", dir.display())]
    NotAStateDirectory {
        dir: PathBuf,
        /// Something that is in there.
        found: String,
    },
    /// The ledger was in the memory of an engine, and that has ended without removing its directory.
    #[error(
        "the ledger of {} was in the memory of an engine that is gone, and nothing is left of it; remove the directory, or name another",
        dir.display()
    )]
    WasInMemory { dir: PathBuf },
    /// A ledger in memory was to have the directory of one on disk.
    #[error("{} contains a ledger on disk; name an empty directory for one in memory", dir.display())]
    OnDisk { dir: PathBuf },
    /// The ledger was written by a newer version.
    #[error(transparent)]
    Format(#[from] UnknownFormat),
    /// The ledger does not agree with its head mark.
    #[error(transparent)]
    Mark(#[from] MarkRefusal),
    /// The row that says which ledger this is was changed.
    #[error("the row of the table `ledger` was changed: {0}; restore the ledger from a copy")]
    Identity(IdentityRefusal),
    /// The ledger is damaged.
    #[error(transparent)]
    Damaged(#[from] ReadError),
    /// The disk or the database failed.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// A ledger is kept in a format that this version does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the ledger has format {found}, and this version of antiphon knows {FORMAT}; \
     use the version that wrote it, or a newer one"
)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct UnknownFormat {
    pub found: u32,
}

impl UnknownFormat {
    /// Accepts the format that this version writes and reads.
    ///
    /// # Errors
    /// When it is another one.
    pub fn refuse(found: u32) -> Result<(), Self> {
        if found == FORMAT { Ok(()) } else { Err(Self { found }) }
    }
}

/// What the one row of the table `ledger`, which no chain covers, says otherwise than the ledger's
/// events.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the names of its variants say it")]
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

/// Why an append did not succeed, by what is on the disk now.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the names of its variants say it")]
pub enum AppendError {
    /// Nothing was written, and the same append will be refused again.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Nothing was written; the same append may be repeated.
    #[error("the append was not written; it can be retried")]
    NotWritten {
        #[from]
        source: Fault,
    },
    /// Whether it was written is unknown. The store accepts nothing more until it is opened again
    /// and verified.
    #[error(
        "it is unknown whether the append was written ({}); restart the engine, which will verify the ledger",
        source.told()
    )]
    Unknown { source: Fault },
}

/// Why an append was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the names of its variants say it")]
pub enum Refusal {
    /// The ledger is not open.
    #[error("the ledger is not open for writing; open it first")]
    NotOpen,
    /// An earlier append met an error of a sync.
    #[error(
        "the ledger accepts no writes after an fsync error; restart the engine, which will verify it"
    )]
    Poisoned,
    /// Another engine has taken the ledger over.
    #[error(
        "another engine took over the ledger (epoch {theirs}, this one has {ours}); stop this engine"
    )]
    Superseded {
        /// The epoch of the append.
        ours: Epoch,
        /// The epoch of the ledger.
        theirs: Epoch,
    },
    /// The state directory is not there any more, or another one has its name.
    #[error(transparent)]
    Gone(#[from] Gone),
    /// The head mark in the directory is that of another ledger.
    #[error(
        "the head mark in the state directory is that of ledger {theirs}, and this is {ours}; \
         it is left as it is"
    )]
    OtherMark { ours: LedgerId, theirs: LedgerId },
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
        stream: StreamName,
        tip: Version,
        /// The version that was to be appended.
        found: Version,
    },
    /// An event follows the end of its stream.
    #[error("`{stream}` has ended and takes in no event")]
    StreamEnded { stream: StreamName },
    /// A head row is missing, repeated, or does not stand at the end of its stream.
    #[error("the head row of `{stream}` does not match the end of the stream")]
    HeadConflict { stream: StreamName },
    /// Something in the append is larger than the format allows.
    #[error("the {what} has {actual}, at most {max} are allowed")]
    TooLarge {
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
    NoPayload { stream: StreamName, version: Version },
    /// A payload cannot be erased.
    #[error("event {version} of `{stream}` cannot be erased: {why}")]
    NotErasable { stream: StreamName, version: Version, why: &'static str },
}

impl Refusal {
    /// Whether it has nothing to do with what was to be written: this owner has lost the ledger.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self, Self::NotOpen | Self::Poisoned | Self::Superseded { .. } | Self::Gone(_))
    }
}

/// Why something was not read.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the names of its variants say it")]
pub enum ReadError {
    /// There is no ledger yet.
    #[error("there is no ledger in {}", dir.display())]
    Absent { dir: PathBuf },
    /// The state directory is not there any more, or another one has its name.
    #[error(transparent)]
    Gone(#[from] Gone),
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

impl ReadError {
    /// The whole of it in one text.
    #[must_use]
    pub fn told(&self) -> String {
        match self {
            Self::Fault(fault) => fault.told(),
            _ => self.to_string(),
        }
    }
}

/// Why something outside of the chains was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// This is not the owner, or must not write any more.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The disk or the database failed.
    #[error(transparent)]
    Fault(#[from] Fault),
}
