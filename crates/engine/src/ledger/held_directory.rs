//! A state directory that is held open: what its path names can be compared with it at any time,
//! and small files go into it and into no other, whatever its path names by then.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, Stat, fstat, stat, statat};
use rustix::io::Errno;

use super::durable;
use super::fault::Fault;
use crate::folder::Folder;

pub(super) const DATABASE: &str = "ledger.db";
pub(super) const POISONED: &str = "poisoned";
/// Marks the directory of a ledger that is in its engine's memory.
pub(super) const IN_MEMORY: &str = "in-memory";

/// A state directory, held open, with the files in it that must stay the ones that they are.
#[derive(Debug, Clone)]
pub struct HeldDirectory(Arc<Held>);

#[derive(Debug)]
struct Held {
    /// As its user named it.
    path: PathBuf,
    /// The same from wherever this process works now.
    absolute: PathBuf,
    folder: Folder,
    files: Vec<(&'static str, Identity)>,
}

/// What tells a file from every other on this machine, for as long as somebody has it open.
type Identity = (u64, u64);

/// A state directory that is not there any more, or not the one that was opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the state directory {} {loss}", dir.display())]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct Gone {
    pub dir: PathBuf,
    pub loss: Loss,
}

/// What became of a state directory.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Loss {
    /// It was removed.
    Removed,
    /// It was removed by the engine in whose memory the ledger was, at its end.
    WithItsEngine,
    /// It was renamed.
    Moved {
        /// Where it is now.
        to: PathBuf,
    },
    /// Its path leads nowhere, and it is under no other.
    Unmounted,
    /// Its path names another directory.
    Replaced,
    /// A file without which it holds no ledger was removed or replaced.
    File {
        /// Its name.
        name: &'static str,
    },
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LOST: &str = "is gone: it was removed while it was in use, and the record of its runs \
                            with it; run them again, and keep it out of what cleans up there";
        match self {
            Self::Removed => f.write_str(LOST),
            Self::WithItsEngine => f.write_str(
                "is gone: its ledger was in the memory of an engine that has ended, and the record of \
                 its runs went with it",
            ),
            Self::Moved { to } => write!(
                f,
                "was moved to {} while it was in use; move it back, then `antiphon resume` \
                 continues its runs",
                to.display()
            ),
            Self::Unmounted => f.write_str(
                "is gone: its file system was unmounted while it was in use; mount it again, then \
                 `antiphon resume` continues its runs",
            ),
            Self::Replaced => f.write_str(
                "is not the one that was in use any more: that one was removed or moved, and \
                 another has its name; bring it back and resume its runs, or run them again",
            ),
            Self::File { name } => write!(
                f,
                "holds no record any more: the file {name} in it was removed or replaced while it \
                 was in use; restore it from a backup, or remove the directory and run again"
            ),
        }
    }
}

impl HeldDirectory {
    /// Holds the state directory that a path names now, with the ledger in it, or with the mark of one
    /// that is in memory.
    ///
    /// # Errors
    /// When there is none.
    pub fn of_ledger(path: &Path) -> io::Result<Self> {
        let held = Self::open(path)?;
        let file = if held.folder().has(IN_MEMORY) { IN_MEMORY } else { DATABASE };
        held.with_files(&[file])
    }

    /// Holds a directory.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        // A library's process may go to work elsewhere, where a relative path names another one.
        let absolute = std::path::absolute(path)?;
        let folder = Folder::open(&absolute)?;
        Ok(Self(Arc::new(Held { path: path.to_owned(), absolute, folder, files: Vec::new() })))
    }

    /// The same with files in it that must stay the ones that they are now.
    pub(super) fn with_files(&self, names: &[&'static str]) -> io::Result<Self> {
        let Held { path, absolute, folder, .. } = &*self.0;
        let files = names
            .iter()
            .map(|name| Ok((*name, identity(&statat(folder, *name, AtFlags::empty())?))))
            .collect::<io::Result<_>>()?;
        let (path, absolute, folder) = (path.clone(), absolute.clone(), folder.clone());
        Ok(Self(Arc::new(Held { path, absolute, folder, files })))
    }

    /// The path that it was opened by.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// What is in it, reached through its descriptor.
    pub(crate) fn folder(&self) -> &Folder {
        &self.0.folder
    }

    /// A path of it for SQLite, which opens files by their paths alone: where the system says that
    /// it is at this moment, or else where it was opened.
    pub(super) fn whereabouts(&self) -> PathBuf {
        let Held { absolute, folder, .. } = &*self.0;
        let names_it = |path: &Path| {
            fstat(folder)
                .is_ok_and(|held| stat(path).is_ok_and(|found| identity(&found) == identity(&held)))
        };
        match path_of(folder) {
            Some(now) if now != *absolute && names_it(&now) => now,
            _ => absolute.clone(),
        }
    }

    /// Whether its path still names it, with the same files in it.
    ///
    /// Only what is certain counts as a loss: a path that cannot be looked at for another reason,
    /// as without the permission, may still lead there.
    ///
    /// # Errors
    /// [`Gone`] if not.
    pub fn stands(&self) -> Result<(), Gone> {
        let Held { path, absolute, folder, files } = &*self.0;
        let gone = |loss| Err(Gone { dir: path.clone(), loss });
        let Ok(held) = fstat(folder) else { return Ok(()) };
        match stat(absolute) {
            Ok(found) if identity(&found) != identity(&held) => return gone(Loss::Replaced),
            Err(Errno::NOENT | Errno::NOTDIR) => return gone(self.loss(&held)),
            Ok(_) | Err(_) => {}
        }
        for (name, known) in files {
            match statat(folder, *name, AtFlags::empty()) {
                Ok(found) if identity(&found) != *known => return gone(Loss::File { name }),
                Err(Errno::NOENT) => return gone(Loss::File { name }),
                Ok(_) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// What became of it, as its path leads nowhere.
    fn loss(&self, held: &Stat) -> Loss {
        let is_of_memory = self.0.files.iter().any(|(name, _)| *name == IN_MEMORY);
        if held.st_nlink == 0 {
            return if is_of_memory { Loss::WithItsEngine } else { Loss::Removed };
        }
        match path_of(&self.0.folder) {
            Some(to) if stat(&to).is_ok_and(|found| identity(&found) == identity(held)) => {
                Loss::Moved { to }
            }
            // Not every file system counts down the names of what was removed.
            Some(to) if to.to_string_lossy().ends_with(" (deleted)") => Loss::Removed,
            _ => Loss::Unmounted,
        }
    }

    /// Notes an error of a sync for the next owner, as well as that can be done after one.
    pub(super) fn poison(&self, fault: &Fault) {
        let text = format!(
            "An error of a sync: {fault}: {}\nThe next start verifies the ledger.\n",
            fault.source
        );
        if let Err(error) = durable::replace(self.folder(), POISONED, text.as_bytes()) {
            tracing::error!(%error, "could not leave a note that the ledger needs verification");
        }
    }

    /// Takes the note back.
    pub(super) fn absolve(&self) -> Result<(), Fault> {
        durable::remove(self.folder(), POISONED)
    }
}

fn identity(found: &Stat) -> Identity {
    (found.st_dev, found.st_ino)
}

/// Where an open directory is now, as far as the system tells.
fn path_of(folder: &Folder) -> Option<PathBuf> {
    let link = format!("/proc/self/fd/{}", folder.as_fd().as_raw_fd());
    let path = rustix::fs::readlink(link, Vec::new()).ok()?;
    Some(PathBuf::from(OsString::from_vec(path.into_bytes())))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn held(dir: &Path) -> HeldDirectory {
        fs::write(dir.join(DATABASE), "a ledger").unwrap();
        HeldDirectory::of_ledger(dir).unwrap()
    }

    /// What became of a directory that something was done to.
    fn loss(done: impl FnOnce(&Path)) -> Option<Loss> {
        let above = tempfile::tempdir().unwrap();
        let dir = above.path().join("state");
        fs::create_dir(&dir).unwrap();
        let held = held(&dir);
        assert_eq!(held.stands(), Ok(()));
        done(&dir);
        let loss = held.stands().err().map(|gone| gone.loss);
        match loss {
            Some(Loss::Moved { to }) if to == above.path().canonicalize().unwrap().join("away") => {
                Some(Loss::Moved { to: "away".into() })
            }
            other => other,
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_became_of_a_directory_is_told_apart() {
        let away = |dir: &Path| dir.with_file_name("away");
        assert_eq!(loss(|dir| fs::remove_dir_all(dir).unwrap()), Some(Loss::Removed));
        assert_eq!(
            loss(|dir| fs::rename(dir, away(dir)).unwrap()),
            Some(Loss::Moved { to: "away".into() })
        );
        assert_eq!(
            loss(|dir| {
                fs::rename(dir, away(dir)).unwrap();
                fs::create_dir(dir).unwrap();
            }),
            Some(Loss::Replaced)
        );
        let database = Some(Loss::File { name: DATABASE });
        assert_eq!(loss(|dir| fs::remove_file(dir.join(DATABASE)).unwrap()), database);
        assert_eq!(
            loss(|dir| {
                fs::rename(dir.join(DATABASE), dir.join("kept")).unwrap();
                fs::write(dir.join(DATABASE), "").unwrap();
            }),
            database
        );
        // A rename that was taken back, a new name of the same: nothing is lost.
        assert_eq!(
            loss(|dir| {
                fs::rename(dir, away(dir)).unwrap();
                std::os::unix::fs::symlink(away(dir), dir).unwrap();
            }),
            None
        );
        assert_eq!(loss(|dir| fs::remove_dir_all(dir.join("sessions")).unwrap_or(())), None);
    }

    #[test]
    fn files_go_into_the_directory_that_is_held_and_into_no_other() {
        let above = tempfile::tempdir().unwrap();
        let (dir, away) = (above.path().join("state"), above.path().join("away"));
        fs::create_dir(&dir).unwrap();
        let held = held(&dir);
        assert_eq!(held.whereabouts(), dir);
        fs::rename(&dir, &away).unwrap();
        fs::create_dir(&dir).unwrap();
        durable::replace(held.folder(), "head", b"ours").unwrap();
        assert_eq!(fs::read(away.join("head")).unwrap(), b"ours");
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
        if cfg!(target_os = "linux") {
            assert_eq!(held.whereabouts(), away.canonicalize().unwrap());
        }
        durable::remove(held.folder(), "head").unwrap();
        assert!(!away.join("head").exists());
        fs::remove_dir_all(&away).unwrap();
        assert!(durable::replace(held.folder(), "head", b"ours").is_err());
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
    }
}
