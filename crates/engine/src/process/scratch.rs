//! The directory of one session outside of the state directory: made, filled, removed whatever is
//! in it.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use super::emptying::empty;
use super::launch::{SCRATCH_NAME, Scratch};
use super::mark::Mark;

/// The file that proves whose directory it is: the session's mark, and which directory it was
/// written for. A copy that came from elsewhere is another directory.
const PROOF: &str = ".antiphon";
const DIRECTORY: OFlags =
    OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::RDONLY);

/// Makes it. The name is random, so it is ours alone.
pub(super) fn make(scratch: &Scratch, mark: Mark) -> io::Result<()> {
    let directory = scratch.directory();
    DirBuilder::new().mode(0o700).create(directory)?;
    let proof = proof(mark, &std::fs::symlink_metadata(directory)?);
    let files = scratch.files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
    for (name, bytes) in files.chain([(PROOF, proof.as_bytes())]) {
        let path = directory.join(name);
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(bytes)?;
    }
    Ok(())
}

/// Removes what this process, or the engine that it works for, has made; also when the session took
/// its own rights away inside. Links are not followed.
pub(super) fn remove(directory: &Path) {
    if let Err(error) = removed(directory) {
        tracing::warn!(directory = %directory.display(), %error, "a session's scratch directory \
            cannot be removed; what the session left is still in it");
    }
}

/// Removes what a record names as the scratch directory of a session, if what is in it proves that:
/// the record may have come from elsewhere.
pub(super) fn remove_proven(directory: &Path, mark: Mark) {
    match is_proven(directory, mark) {
        Ok(true) => remove(directory),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !directory.exists() => {}
        Ok(false) | Err(_) => {
            tracing::warn!(directory = %directory.display(), "a directory is left alone that is \
                recorded as a session's scratch directory, because nothing in it proves that; \
                remove it if it is one");
        }
    }
}

fn proof(mark: Mark, directory: &std::fs::Metadata) -> String {
    format!("{mark} {}\n", directory.ino())
}

fn is_proven(directory: &Path, mark: Mark) -> io::Result<bool> {
    let is_name = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with(SCRATCH_NAME);
    if !directory.is_absolute() || !directory.file_name().is_some_and(is_name) {
        return Ok(false);
    }
    let opened = File::from(rustix::fs::open(directory, DIRECTORY, Mode::empty())?);
    let found = opened.metadata()?;
    let user = rustix::process::geteuid();
    if found.uid() != user.as_raw() && !user.is_root() {
        return Ok(false);
    }
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::openat(&opened, PROOF, flags, Mode::empty())?);
    let expected = proof(mark, &found);
    let mut bytes = Vec::new();
    if !file.metadata()?.is_file() {
        return Ok(false);
    }
    file.take(expected.len() as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes == expected.as_bytes())
}

fn removed(directory: &Path) -> io::Result<()> {
    let found = match std::fs::symlink_metadata(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found?,
    };
    if !found.is_dir() {
        // A link, or a file: the session has put it there.
        return std::fs::remove_file(directory);
    }
    // If this is refused, so is what follows, and that is told.
    let _ = std::fs::set_permissions(directory, Permissions::from_mode(0o700));
    let opened = rustix::fs::open(directory, DIRECTORY, Mode::empty())?;
    empty(opened.as_fd())?;
    std::fs::remove_dir(directory)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn made(root: &Path) -> (PathBuf, Mark) {
        let scratch = Scratch::below(root).unwrap();
        let mark = Mark::fresh().unwrap().unwrap();
        make(&scratch, mark).unwrap();
        (scratch.directory().to_owned(), mark)
    }

    #[test]
    fn what_a_record_names_is_removed_only_if_it_is_proven() {
        let root = tempfile::tempdir().unwrap();
        let (ours, mark) = made(root.path());
        let other = Mark::fresh().unwrap().unwrap();
        remove_proven(&ours, other);
        assert!(ours.exists(), "the mark of another session");
        let copy = root.path().join(format!("{SCRATCH_NAME}copy"));
        std::fs::create_dir(&copy).unwrap();
        std::fs::copy(ours.join(PROOF), copy.join(PROOF)).unwrap();
        remove_proven(&copy, mark);
        assert!(copy.exists(), "a copy that came from elsewhere");
        let theirs = root.path().join("important");
        std::fs::create_dir(&theirs).unwrap();
        remove_proven(&theirs, mark);
        let link = root.path().join(format!("{SCRATCH_NAME}link"));
        std::os::unix::fs::symlink(&ours, &link).unwrap();
        remove_proven(&link, mark);
        assert!(theirs.exists() && link.exists() && ours.join(PROOF).exists());
        remove_proven(&ours, mark);
        assert!(!ours.exists());
        remove_proven(&ours, mark);
    }

    #[test]
    fn a_link_in_its_place_is_removed_and_not_what_it_leads_to() {
        let root = tempfile::tempdir().unwrap();
        let (ours, _) = made(root.path());
        let link = root.path().join("link");
        std::os::unix::fs::symlink(&ours, &link).unwrap();
        remove(&link);
        assert!(!link.exists() && ours.join(PROOF).exists());
    }
}
