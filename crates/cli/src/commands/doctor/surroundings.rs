//! What a state directory lies in: its owner, its permissions, and the file system with its room.
//! Only what is wrong is reported.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use antiphon::ledger::{Location, OpenError};
use rustix::fs::StatVfsMountFlags;

use super::examination::{CheckState, Examination};

/// Files that no other user may read.
const PRIVATE: [&str; 6] =
    ["ledger.db", "ledger.db-wal", "ledger.db-shm", "head", "lock", "api.sock"];

/// With less room, an engine may have to stop at any time.
const NEARLY_FULL: u64 = 16 << 20;

/// With less room than this, the user should know.
const FILLING_UP: u64 = 256 << 20;

/// The same in files that may still be made.
const FEW_FILES: u64 = 1_000;

/// What a file system says of itself.
#[derive(Debug, Clone, Copy)]
struct FileSystem {
    /// Bytes that this user may still write.
    free: u64,
    /// Files that may still be made; none if it does not count them.
    files: Option<u64>,
    read_only: bool,
}

impl Examination {
    pub(super) fn surroundings(&mut self, dir: &Path) {
        self.owner(dir);
        self.permissions(dir);
        let files = Location::directory(dir).files();
        if let Ok(folder) = std::fs::File::open(dir)
            && let Err(error @ OpenError::NetworkFileSystem { .. }) =
                files.refuse_network_file_systems(&folder)
        {
            let advice = "while no engine runs, copy the whole directory to a local disk, and name the copy with --dir or ANTIPHON_DIR";
            self.problem("disk", error.to_string(), advice);
        }
        if let Ok(found) = rustix::fs::statvfs(dir) {
            let found = FileSystem {
                free: found.f_bavail.saturating_mul(found.f_frsize),
                files: (found.f_files > 0).then_some(found.f_favail),
                read_only: found.f_flag.contains(StatVfsMountFlags::RDONLY),
            };
            self.file_system(found);
        }
    }

    fn owner(&mut self, dir: &Path) {
        let Ok(found) = std::fs::metadata(dir) else { return };
        let own = rustix::process::geteuid().as_raw();
        if found.uid() != own {
            let text = format!(
                "{} belongs to user {}, and this is user {own}",
                dir.display(),
                found.uid()
            );
            let advice = format!(
                "run as that user; or give the directory away while no engine runs: `chown -R {own} {}`, as root",
                dir.display()
            );
            self.problem("owner", text, advice);
        }
    }

    fn permissions(&mut self, dir: &Path) {
        let open: Vec<String> = PRIVATE
            .iter()
            .filter_map(|name| {
                let mode =
                    std::fs::symlink_metadata(dir.join(name)).ok()?.permissions().mode() & 0o777;
                (mode & 0o077 != 0)
                    .then(|| format!("{name} is open to other users (mode {mode:o})"))
            })
            .collect();
        if !open.is_empty() {
            let advice = format!(
                "`chmod 700 {0} && chmod -R go= {0}`; that is safe while an engine runs",
                dir.display()
            );
            self.note("files", open.join("\n"), advice);
        }
    }

    fn file_system(&mut self, found: FileSystem) {
        if let Some((name, state, text, advice)) = judged(found) {
            match state {
                CheckState::Problem => self.problem(name, text, advice),
                CheckState::Ok | CheckState::Note => self.note(name, text, advice),
            }
        }
    }
}

/// What is wrong with a file system, and what to do about it.
fn judged(found: FileSystem) -> Option<(&'static str, CheckState, String, &'static str)> {
    const ROOM: &str = "make room, outside of the state directory; nothing in it may be removed by hand. An engine whose disk is full \
                        tries again until there is room";
    let FileSystem { free, files, read_only } = found;
    let mib = free >> 20;
    if read_only {
        let text = "the file system is mounted read-only: no engine can open the ledger".to_owned();
        let advice = "mount it writable (after an error, look at the disk first: `dmesg`), or copy the whole directory to where it can be written";
        return Some(("disk", CheckState::Problem, text, advice));
    }
    if free < NEARLY_FULL {
        return Some((
            "room",
            CheckState::Problem,
            format!("only {mib} MiB are free on the file system"),
            ROOM,
        ));
    }
    if files.is_some_and(|files| files < FEW_FILES) {
        let text = format!("only {} more files can be made on the file system", files.unwrap_or(0));
        return Some(("room", CheckState::Problem, text, ROOM));
    }
    (free < FILLING_UP)
        .then(|| ("room", CheckState::Note, format!("{mib} MiB are free on the file system"), ROOM))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_is_judged_by_what_it_lets_an_engine_do() {
        let sound = FileSystem { free: 10 << 30, files: Some(1 << 20), read_only: false };
        let judged = |found| judged(found).map(|(name, state, text, _)| (name, state, text));
        assert_eq!(judged(sound), None);
        assert_eq!(judged(FileSystem { files: None, ..sound }), None);
        let problem = |name, text: &str| Some((name, CheckState::Problem, text.to_owned()));
        assert_eq!(
            judged(FileSystem { read_only: true, ..sound }),
            problem("disk", "the file system is mounted read-only: no engine can open the ledger")
        );
        assert_eq!(
            judged(FileSystem { free: 5 << 20, ..sound }),
            problem("room", "only 5 MiB are free on the file system")
        );
        assert_eq!(
            judged(FileSystem { files: Some(12), ..sound }),
            problem("room", "only 12 more files can be made on the file system")
        );
        let filling =
            Some(("room", CheckState::Note, "100 MiB are free on the file system".to_owned()));
        assert_eq!(judged(FileSystem { free: 100 << 20, ..sound }), filling);
    }
}
