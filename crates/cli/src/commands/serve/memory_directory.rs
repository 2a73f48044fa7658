//! The directory of an engine whose ledger is in memory: what sessions need on a disk, and the socket.
//! One that was killed leaves its directory, which the next one removes.

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::command_error::{CommandError, Kind};
use crate::stderr;
use crate::text::printable;

/// What its name begins with.
const NAME: &str = "antiphon-";

/// A file in it that says what it is, locked by the process that made it for as long as that lives.
const MARK: &str = "of-serve-memory";

/// The name of that file until it is locked.
const UNLOCKED: &str = "of-serve-memory.new";

/// A private directory that nobody else has, removed when this is dropped.
pub(super) struct MemoryDirectory {
    dir: TempDir,
    _mark: File,
}

impl MemoryDirectory {
    /// Makes one, and removes those in the same place whose engines were killed.
    pub(super) fn make() -> Result<Self, CommandError> {
        let parent = parent();
        remove_abandoned(&parent);
        let mut builder = tempfile::Builder::new();
        builder.prefix(NAME).permissions(Permissions::from_mode(0o700));
        let made = builder.tempdir_in(&parent).and_then(|dir| {
            let mark = marked(dir.path())?;
            Ok(Self { dir, _mark: mark })
        });
        made.map_err(|error| {
            let what = format!("cannot make a directory in {}: {error}", parent.display());
            CommandError::new(Kind::State, what).with_hint("set TMPDIR to a writable directory")
        })
    }

    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(super) fn remove(self) -> Result<(), CommandError> {
        let path = self.path().to_owned();
        self.dir.close().map_err(|error| {
            CommandError::internal(format!("cannot remove {}: {error}", path.display()))
        })
    }
}

/// Whoever finds the mark finds it locked, unless its process has died.
fn marked(dir: &Path) -> io::Result<File> {
    let mark = File::create_new(dir.join(UNLOCKED))?;
    mark.lock()?;
    std::fs::rename(dir.join(UNLOCKED), dir.join(MARK))?;
    Ok(mark)
}

/// Removes the directories whose engines were killed, and says so. What cannot be looked at is
/// nothing that was made here.
fn remove_abandoned(parent: &Path) {
    for found in std::fs::read_dir(parent).into_iter().flatten().flatten() {
        let is_named_so = found.file_name().to_string_lossy().starts_with(NAME);
        let dir = found.path();
        let Some(_locked) = Some(&dir).filter(|_| is_named_so).and_then(|dir| abandoned(dir))
        else {
            continue;
        };
        let shown = dir.display();
        let done = match still_runs(&dir) {
            true => format!("{shown} stays: its engine was killed, and its sessions still run"),
            false => match std::fs::remove_dir_all(&dir) {
                Ok(()) => format!("removed {shown}, which an engine that was killed had left"),
                Err(error) => {
                    format!(
                        "cannot remove {shown}, which an engine that was killed has left: {error}"
                    )
                }
            },
        };
        stderr::say(printable(&done));
    }
}

/// The mark of a directory of this user whose process has died, locked from now on.
fn abandoned(dir: &Path) -> Option<File> {
    let found = std::fs::symlink_metadata(dir).ok()?;
    let is_own = found.is_dir() && found.uid() == rustix::process::geteuid().as_raw();
    let mark = File::open(dir.join(MARK)).ok().filter(|_| is_own)?;
    mark.try_lock().is_ok().then_some(mark)
}

/// Whether anything may live of the sessions of an engine that was killed.
#[cfg(target_os = "linux")]
fn still_runs(dir: &Path) -> bool {
    use antiphon::ledger::Location;
    use antiphon::process::{OrphanPlace, OrphanState, orphans};
    let may_live = |known: &OrphanState| match known {
        OrphanState::NeverBegun => false,
        OrphanState::Begun { place: OrphanPlace::Hidden(_), .. } => true,
        OrphanState::Begun { alive, .. } => !alive.is_empty(),
        OrphanState::Stray | OrphanState::NotUnderstood(_) => true,
    };
    let found = orphans(Location::memory(dir).path());
    found.map_or(true, |found| found.iter().any(|orphan| may_live(&orphan.known)))
}

#[cfg(not(target_os = "linux"))]
fn still_runs(_dir: &Path) -> bool {
    false
}

/// Where it is made: where temporary files are to be if that is said, else where those of the user's
/// login are.
fn parent() -> PathBuf {
    let named = |name| std::env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
    let of_login = || named("XDG_RUNTIME_DIR").filter(|path| path.is_dir());
    named("TMPDIR").or_else(of_login).unwrap_or_else(std::env::temp_dir)
}
