//! What SQLite alone costs: the measured counterpart of the ledger's appends.

use std::path::Path;

use antiphon_core::envelope::Recorded;

use super::{SqliteOptions, SqliteStore};
use crate::ledger::error::{OpenError, WriteError};
use crate::ledger::owner::Owner;
use crate::ledger::store::Store as _;

/// Plain group commit for benchmarks: the rows, pragmas, cached statement and checkpoints of the
/// ledger's writer, without hashes, checks, commits and head rows. What it leaves is no ledger.
#[doc(hidden)]
#[derive(Debug)]
pub struct AppendBaseline {
    store: SqliteStore,
}

impl AppendBaseline {
    /// Opens a new directory.
    ///
    /// # Errors
    /// As [`Store::open`](crate::ledger::Store::open).
    pub fn open(dir: impl AsRef<Path>, owner: &Owner) -> Result<Self, OpenError> {
        let store = SqliteStore::at(dir, SqliteOptions::default());
        store.open(owner).map(|_| Self { store })
    }

    /// Inserts events in one transaction that is durable when this returns.
    ///
    /// # Errors
    /// [`WriteError`] if SQLite refuses.
    pub fn append(&self, events: &[Recorded]) -> Result<(), WriteError> {
        self.store.with_writer(|writer| Ok(writer.insert_only(events)?))
    }
}

/// The version of SQLite that the ledger is kept with.
#[doc(hidden)]
#[must_use]
pub fn sqlite_version() -> &'static str {
    rusqlite::version()
}
