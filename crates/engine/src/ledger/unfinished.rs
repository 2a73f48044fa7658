//! A directory that is built next to its place and appears there whole, or not at all.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::directory::LOCK;
use super::durable;
use super::fault::Fault;
use super::held_directory::{DATABASE, POISONED};

/// All that a directory in the making may hold, also when another program has opened its database.
const OWN: [&str; 10] = [
    LOCK,
    DATABASE,
    "ledger.db-wal",
    "ledger.db-shm",
    POISONED,
    "poisoned.tmp",
    "blobs",
    "head",
    "head.tmp",
    ".gitignore",
];

/// A state directory in the making, at `<place>.unfinished`. Dropped before it is finished, it is
/// removed; what a killed process leaves of one is removed by the next that is built for the same
/// place.
///
/// Its `lock` is held for as long, so that it is built by one process and opened by none.
#[derive(Debug)]
pub(super) struct Unfinished {
    path: PathBuf,
    place: PathBuf,
    _lock: File,
    finished: bool,
}

/// Why it cannot be built.
#[derive(Debug)]
pub(super) enum Hindrance {
    /// Something is at the place already.
    Taken,
    /// Another process is building it.
    Underway(PathBuf),
    /// Something that this program did not make is where it would be built.
    Foreign(PathBuf),
    Fault(Fault),
}

impl From<Fault> for Hindrance {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Unfinished {
    /// Makes room for what will come to a place, where there must be nothing, or an empty
    /// directory.
    pub(super) fn beside(place: &Path) -> Result<Self, Hindrance> {
        let Some(name) = place.file_name() else { return Err(Hindrance::Taken) };
        if !is_free(place)? {
            return Err(Hindrance::Taken);
        }
        let mut beside = name.to_owned();
        beside.push(".unfinished");
        let path = place.with_file_name(beside);
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists && holds_only_own(&path) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                return Err(Hindrance::Foreign(path));
            }
            Err(error) => return Err(Fault::io(format!("create {}", path.display()), error).into()),
        }
        let lock = lock(&path)?;
        let unfinished = Self { path, place: place.to_owned(), _lock: lock, finished: false };
        unfinished.clear()?;
        Ok(unfinished)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Puts it in its place; it is durable there when this returns.
    pub(super) fn finish(mut self) -> Result<(), Hindrance> {
        durable::sync_directory(&self.path)?;
        match std::fs::rename(&self.path, &self.place) {
            Ok(()) => self.finished = true,
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::DirectoryNotEmpty | ErrorKind::AlreadyExists
                ) =>
            {
                return Err(Hindrance::Taken);
            }
            Err(error) => {
                return Err(
                    Fault::io(format!("put {} in place", self.place.display()), error).into()
                );
            }
        }
        let _ = std::fs::remove_file(self.place.join(LOCK));
        durable::sync_directory(&self.place)?;
        durable::sync_directory(parent(&self.place))?;
        Ok(())
    }

    /// Removes what an earlier process left.
    fn clear(&self) -> Result<(), Fault> {
        let fault = |error| Fault::io(format!("empty {}", self.path.display()), error);
        for entry in std::fs::read_dir(&self.path).map_err(fault)? {
            let entry = entry.map_err(fault)?;
            let is_folder = entry.file_type().map_err(fault)?.is_dir();
            if entry.file_name() == LOCK {
                continue;
            }
            if is_folder {
                std::fs::remove_dir_all(entry.path())
            } else {
                std::fs::remove_file(entry.path())
            }
            .map_err(fault)?;
        }
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.finished
            && let Err(error) = std::fs::remove_dir_all(&self.path)
        {
            tracing::warn!(%error, path = %self.path.display(), "what was not finished stays until it is tried again");
        }
    }
}

/// The directory that a path is in.
pub(super) fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn is_free(place: &Path) -> Result<bool, Fault> {
    let fault = |error| Fault::io(format!("look at {}", place.display()), error);
    match std::fs::symlink_metadata(place) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        Err(error) => Err(fault(error)),
        Ok(found) if found.is_dir() => {
            Ok(std::fs::read_dir(place).map_err(fault)?.next().is_none())
        }
        Ok(_) => Ok(false),
    }
}

fn holds_only_own(path: &Path) -> bool {
    let own = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.is_ok_and(|entry| entry.file_name().to_str().is_some_and(|name| OWN.contains(&name)))
    };
    let is_directory = std::fs::symlink_metadata(path).is_ok_and(|found| found.is_dir());
    is_directory && std::fs::read_dir(path).is_ok_and(|mut entries| entries.all(own))
}

fn lock(path: &Path) -> Result<File, Hindrance> {
    let name = path.join(LOCK);
    let fault = |error| Hindrance::Fault(Fault::io(format!("lock {}", path.display()), error));
    let underway = || Hindrance::Underway(path.to_owned());
    let file =
        match OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&name) {
            Ok(file) => file,
            // Another process has just finished it.
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(underway()),
            Err(error) => return Err(fault(error)),
        };
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(underway()),
        Err(TryLockError::Error(error)) => return Err(fault(error)),
    }
    // What was locked may have come to its place meanwhile.
    let held = file.metadata().map_err(fault)?;
    match std::fs::metadata(&name) {
        Ok(found) if (found.dev(), found.ino()) == (held.dev(), held.ino()) => Ok(file),
        _ => Err(underway()),
    }
}
