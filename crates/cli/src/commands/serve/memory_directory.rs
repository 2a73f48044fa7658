//! The directory of an engine whose ledger is in memory: what sessions need on a disk, and the socket.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::command_error::{CommandError, Kind};

/// What its name begins with.
const NAME: &str = "antiphon-";

/// A private directory that nobody else has, removed when this is dropped.
pub(super) struct MemoryDirectory(TempDir);

impl MemoryDirectory {
    pub(super) fn make() -> Result<Self, CommandError> {
        let parent = parent();
        let mut builder = tempfile::Builder::new();
        builder.prefix(NAME).permissions(Permissions::from_mode(0o700));
        builder.tempdir_in(&parent).map(Self).map_err(|error| {
            let what = format!("cannot make a directory in {}: {error}", parent.display());
            CommandError::new(Kind::State, what).with_hint("set TMPDIR to a writable directory")
        })
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(super) fn remove(self) -> Result<(), CommandError> {
        let path = self.path().to_owned();
        self.0.close().map_err(|error| {
            CommandError::internal(format!("cannot remove {}: {error}", path.display()))
        })
    }
}

/// Where it is made: where temporary files are to be if that is said, else where those of the user's
/// login are.
fn parent() -> PathBuf {
    let named = |name| std::env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
    let of_login = || named("XDG_RUNTIME_DIR").filter(|path| path.is_dir());
    named("TMPDIR").or_else(of_login).unwrap_or_else(std::env::temp_dir)
}
