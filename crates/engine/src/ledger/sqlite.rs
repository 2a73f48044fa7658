//! The ledger in a state directory: `ledger.db` (SQLite), `head`, `blobs/`, `lock`.

mod backup;
mod baseline;
mod checkpoints;
mod commits;
mod connection;
mod damages;
mod identity;
mod options;
mod position;
mod reader;
mod rows;
mod schema;
mod still;
mod tail;
mod turn;
mod writer;

use std::path::Path;
use std::sync::Mutex;

use antiphon_core::append::{Append, HeadRow};
use antiphon_core::digest::Digest;
use antiphon_core::envelope::{CommitTip, Recorded};
use antiphon_core::id::{CommitNumber, Epoch, Seq, StreamName, Version};

use super::directory::{Lock, StateDirectory};
use super::error::{AppendError, OpenError, ReadError, Refusal, WriteError};
use super::head_mark::{HeadMark, MarkRefusal};
use super::held_directory::{DATABASE, HeldDirectory, POISONED};
use super::owner::{LedgerId, Owner};
use super::store::{
    Cursor, Damage, HeadQuery, MarkFinding, Opened, Placed, PlacedCommit, Snapshot, Store,
};
pub use backup::{Backup, BackupError, BackupStep};
pub use baseline::{AppendBaseline, sqlite_version};
use identity::LedgerIdentity;
pub use options::SqliteOptions;
pub use position::LedgerPosition;
use reader::{ReadConnection, ReadConnections};
use writer::Writer;

use crate::locked::locked;

/// A ledger in a state directory.
///
/// Making one touches nothing: it reads what is there, and what it finds is as old as the last
/// commit. [`Store::open`] creates what is missing and takes the lock.
#[derive(Debug)]
pub struct SqliteStore {
    dir: StateDirectory,
    options: SqliteOptions,
    readers: ReadConnections,
    // Locked for a whole append: there is one writer, and readers never take it.
    owned: Mutex<Option<Owned>>,
    // What the last successful append left, for the mark; separate so that marking never waits for
    // an append.
    acknowledged: Mutex<Option<HeadMark>>,
    // Locked while the mark is written, so that a later mark is never replaced by an earlier one.
    marked: Mutex<Marked>,
    // The directory while this store owns the ledger in it.
    held: Mutex<Option<HeldDirectory>>,
}

/// What only the owner has. The fields are dropped in order: the database is closed before the lock
/// is let go.
#[derive(Debug)]
struct Owned {
    writer: Writer,
    _lock: Lock,
}

/// What this store knows of the head mark that is there.
#[derive(Debug, Default)]
struct Marked {
    /// What it wrote last.
    last: Option<HeadMark>,
    /// The mark of another ledger that was found and accepted may be replaced; no other may.
    accepted: Option<LedgerId>,
}

impl SqliteStore {
    /// Names the ledger in a state directory.
    #[must_use]
    pub fn at(dir: impl AsRef<Path>, options: SqliteOptions) -> Self {
        let dir = StateDirectory::new(dir.as_ref());
        Self {
            readers: ReadConnections::new(dir.clone(), options.vfs.clone()),
            dir,
            options,
            owned: Mutex::new(None),
            acknowledged: Mutex::new(None),
            marked: Mutex::default(),
            held: Mutex::new(None),
        }
    }

    /// How far the ledger has come, read without ownership.
    ///
    /// # Errors
    /// When there is no ledger, or it cannot be read.
    pub fn position(&self) -> Result<LedgerPosition, ReadError> {
        self.readers.read(|reader| reader.position())
    }

    /// What is wrong with the row that says which ledger this is.
    fn damaged_identity(&self) -> Result<Option<Damage>, ReadError> {
        let what = || "the row of the table `ledger`".to_owned();
        let found = match self
            .readers
            .read(|reader| reader.consistent(|reader| LedgerIdentity::read(&reader.connection)))
        {
            Ok(found) => found,
            Err(ReadError::Damaged { how, .. }) => return Ok(Some(Damage { what: what(), how })),
            Err(fault) => return Err(fault),
        };
        // Read after the row: an owner that comes meanwhile only raises it. One that cannot be read
        // is found by itself.
        let mark = HeadMark::read(self.dir.path()).ok().flatten();
        Ok(found
            .check(mark.as_ref())
            .err()
            .map(|refusal| Damage { what: what(), how: refusal.to_string() }))
    }

    fn with_writer<T, E: From<Refusal>>(
        &self,
        act: impl FnOnce(&mut Writer) -> Result<T, E>,
    ) -> Result<T, E> {
        match locked(&self.owned).as_mut() {
            Some(owned) => act(&mut owned.writer),
            None => Err(Refusal::NotOpen.into()),
        }
    }

    /// Refuses to go on where the directory is not there any more, or not the one that was opened.
    fn on_its_ground(&self) -> Result<(), Refusal> {
        let held = locked(&self.held).clone();
        Ok(held.ok_or(Refusal::NotOpen)?.stands()?)
    }

    /// Holds the ledger against its mark, before anything is changed. `commit` finds a commit by
    /// its number.
    fn check_mark(
        &self,
        held: &HeldDirectory,
        ledger: Option<LedgerId>,
        epoch: Epoch,
        commits: CommitTip,
        commit: impl FnOnce(CommitNumber) -> Result<Option<CommitTip>, ReadError>,
    ) -> Result<(MarkFinding, Option<HeadMark>), OpenError> {
        let mark = match HeadMark::read_in(held.folder()) {
            Ok(Some(mark)) => mark,
            Ok(None) if commits.number == CommitNumber(0) => {
                return Ok((MarkFinding::Agrees, None));
            }
            Ok(None) | Err(_) if self.options.accept_missing_mark => {
                return Ok((MarkFinding::Missing, None));
            }
            Ok(None) => {
                let path = HeadMark::path(self.dir.path());
                return Err(MarkRefusal::Missing { path, commits: commits.number }.into());
            }
            Err(source) => return Err(MarkRefusal::Unreadable { error: source }.into()),
        };
        match mark.check(ledger, epoch, commits, commit(mark.commit.number)?) {
            Ok(()) => Ok((MarkFinding::Agrees, Some(mark))),
            Err(_) if self.options.accept_shorter => {
                Ok((MarkFinding::Shorter { marked: mark.commit }, Some(mark)))
            }
            Err(refusal) => Err(refusal.into()),
        }
    }
}

/// The mark that is in the directory now, if it can be read.
fn on_disk(held: &HeldDirectory) -> Option<HeadMark> {
    HeadMark::read_in(held.folder()).ok().flatten()
}

impl Store for SqliteStore {
    fn open(&self, owner: &Owner) -> Result<Opened, OpenError> {
        let mut owned = locked(&self.owned);
        if owned.is_some() {
            return Err(OpenError::AlreadyOpen);
        }
        let (lock, held) = self.dir.take(owner)?;
        if !held.folder().has(DATABASE) {
            // A database that was removed is not created anew while a mark remembers it.
            self.check_mark(&held, None, Epoch(0), CommitTip::default(), |_| Ok(None))?;
        }
        let needs_verification = held.folder().has(POISONED);
        let (writer, opened) =
            Writer::open(held.clone(), &self.options, needs_verification, |found| {
                let ledger = Some(found.ledger);
                self.check_mark(&held, ledger, found.epoch, found.commits, |number| {
                    found.commit(number)
                })
            })?;
        let held = writer.held().clone();
        let (ledger, epoch, commit) = (Some(opened.ledger), opened.epoch, opened.commits);
        let mark = HeadMark { ledger, epoch, commit };
        *locked(&self.acknowledged) = Some(mark);
        // A loss that was accepted stays marked until the owner has recorded it; a crash before
        // that asks again.
        *locked(&self.marked) = if opened.mark == MarkFinding::Agrees {
            mark.write_in(held.folder())?;
            Marked { last: Some(mark), accepted: None }
        } else {
            Marked { last: None, accepted: on_disk(&held).and_then(|mark| mark.ledger) }
        };
        self.readers.hold(Some(held.clone()));
        *locked(&self.held) = Some(held);
        *owned = Some(Owned { writer, _lock: lock });
        Ok(opened)
    }

    fn append(&self, append: &Append, cursors: &[Cursor]) -> Result<Seq, AppendError> {
        let mut owned = locked(&self.owned);
        let writer = &mut owned.as_mut().ok_or(Refusal::NotOpen)?.writer;
        let appended = writer.append(append, cursors);
        // Whatever became of it: what is in files that no path names any more is on no record.
        self.on_its_ground()?;
        let first = appended?;
        let (epoch, commit) = (append.commit.epoch, append.commit.tip());
        if let Some(mark) = locked(&self.acknowledged).as_mut() {
            *mark = HeadMark { epoch, commit, ..*mark };
        }
        Ok(first)
    }

    fn move_cursors(&self, cursors: &[Cursor]) -> Result<(), AppendError> {
        self.with_writer(|writer| writer.move_cursors(cursors))
    }

    fn read_stream(
        &self,
        stream: &StreamName,
        after: Version,
        limit: usize,
    ) -> Result<Vec<Recorded>, ReadError> {
        self.readers.read(|reader| reader.stream(stream, after, limit))
    }

    fn read_all(&self, after: Seq, limit: usize) -> Result<Vec<Placed>, ReadError> {
        self.readers.read(|reader| reader.all(after, limit))
    }

    fn commits(&self, after: CommitNumber, limit: usize) -> Result<Vec<PlacedCommit>, ReadError> {
        self.readers.read(|reader| reader.commits(after, limit))
    }

    fn heads(&self, query: &HeadQuery) -> Result<Vec<HeadRow>, ReadError> {
        self.readers.read(|reader| reader.heads(query))
    }

    fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, ReadError> {
        self.readers.read(|reader| reader.blob(digest))
    }

    fn blob_size(&self, digest: &Digest) -> Result<Option<u64>, ReadError> {
        self.readers.read(|reader| reader.blob_size(digest))
    }

    fn size(&self) -> Result<u64, ReadError> {
        self.readers.read(|reader| reader.size())
    }

    fn save_snapshots(&self, snapshots: &[Snapshot]) -> Result<(), WriteError> {
        self.with_writer(|writer| writer.save_snapshots(snapshots))
    }

    fn load_snapshot(
        &self,
        stream: &StreamName,
        format: &str,
    ) -> Result<Option<Snapshot>, ReadError> {
        self.readers.read(|reader| reader.snapshot(stream, format))
    }

    fn cursor(&self, name: &str) -> Result<Option<Cursor>, ReadError> {
        self.readers.read(|reader| reader.cursor(name))
    }

    fn unmoved_cursors(&self, prefix: &str) -> Result<Vec<Cursor>, ReadError> {
        self.readers.read(|reader| reader.unmoved_cursors(prefix))
    }

    fn damages(&self) -> Result<Vec<Damage>, ReadError> {
        let mut damages = self.readers.read(ReadConnection::damages)?;
        damages.extend(self.damaged_ground()?);
        damages.extend(self.damaged_identity()?);
        Ok(damages)
    }

    fn mark_head(&self) -> Result<(), WriteError> {
        let mut marked = locked(&self.marked);
        let mark = locked(&self.acknowledged).ok_or(Refusal::NotOpen)?;
        self.on_its_ground()?;
        if marked.last == Some(mark) {
            return Ok(());
        }
        let held = locked(&self.held).clone().ok_or(Refusal::NotOpen)?;
        if let Some(found) = on_disk(&held) {
            if let (Some(ours), Some(theirs)) = (mark.ledger, found.ledger)
                && ours != theirs
                && marked.accepted != Some(theirs)
            {
                return Err(Refusal::OtherMark { ours, theirs }.into());
            }
            if found.epoch > mark.epoch {
                let (ours, theirs) = (mark.epoch, found.epoch);
                return Err(Refusal::Superseded { ours, theirs }.into());
            }
        }
        mark.write_in(held.folder())?;
        *marked = Marked { last: Some(mark), accepted: None };
        Ok(())
    }

    fn finish_erasures(&self) -> Result<bool, WriteError> {
        self.with_writer(Writer::finish_erasures)
    }

    fn held(&self) -> Option<HeldDirectory> {
        locked(&self.held).clone()
    }

    fn declare_verified(&self) -> Result<(), WriteError> {
        self.with_writer(|writer| Ok(writer.held().absolve()?))
    }

    fn close(&self) -> Result<(), WriteError> {
        let mut owned = locked(&self.owned);
        if owned.is_none() {
            return Ok(());
        }
        let marked = self.mark_head();
        self.readers.clear();
        *owned = None;
        *locked(&self.acknowledged) = None;
        *locked(&self.held) = None;
        self.readers.hold(None);
        marked
    }
}
