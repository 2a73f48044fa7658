//! An error of the disk or the database, below everything that meets one.

/// An error of the disk or the database, with what was being done.
#[derive(Debug, thiserror::Error)]
#[error("could not {doing}")]
pub struct Fault {
    /// What was being done.
    pub doing: String,
    /// What the system said.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
    /// Whether the disk, a quota or what a file may hold is full, so that the same may work once there is room.
    pub disk_full: bool,
    /// Whether a sync failed, after which what the disk holds is unknown.
    pub sync_failed: bool,
}

impl Fault {
    /// The whole of it in one text, with what to do where that is known.
    pub(crate) fn told(&self) -> String {
        let busy = self.source.downcast_ref::<rusqlite::Error>().is_some_and(|error| {
            matches!(
                error.sqlite_error_code(),
                Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked)
            )
        });
        let advice = match (self.disk_full, busy) {
            (true, _) => "; make room",
            (_, true) => "; another program has it locked, and must let go of it",
            _ => "",
        };
        format!("{self}: {}{advice}", self.source)
    }

    pub(in crate::ledger) fn io(doing: impl Into<String>, source: std::io::Error) -> Self {
        use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        let disk_full = matches!(source.kind(), FileTooLarge | QuotaExceeded | StorageFull);
        Self { doing: doing.into(), source: source.into(), disk_full, sync_failed: false }
    }

    pub(in crate::ledger) fn sync(doing: impl Into<String>, source: std::io::Error) -> Self {
        Self { sync_failed: true, ..Self::io(doing, source) }
    }

    pub(in crate::ledger) fn sql(doing: impl Into<String>, source: rusqlite::Error) -> Self {
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
