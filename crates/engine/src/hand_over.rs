//! What root makes in a directory of somebody else is given to him: a command that was run once
//! with `sudo` must not lock him out of his own directory.
//!
//! Only what is made is given away, through the handle that it was made with, and never what has a
//! second name: the directory's owner can put anything there.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::Path;

use rustix::fs::OFlags;

/// Makes a private directory, of the owner of the one it is in.
pub(crate) fn create_directory(path: &Path) -> io::Result<()> {
    create_with(path, 0o700)
}

fn create_with(path: &Path, mode: u32) -> io::Result<()> {
    DirBuilder::new().mode(mode).create(path)?;
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let flags = OFlags::NOFOLLOW | OFlags::DIRECTORY;
    let made = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    to_owner_of(&File::open(parent(path))?, &made)
}

/// Makes a directory and those above it that are missing, with these permissions as far as the
/// process's mask lets them.
pub(crate) fn create_directories(path: &Path, mode: u32) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if !parent(path).is_dir() {
        create_directories(parent(path), mode)?;
    }
    match create_with(path, mode) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        other => other,
    }
}

/// Gives a file or directory that this process has just made to the owner of another directory, if
/// this process is root and he is not.
pub(crate) fn to_owner_of(dir: &File, made: &File) -> io::Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let (owner, found) = (dir.metadata()?, made.metadata()?);
    let is_ours = found.uid() == 0 && (found.is_dir() || found.nlink() == 1);
    if owner.uid() == 0 || !is_ours {
        return Ok(());
    }
    if let Err(error) = fchown(made, Some(owner.uid()), Some(owner.gid())) {
        // A root who may not give away (a container without that capability, a file system without
        // owners) is none who could lock anybody out.
        tracing::debug!(%error, "could not give a file to the owner of its directory");
    }
    Ok(())
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::chown;

    use super::*;

    /// Somebody who is not root.
    const SOMEBODY: u32 = 65_534;

    #[test]
    fn what_root_makes_in_a_directory_of_somebody_else_is_his() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        chown(dir.path(), Some(SOMEBODY), Some(SOMEBODY)).unwrap();
        let owner = |name: &str| dir.path().join(name).metadata().unwrap().uid();
        create_directories(&dir.path().join("a/b"), 0o700).unwrap();
        for name in ["a", "a/b"] {
            assert_eq!(owner(name), SOMEBODY, "{name}");
        }
    }

    #[test]
    fn what_has_another_name_is_not_given_away() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (precious, named) = (other.path().join("precious"), dir.path().join("named"));
        std::fs::write(&precious, b"kept").unwrap();
        std::fs::hard_link(&precious, &named).unwrap();
        chown(dir.path(), Some(SOMEBODY), None).unwrap();
        let [dir, named] = [dir.path(), &named].map(|path| File::open(path).unwrap());
        to_owner_of(&dir, &named).unwrap();
        assert_eq!(precious.metadata().unwrap().uid(), 0);
    }
}
