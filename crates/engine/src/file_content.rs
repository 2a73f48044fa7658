//! What a file holds: its state at a moment, and the digest of its content.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::MetadataExt as _;

use antiphon_core::digest::{Digest, Hashing};
use serde::{Deserialize, Serialize};

/// Largest file whose content is read without being asked for, in bytes.
pub const MAX_HASHED: u64 = 1 << 30;

/// What tells one state of a file from another without reading it. Times are in nanoseconds since
/// the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct FileState {
    pub device: u64,
    pub inode: u64,
    /// In bytes.
    pub size: u64,
    pub modified: i64,
    /// When its content or its properties changed last, which no program can set.
    pub changed: i64,
}

impl FileState {
    pub(crate) fn of(found: &Metadata) -> Self {
        let moment = |seconds: i64, nanoseconds: i64| {
            seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds)
        };
        Self {
            device: found.dev(),
            inode: found.ino(),
            size: found.size(),
            modified: moment(found.mtime(), found.mtime_nsec()),
            changed: moment(found.ctime(), found.ctime_nsec()),
        }
    }
}

/// Reads an open file to its end. Gives its state too, and no digest if it was not wanted any more or
/// the file changed meanwhile. Blocks.
pub(crate) fn hash(
    mut file: File,
    is_wanted: &dyn Fn() -> bool,
) -> io::Result<(Option<Digest>, FileState)> {
    let state_of = |file: &File| file.metadata().map(|found| FileState::of(&found));
    let before = state_of(&file)?;
    let (mut hasher, mut buffer) = (Hashing::default(), vec![0; 256 << 10]);
    loop {
        if !is_wanted() {
            return Ok((None, before));
        }
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => hasher.take(&buffer[..read]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let after = state_of(&file)?;
    let digest = (after == before).then(|| hasher.finish());
    Ok((digest, after))
}
