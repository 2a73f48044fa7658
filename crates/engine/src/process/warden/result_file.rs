//! The result file that a session left in its scratch directory.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::outside::{self, ReadError};
use crate::process::folder::{Kept, SessionFolder};
use crate::process::launch::RESULT_FILE;
use crate::process::redaction::{Secret, redacted};
use crate::process::tree_end::ResultFile;
use crate::room;

/// Reads the result file, which may be anything by now, and keeps it redacted.
///
/// # Errors
/// If there is no room to do that now.
pub(super) fn keep(
    scratch: &Path,
    cap: u64,
    secrets: &[Secret],
    folder: &SessionFolder,
) -> io::Result<ResultFile> {
    // A symbolic link to another user's file is not followed; a hard link is the same danger.
    let opened = outside::open_no_link(&scratch.join(RESULT_FILE));
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.is_absent() => return Ok(ResultFile::Absent),
        Err(error) => return refused(error),
    };
    let meta = match file.metadata() {
        Ok(meta) if meta.nlink() == 1 => meta,
        _ => return Ok(ResultFile::Unreadable),
    };
    if meta.len() > cap {
        return Ok(ResultFile::TooLarge(meta.len()));
    }
    match outside::read_open(file, cap) {
        Err(ReadError::TooLarge { .. }) => Ok(ResultFile::TooLarge(cap.saturating_add(1))),
        Ok(bytes) => {
            folder.keep(Kept::Result, &redacted(secrets, &bytes)).map(|()| ResultFile::Kept)
        }
        Err(error) => refused(error),
    }
}

fn refused(error: ReadError) -> io::Result<ResultFile> {
    match error {
        ReadError::System(error) if room::is_lacking(&error) => Err(error),
        ReadError::System(error) => Ok(ResultFile::failing(&error)),
        ReadError::NotAFile(_) | ReadError::TooLarge { .. } => Ok(ResultFile::Unreadable),
    }
}
