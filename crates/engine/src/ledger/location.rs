//! Where a ledger is kept: the one place that knows which store keeps it there.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use antiphon_core::id::CommitNumber;

use super::directory::StateDirectory;
use super::error::ReadError;
use super::head_mark::HeadMark;
use super::head_mark::MarkRefusal;
use super::memory::MemoryStore;
use super::sqlite::{Backup, BackupError, LedgerPosition, SqliteOptions, SqliteStore};
use super::store::Store;
use super::verify::{Scope, VerifyReport, verify_directory};
use super::watch::Watch;

/// Where a ledger is kept, and what is accepted of one that is not as it was left.
///
/// Naming a location touches nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    directory: PathBuf,
    keeper: Keeper,
    accept_shorter: bool,
    accept_missing_mark: bool,
}

/// What keeps the events.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Keeper {
    Database,
    Memory {
        /// Where the scratch directories of sessions are made.
        scratch: PathBuf,
    },
}

/// Name of the state directory of a ledger in memory.
const STATE: &str = "state";

impl Location {
    /// A state directory on this machine.
    #[must_use]
    pub fn directory(path: impl Into<PathBuf>) -> Self {
        Self {
            directory: path.into(),
            keeper: Keeper::Database,
            accept_shorter: false,
            accept_missing_mark: false,
        }
    }

    /// The memory of the engine that opens it: each store of it is a ledger of its own, which is gone
    /// with that. The directory, which is empty or not there yet, gets what is no part of a ledger: a
    /// state directory for the engine's socket and what sessions need while they run, and beside it
    /// their scratch directories. Whoever chose it removes it.
    #[must_use]
    pub fn memory(directory: impl Into<PathBuf>) -> Self {
        let scratch = directory.into();
        let state = scratch.join(STATE);
        Self { keeper: Keeper::Memory { scratch }, ..Self::directory(state) }
    }

    /// Lets an engine open a ledger that is shorter than its head mark or differs from it. The
    /// engine records that.
    #[must_use]
    pub fn accept_shorter(self) -> Self {
        Self { accept_shorter: true, ..self }
    }

    /// Lets an engine open a ledger whose head mark is missing or damaged. The engine records that.
    #[must_use]
    pub fn accept_missing_mark(self) -> Self {
        Self { accept_missing_mark: true, ..self }
    }

    /// The directory in which an engine keeps what belongs to a ledger but is no part of it:
    /// sessions that run, and its socket.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.directory
    }

    /// Where the scratch directories of sessions are made: with the other temporary files of the
    /// system, or in the directory of a ledger in memory, which has all that it needs on a disk.
    pub(crate) fn scratch(&self) -> PathBuf {
        match &self.keeper {
            Keeper::Database => std::env::temp_dir(),
            Keeper::Memory { scratch } => scratch.clone(),
        }
    }

    /// The files of the state directory, for questions that no store answers: who holds the ledger,
    /// and what an earlier owner left for the next one.
    #[must_use]
    pub fn files(&self) -> StateDirectory {
        StateDirectory::new(&self.directory)
    }

    /// The ledger's store. It can be read whichever engine owns the ledger; [`Store::open`] is what
    /// takes the ledger over.
    #[must_use]
    pub fn store(&self) -> Arc<dyn Store> {
        match self.keeper {
            Keeper::Database => Arc::new(self.sqlite()),
            Keeper::Memory { .. } => Arc::new(MemoryStore::in_directory(self.files())),
        }
    }

    /// How far the ledger has come.
    ///
    /// # Errors
    /// When there is no ledger, or it cannot be read.
    pub fn position(&self) -> Result<LedgerPosition, ReadError> {
        self.sqlite().position()
    }

    /// Compares the ledger with a mark, as opening it would.
    ///
    /// # Errors
    /// When the ledger cannot be read; the inner error says that it does not hold all that the mark
    /// knew.
    pub fn check_against(&self, mark: &HeadMark) -> Result<Result<(), MarkRefusal>, ReadError> {
        self.sqlite().check_against(mark)
    }

    /// Why the files may lack the newest part of the ledger, if that can be told: they are a copy
    /// without the write-ahead log, or one that was made while an engine wrote.
    ///
    /// # Errors
    /// When there is no ledger, or it cannot be read.
    pub fn may_be_short(&self) -> Result<Option<String>, ReadError> {
        // Before the ledger: an engine that writes meanwhile only adds to what the mark knows.
        let mark = HeadMark::read(&self.directory);
        let position = self.position()?;
        let end = position.commits.number;
        Ok(match mark {
            Ok(Some(mark)) if mark.commit.number > end => {
                let known = mark.commit.number;
                Some(format!("it ends at commit {end}, and its head mark knows commit {known}"))
            }
            Ok(None) if end > CommitNumber(0) => {
                Some("it has no head mark to tell how far the ledger had come".to_owned())
            }
            Ok(_) => None,
            Err(error) => Some(error.to_string()),
        })
    }

    /// Verifies the ledger, and, where that is all of it, that it reaches its head mark.
    ///
    /// # Errors
    /// When there is no ledger, or it cannot be read at all. What is damaged is in the report.
    pub fn verify(&self, scope: &Scope) -> Result<VerifyReport, ReadError> {
        verify_directory(&self.directory, scope)
    }

    /// Makes a state directory at `place` that holds the ledger as of one commit; see
    /// [`SqliteStore::backup`].
    ///
    /// # Errors
    /// [`BackupError`]; nothing is left at the place then.
    pub fn backup(&self, place: &Path) -> Result<Backup, BackupError> {
        self.sqlite().backup(place)
    }

    /// Wakes a reader when the ledger may have grown.
    ///
    /// # Errors
    /// When the directory is not there.
    pub fn watch(&self) -> io::Result<Watch> {
        Watch::on(&self.directory)
    }

    fn sqlite(&self) -> SqliteStore {
        let options = SqliteOptions {
            accept_shorter: self.accept_shorter,
            accept_missing_mark: self.accept_missing_mark,
            ..SqliteOptions::default()
        };
        SqliteStore::at(&self.directory, options)
    }
}

#[cfg(test)]
mod tests {
    use antiphon_core::time::WallTime;

    use super::super::{OpenError, Owner};
    use super::*;

    #[test]
    fn a_directory_is_of_one_ledger_on_disk_or_in_memory() {
        let above = tempfile::tempdir().unwrap();
        let owner = Owner::this_process(WallTime(0));
        let memory = Location::memory(above.path().join("memory"));
        let store = memory.store();
        let opened = store.open(&owner).unwrap();
        assert_eq!((opened.epoch.0, opened.seq.0), (1, 0));
        assert!(memory.files().is_of_memory() && !memory.files().database().exists());
        assert!(matches!(memory.store().open(&owner), Err(OpenError::InUse { .. })));
        drop(store);
        let on_disk = Location::directory(memory.path()).store().open(&owner);
        assert!(matches!(on_disk, Err(OpenError::WasInMemory { .. })));
        // What was in memory is gone: the next one is another ledger.
        assert_ne!(memory.store().open(&owner).unwrap().ledger, opened.ledger);

        let disk = Location::directory(above.path().join("disk").join(STATE));
        drop(disk.store().open(&owner).unwrap());
        let in_memory = Location::memory(above.path().join("disk")).store().open(&owner);
        assert!(matches!(in_memory, Err(OpenError::OnDisk { .. })));
    }
}
