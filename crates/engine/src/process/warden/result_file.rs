//! The result file that a session left in its scratch directory.

use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

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
    let opened = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(scratch.join(RESULT_FILE));
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return ResultFile::Absent,
        Err(_) => return ResultFile::Unreadable,
    };
    // A symbolic link to another user's file was not followed; a hard link is the same danger.
    let meta = match file.metadata() {
        Ok(meta) if meta.is_file() && meta.nlink() == 1 => meta,
        _ => return ResultFile::Unreadable,
    };
    if meta.len() > cap {
        return ResultFile::TooLarge(meta.len());
    }
    let mut bytes = Vec::new();
    match file.take(cap).read_to_end(&mut bytes) {
        Ok(_) if folder.keep(Kept::Result, &redacted(secrets, &bytes)).is_ok() => ResultFile::Kept,
        _ => ResultFile::Unreadable,
    }
}
