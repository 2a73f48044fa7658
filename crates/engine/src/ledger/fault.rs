//! An error of the disk or the database, below everything that meets one.

use rusqlite::{ErrorCode, ffi};

use crate::room;

/// An error of the disk or the database, with what was being done.
#[derive(Debug, thiserror::Error)]
#[error("could not {doing}")]
pub struct Fault {
    /// What was being done.
    pub doing: String,
    /// What the system said.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
    /// Whether the disk, a quota or what a file may hold is full, so that the same may work once
    /// there is room.
    pub disk_full: bool,
    /// Whether it is trouble of the surroundings that may pass, as a full disk is, and nothing of
    /// what was to be done is left behind.
    pub passing: bool,
    /// Whether a sync failed, after which what the disk holds is unknown.
    pub sync_failed: bool,
}

impl Fault {
    /// The whole of it in one text, with what to do where that is known.
    #[must_use]
    pub fn told(&self) -> String {
        let of_sqlite = self.source.downcast_ref::<rusqlite::Error>();
        let code = of_sqlite.and_then(rusqlite::Error::sqlite_error_code);
        let advice = match code {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                "; another program has it locked, and must let go of it".to_owned()
            }
            // SQLite does not say what the system said.
            Some(ErrorCode::SystemIoFailure) => match largest_file() {
                Some(bytes) => {
                    format!(
                        "; make room, or raise the limit of {bytes} bytes for a file (ulimit -f)"
                    )
                }
                None => "; the disk, a quota or the file system refuses it".to_owned(),
            },
            _ if self.disk_full => "; make room".to_owned(),
            _ => String::new(),
        };
        let told = format!("{self}: {}", self.source);
        match room::shortage_of(&told) {
            Some(told) if advice.is_empty() => told,
            _ => told + &advice,
        }
    }

    pub(in crate::ledger) fn io(doing: impl Into<String>, source: std::io::Error) -> Self {
        use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        let disk_full = matches!(source.kind(), FileTooLarge | QuotaExceeded | StorageFull);
        Self {
            doing: doing.into(),
            passing: disk_full || room::is_lacking(&source),
            source: source.into(),
            disk_full,
            sync_failed: false,
        }
    }

    pub(in crate::ledger) fn sync(doing: impl Into<String>, source: std::io::Error) -> Self {
        Self { passing: false, sync_failed: true, ..Self::io(doing, source) }
    }

    pub(in crate::ledger) fn sql(doing: impl Into<String>, source: rusqlite::Error) -> Self {
        let (code, extended) = source
            .sqlite_error()
            .map_or((None, 0), |error| (Some(error.code), error.extended_code));
        Self {
            doing: doing.into(),
            disk_full: code == Some(ErrorCode::DiskFull),
            passing: may_pass(code, extended),
            sync_failed: matches!(extended, ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC),
            source: source.into(),
        }
    }
}

/// Whether an error of SQLite is one of its surroundings, which it undoes by itself: a transaction
/// that meets it is rolled back, and the write-ahead log is written over from where it stood.
///
/// A write beyond a quota or the limit of a file's size, and one to a failing disk, are the same to
/// it. That a sync failed, that bytes are not as they were written and that it was misused do not
/// pass.
fn may_pass(code: Option<ErrorCode>, extended: i32) -> bool {
    match code {
        Some(
            ErrorCode::DiskFull
            | ErrorCode::OutOfMemory
            | ErrorCode::CannotOpen
            | ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::FileLockingProtocolFailed,
        ) => true,
        Some(ErrorCode::SystemIoFailure) => matches!(
            extended,
            ffi::SQLITE_IOERR_READ
                | ffi::SQLITE_IOERR_WRITE
                | ffi::SQLITE_IOERR_TRUNCATE
                | ffi::SQLITE_IOERR_FSTAT
                | ffi::SQLITE_IOERR_ACCESS
                | ffi::SQLITE_IOERR_LOCK
                | ffi::SQLITE_IOERR_RDLOCK
                | ffi::SQLITE_IOERR_UNLOCK
                | ffi::SQLITE_IOERR_BLOCKED
                | ffi::SQLITE_IOERR_NOMEM
                | ffi::SQLITE_IOERR_SEEK
                | ffi::SQLITE_IOERR_SHMOPEN
                | ffi::SQLITE_IOERR_SHMSIZE
                | ffi::SQLITE_IOERR_SHMLOCK
                | ffi::SQLITE_IOERR_SHMMAP
        ),
        _ => false,
    }
}

/// The largest file that this process may write, if that is limited.
fn largest_file() -> Option<u64> {
    use rustix::process::{Resource, getrlimit};
    getrlimit(Resource::Fsize).current
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_has_its_cause_and_the_limit_that_ran_out() {
        let error = std::io::Error::from(rustix::io::Errno::MFILE);
        let fault = Fault::io("read a blob", error);
        let limit = room::Shortage::OpenFiles.limit().unwrap();
        assert_eq!(
            fault.told(),
            format!(
                "could not read a blob: Too many open files (os error 24); what ran out is {limit}"
            )
        );
    }

    #[test]
    fn every_error_of_sqlite_passes_or_not() {
        let of = |extended| {
            let error = rusqlite::Error::SqliteFailure(ffi::Error::new(extended), None);
            Fault::sql("test", error)
        };
        for extended in [
            ffi::SQLITE_FULL,
            ffi::SQLITE_NOMEM,
            ffi::SQLITE_CANTOPEN,
            ffi::SQLITE_BUSY,
            ffi::SQLITE_BUSY_RECOVERY,
            ffi::SQLITE_BUSY_SNAPSHOT,
            ffi::SQLITE_LOCKED,
            ffi::SQLITE_PROTOCOL,
            ffi::SQLITE_IOERR_READ,
            ffi::SQLITE_IOERR_WRITE,
            ffi::SQLITE_IOERR_TRUNCATE,
            ffi::SQLITE_IOERR_FSTAT,
            ffi::SQLITE_IOERR_LOCK,
            ffi::SQLITE_IOERR_NOMEM,
            ffi::SQLITE_IOERR_SHMOPEN,
            ffi::SQLITE_IOERR_SHMSIZE,
            ffi::SQLITE_IOERR_SHMMAP,
        ] {
            let fault = of(extended);
            assert!(fault.passing && !fault.sync_failed, "{extended}");
        }
        for extended in [
            ffi::SQLITE_CORRUPT,
            ffi::SQLITE_NOTADB,
            ffi::SQLITE_CONSTRAINT_COMMITHOOK,
            ffi::SQLITE_MISUSE,
            ffi::SQLITE_READONLY,
            ffi::SQLITE_IOERR_SHORT_READ,
            ffi::SQLITE_IOERR_CORRUPTFS,
            ffi::SQLITE_IOERR_DATA,
            ffi::SQLITE_IOERR_FSYNC,
            ffi::SQLITE_IOERR_DIR_FSYNC,
        ] {
            assert!(!of(extended).passing, "{extended}");
        }
        assert!(of(ffi::SQLITE_IOERR_FSYNC).sync_failed);
    }
}
