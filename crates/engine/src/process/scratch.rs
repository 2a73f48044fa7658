//! The directory of one session outside of the state directory: made, filled, removed whatever is
//! in it.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use super::launch::Scratch;

/// Makes it. The name is random, so it is ours alone.
pub(super) fn make(scratch: &Scratch) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(scratch.directory())?;
    for (name, bytes) in &scratch.files {
        let path = scratch.directory().join(name);
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(bytes)?;
    }
    Ok(())
}

/// Removes it, also when the session took its own rights away inside. Links are not followed.
pub(super) fn remove(directory: &Path) {
    if std::fs::remove_dir_all(directory).is_err() && directory.is_dir() {
        permit(directory);
        if let Err(error) = std::fs::remove_dir_all(directory) {
            tracing::warn!(directory = %directory.display(), %error, "a session's scratch \
                directory cannot be removed");
        }
    }
}

fn permit(directory: &Path) {
    let _ = std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o700));
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            permit(&entry.path());
        }
    }
}
