//! Reading a ledger where nothing can be written beside it: a medium for reading only, a disk that
//! is full, or files that belong to somebody else.
//!
//! SQLite then has no place for the index of a write-ahead log, which is also what tells readers
//! and writers of each other. So such a ledger is read only while no engine owns it, and what was
//! read counts only if its files are as they were.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rusqlite::{Connection, ErrorCode, ffi};

use super::connection;
use crate::ledger::directory::StateDirectory;
use crate::ledger::fault::Fault;

/// Files that nobody writes to, as they were when they were opened.
#[derive(Debug)]
pub(super) struct Still {
    files: [PathBuf; 2],
    seen: [Option<Seen>; 2],
}

/// What changes with a file whenever it is written to.
type Seen = (u64, Option<SystemTime>);

impl Still {
    /// Opens the database of a directory for reading, where the usual way has failed for this
    /// reason. Nothing if the reason is another one.
    pub(super) fn open(
        dir: &StateDirectory,
        error: &rusqlite::Error,
    ) -> Option<rusqlite::Result<(Self, Connection)>> {
        if !needs_a_file(error) || !matches!(dir.holder(), Ok(None)) {
            return None;
        }
        let database = dir.database();
        let mut log = database.clone().into_os_string();
        log.push("-wal");
        let files = [database, PathBuf::from(log)];
        let seen = files.each_ref().map(|file| seen(file));
        let has_log = seen[1].is_some_and(|(bytes, _)| bytes > 0);
        let still = Self { seen, files };
        Some(connection::reading_still(&still.files[0], has_log).map(|found| (still, found)))
    }

    /// Whether nobody has written since.
    pub(super) fn holds(&self) -> bool {
        self.files.each_ref().map(|file| seen(file)) == self.seen
    }

    /// What was read is not the state of the ledger at any time.
    pub(super) fn moved(&self) -> Fault {
        let doing = format!("read {}", self.files[0].display());
        let how = "an engine wrote to it meanwhile, and it cannot be shared with one here; \
                   run the command again";
        Fault::io(doing, std::io::Error::other(how))
    }
}

fn seen(file: &Path) -> Option<Seen> {
    let found = std::fs::metadata(file).ok().filter(std::fs::Metadata::is_file)?;
    Some((found.len(), found.modified().ok()))
}

/// Whether SQLite could not make or write the files that lie beside a database which has a
/// write-ahead log.
fn needs_a_file(error: &rusqlite::Error) -> bool {
    let Some(error) = error.sqlite_error() else { return false };
    match error.code {
        ErrorCode::CannotOpen => true,
        ErrorCode::ReadOnly => error.extended_code != ffi::SQLITE_READONLY_ROLLBACK,
        _ => matches!(
            error.extended_code,
            ffi::SQLITE_IOERR_SHMOPEN
                | ffi::SQLITE_IOERR_SHMSIZE
                | ffi::SQLITE_IOERR_SHMMAP
                | ffi::SQLITE_IOERR_SHMLOCK
        ),
    }
}
