//! The directory of one session outside of the state directory: made, filled, removed whatever is
//! in it.

use std::ffi::{CStr, OsStr};
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::Path;

use rustix::fs::{Dir, Mode, OFlags};
use rustix::io::Errno;

use super::emptying::empty;
use super::launch::{SCRATCH_NAME, Scratch};
use super::mark::Mark;
use super::outlast::outlast;

/// The file that proves whose directory it is: the session's mark, and which directory it was
/// written for. A copy that came from elsewhere is another directory. It is the first to come and
/// the last to go, so whoever ends half-way leaves a directory that can still be told from others.
const PROOF: &CStr = c".antiphon";
const DIRECTORY: OFlags =
    OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::RDONLY);

/// Makes it. The name is random, so it is ours alone.
pub(super) fn make(scratch: &Scratch, mark: Mark) -> io::Result<()> {
    let directory = scratch.directory();
    DirBuilder::new().mode(0o700).create(directory)?;
    let proof = proof(mark, &std::fs::symlink_metadata(directory)?);
    let files = scratch.files.iter().map(|(name, bytes)| (Path::new(name), bytes.as_slice()));
    for (name, bytes) in [(proof_name(), proof.as_bytes())].into_iter().chain(files) {
        let path = directory.join(name);
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(bytes)?;
    }
    Ok(())
}

/// Removes what this process, or the engine that it works for, has made; also when the session took
/// its own rights away inside. Links are not followed.
pub(super) fn remove(directory: &Path) {
    if let Err(error) = outlast(|| removed(directory)) {
        tracing::warn!(directory = %directory.display(), %error, "a session's scratch directory \
            cannot be removed; what the session left is still in it");
    }
}

/// Removes what a record names as the scratch directory of a session, if what is in it proves that:
/// the record may have come from elsewhere.
pub(super) fn remove_proven(directory: &Path, mark: Mark) {
    match outlast(|| is_proven(directory, mark)) {
        Ok(true) => remove(directory),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !directory.exists() => {}
        Ok(false) | Err(_) => {
            tracing::warn!(directory = %directory.display(), "a directory is left alone that is \
                recorded as a session's scratch directory, because nothing in it proves that; \
                remove it if it is one");
        }
    }
}

fn proof_name() -> &'static Path {
    Path::new(OsStr::from_bytes(PROOF.to_bytes()))
}

fn proof(mark: Mark, directory: &std::fs::Metadata) -> String {
    format!("{mark} {}\n", directory.ino())
}

/// Whether it holds its proof, or was left when there was no more in it than the beginning of one:
/// then nothing of anybody's is lost with it.
fn is_proven(directory: &Path, mark: Mark) -> io::Result<bool> {
    let is_name = |name: &OsStr| name.to_string_lossy().starts_with(SCRATCH_NAME);
    if !directory.is_absolute() || !directory.file_name().is_some_and(is_name) {
        return Ok(false);
    }
    let opened = File::from(rustix::fs::open(directory, DIRECTORY, Mode::empty())?);
    let found = opened.metadata()?;
    let user = rustix::process::geteuid();
    if found.uid() != user.as_raw() && !user.is_root() {
        return Ok(false);
    }
    let expected = proof(mark, &found);
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut bytes = Vec::new();
    match rustix::fs::openat(&opened, PROOF, flags, Mode::empty()) {
        Ok(file) => {
            let file = File::from(file);
            if !file.metadata()?.is_file() {
                return Ok(false);
            }
            file.take(expected.len() as u64 + 1).read_to_end(&mut bytes)?;
        }
        Err(Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let is_beginning = expected.as_bytes().starts_with(&bytes);
    Ok(is_beginning && (bytes.len() == expected.len() || holds_no_more_than_proof(&opened)?))
}

fn holds_no_more_than_proof(directory: &File) -> io::Result<bool> {
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") && entry.file_name() != PROOF {
            return Ok(false);
        }
    }
    Ok(true)
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
    empty(opened.as_fd(), PROOF)?;
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
        std::fs::copy(ours.join(proof_name()), copy.join(proof_name())).unwrap();
        remove_proven(&copy, mark);
        assert!(copy.exists(), "a copy that came from elsewhere");
        let theirs = root.path().join("important");
        std::fs::create_dir(&theirs).unwrap();
        remove_proven(&theirs, mark);
        let link = root.path().join(format!("{SCRATCH_NAME}link"));
        std::os::unix::fs::symlink(&ours, &link).unwrap();
        remove_proven(&link, mark);
        assert!(theirs.exists() && link.exists() && ours.join(proof_name()).exists());
        remove_proven(&ours, mark);
        assert!(!ours.exists());
        remove_proven(&ours, mark);
    }

    #[test]
    fn what_was_left_half_made_or_half_removed_is_still_proven() {
        let root = tempfile::tempdir().unwrap();
        let mark = Mark::fresh().unwrap().unwrap();
        let left = root.path().join(format!("{SCRATCH_NAME}left"));
        let proof_file = left.join(proof_name());
        std::fs::create_dir(&left).unwrap();
        remove_proven(&left, mark);
        assert!(!left.exists(), "before the first byte of its proof");
        std::fs::create_dir(&left).unwrap();
        let proof = proof(mark, &std::fs::metadata(&left).unwrap());
        std::fs::write(&proof_file, &proof[..9]).unwrap();
        std::fs::write(left.join("work"), "").unwrap();
        remove_proven(&left, mark);
        assert!(left.join("work").exists(), "half a proof proves nothing of what is beside it");
        std::fs::remove_file(left.join("work")).unwrap();
        remove_proven(&left, mark);
        assert!(!left.exists(), "while its proof was written");
    }

    #[test]
    fn a_link_in_its_place_is_removed_and_not_what_it_leads_to() {
        let root = tempfile::tempdir().unwrap();
        let (ours, _) = made(root.path());
        let link = root.path().join("link");
        std::os::unix::fs::symlink(&ours, &link).unwrap();
        remove(&link);
        assert!(!link.exists() && ours.join(proof_name()).exists());
    }
}
