//! The result file that a session left in its scratch directory.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::outside::{self, ReadError};
use crate::process::folder::{Kept, SessionFolder};
use crate::process::launch::RESULT_FILE;
use crate::process::redaction::{Secret, redacted};
use crate::process::tree_end::ResultFile;

/// Reads the result file, which may be anything by now, and keeps it redacted.
pub(super) fn keep(
    scratch: &Path,
    cap: u64,
    secrets: &[Secret],
    folder: &SessionFolder,
) -> ResultFile {
    // A symbolic link to another user's file is not followed; a hard link is the same danger.
    let opened = outside::open_no_link(&scratch.join(RESULT_FILE));
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.is_absent() => return ResultFile::Absent,
        Err(_) => return ResultFile::Unreadable,
    };
    let meta = match file.metadata() {
        Ok(meta) if meta.nlink() == 1 => meta,
        _ => return ResultFile::Unreadable,
    };
    if meta.len() > cap {
        return ResultFile::TooLarge(meta.len());
    }
    match outside::read_open(file, cap) {
        Err(ReadError::TooLarge { .. }) => ResultFile::TooLarge(cap.saturating_add(1)),
        Ok(bytes) if folder.keep(Kept::Result, &redacted(secrets, &bytes)).is_ok() => {
            ResultFile::Kept
        }
        _ => ResultFile::Unreadable,
    }
}
