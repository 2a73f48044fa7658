//! The state directory: private, ignored by git, on a local disk, and held by one engine at a time.

use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Read as _, Seek as _, Write as _};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::Mode;

use super::durable;
use super::error::OpenError;
use super::fault::Fault;
use super::held_directory::{DATABASE, HeldDirectory, IN_MEMORY, POISONED};
use super::owner::{LockHolder, Owner};
use crate::folder::Folder;
use crate::hand_over;

pub(super) const LOCK: &str = "lock";

/// What keeps git from taking any of it.
pub(super) const HIDES_ALL: &[u8] = b"*\n";

/// How long the lock of an owner that died may take to come free: a child of his that was on its
/// way to its own program holds it until it is there. And how long a new owner may take to write its
/// name, which those who come too late are told.
const SETTLED_WITHIN: Duration = Duration::from_secs(2);

/// Time between two tries then.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Where the files of a ledger are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateDirectory(PathBuf);

/// Holds the lock of a state directory until it is dropped; the system lets go of it when the
/// process dies.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // A child between its fork and its exec has this file open too, so closing it here would
        // not let go yet.
        let _ = self.0.unlock();
    }
}

impl StateDirectory {
    /// Names a directory; touches nothing.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The path of the database.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.0.join(DATABASE)
    }

    /// Whether the ledger is, or was, in the memory of the engine that works in the directory.
    #[must_use]
    pub fn is_of_memory(&self) -> bool {
        self.0.join(IN_MEMORY).exists()
    }

    /// Who holds the ledger now, if any engine does.
    ///
    /// The lock is tried for an instant, shared; an engine that starts in that very instant is
    /// refused.
    ///
    /// # Errors
    /// When the lock cannot be opened or tried.
    pub fn holder(&self) -> Result<Option<LockHolder>, Fault> {
        let mut file = match File::open(self.0.join(LOCK)) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.fault("open the lock of", error)),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(None),
            Err(TryLockError::WouldBlock) => Ok(Some(named_in(&mut file))),
            Err(TryLockError::Error(error)) => Err(self.fault("try the lock of", error)),
        }
    }

    /// Who held the ledger last, or holds it, as far as the lock file tells.
    #[must_use]
    pub fn last_holder(&self) -> Option<Owner> {
        match File::open(self.0.join(LOCK)).map(|mut file| named_in(&mut file)) {
            Ok(LockHolder::Named(owner)) => Some(owner),
            Ok(LockHolder::Unnamed) | Err(_) => None,
        }
    }

    /// What an owner that met an error of a sync has left for the next one.
    ///
    /// # Errors
    /// When the note cannot be read.
    pub fn poison_note(&self) -> Result<Option<String>, Fault> {
        match std::fs::read(self.0.join(POISONED)) {
            Ok(note) => Ok(Some(String::from_utf8_lossy(&note).into_owned())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.fault("read the note of an error in", error)),
        }
    }

    /// Creates what is missing, makes it private, and takes the lock. From here on the directory is
    /// held: another one that comes under its name is not taken for it.
    pub(super) fn take(&self, owner: &Owner) -> Result<(Lock, HeldDirectory), OpenError> {
        let (lock, held) = self.take_any(owner)?;
        if held.folder().has(IN_MEMORY) {
            return Err(OpenError::WasInMemory { dir: self.0.clone() });
        }
        Ok((lock, held))
    }

    /// The same for a ledger in memory, of which there is nothing but a mark in the directory.
    pub(super) fn take_for_memory(
        &self,
        owner: &Owner,
    ) -> Result<(Lock, HeldDirectory), OpenError> {
        let (lock, held) = self.take_any(owner)?;
        if held.folder().has(DATABASE) {
            return Err(OpenError::OnDisk { dir: self.0.clone() });
        }
        held.folder()
            .open_or_create(IN_MEMORY)
            .and_then(|_| held.with_files(&[IN_MEMORY]))
            .map(|held| (lock, held))
            .map_err(|error| self.fault("mark", error).into())
    }

    fn take_any(&self, owner: &Owner) -> Result<(Lock, HeldDirectory), OpenError> {
        self.create()?;
        let held = HeldDirectory::open(&self.0).map_err(|error| self.fault("open", error))?;
        let folder = held.folder();
        self.refuse_network_file_systems(folder)?;
        self.refuse_strangers(folder)?;
        let lock = self.lock(folder, owner)?;
        rustix::fs::fchmod(folder, Mode::RWXU)
            .map_err(|error| self.fault("make private", error.into()))?;
        match folder.create(".gitignore") {
            Ok(mut file) => file.write_all(HIDES_ALL),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        }
        .map_err(|error| self.fault("hide from git", error))?;
        Ok((lock, held))
    }

    fn create(&self) -> Result<(), Fault> {
        let parent = self
            .0
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        hand_over::create_directories(parent, 0o777)
            .map_err(|error| self.fault("create the parent of", error))?;
        match hand_over::create_directory(&self.0) {
            Ok(()) => durable::sync_directory(parent),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(self.fault("create", error)),
        }
    }

    /// A directory that holds other things is neither made private nor hidden from git.
    fn refuse_strangers(&self, folder: &Folder) -> Result<(), OpenError> {
        let is_ours = || [DATABASE, LOCK, "head", IN_MEMORY].iter().any(|name| folder.has(name));
        if is_ours() {
            return Ok(());
        }
        for found in folder.entries().map_err(|error| self.fault("list", error))? {
            // A power cut during the very first open may leave this one alone; and another engine may
            // have begun meanwhile.
            if found.name != ".gitignore" && !is_ours() {
                return Err(OpenError::NotAStateDirectory {
                    dir: self.0.clone(),
                    found: found.name.to_string_lossy().into_owned(),
                });
            }
        }
        Ok(())
    }

    /// Refuses a directory, open here, on a file system that other machines write to.
    ///
    /// # Errors
    /// [`OpenError::NetworkFileSystem`], or that the file system cannot be looked at.
    #[cfg(target_os = "linux")]
    pub fn refuse_network_file_systems(&self, folder: impl AsFd) -> Result<(), OpenError> {
        let found = rustix::fs::fstatfs(folder)
            .map_err(|error| self.fault("look at the file system of", error.into()))?;
        #[expect(
            clippy::cast_sign_loss,
            clippy::cast_possible_truncation,
            reason = "a magic is 32 bits"
        )]
        match network_file_system(found.f_type as u32) {
            Some(kind) => Err(OpenError::NetworkFileSystem { dir: self.0.clone(), kind }),
            None => Ok(()),
        }
    }

    /// Refuses nothing: only Linux tells what file system it is.
    ///
    /// # Errors
    /// None here.
    #[cfg(not(target_os = "linux"))]
    pub fn refuse_network_file_systems(&self, _folder: impl AsFd) -> Result<(), OpenError> {
        Ok(())
    }

    fn lock(&self, folder: &Folder, owner: &Owner) -> Result<Lock, OpenError> {
        let mut file =
            folder.open_or_create(LOCK).map_err(|error| self.fault("open the lock of", error))?;
        let patience = Instant::now() + SETTLED_WITHIN;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {
                    let holder = named_in(&mut file);
                    let will_change = has_died(&holder, owner) || holder == LockHolder::Unnamed;
                    if !will_change || Instant::now() > patience {
                        return Err(OpenError::InUse { dir: self.0.clone(), holder });
                    }
                    std::thread::sleep(LOOK_AGAIN);
                }
                Err(TryLockError::Error(error)) => return Err(self.fault("lock", error).into()),
            }
        }
        let name = serde_json::to_vec(owner).expect("BUG: an owner is plain text and numbers");
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(&name))
            .map_err(|error| self.fault("write the lock of", error))?;
        Ok(Lock(file))
    }

    fn fault(&self, doing: &str, error: std::io::Error) -> Fault {
        Fault::io(format!("{doing} {}", self.0.display()), error)
    }
}

/// The holder whose name is in a lock file.
fn named_in(file: &mut File) -> LockHolder {
    let mut text = String::new();
    let read = file.rewind().and_then(|()| file.read_to_string(&mut text)).is_ok();
    match serde_json::from_str(&text) {
        Ok(owner) if read => LockHolder::Named(owner),
        _ => LockHolder::Unnamed,
    }
}

/// Whether the process that a lock file names is not there any more; only known of this machine.
fn has_died(holder: &LockHolder, seeker: &Owner) -> bool {
    let LockHolder::Named(owner) = holder else { return false };
    let pid = i32::try_from(owner.pid).ok().and_then(rustix::process::Pid::from_raw);
    owner.host == seeker.host
        && pid.is_some_and(|pid| {
            rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH)
        })
}

/// The name of a file system that other machines write to, by the number that `statfs` gives.
#[cfg(target_os = "linux")]
fn network_file_system(magic: u32) -> Option<&'static str> {
    match magic {
        0x6969 => Some("NFS"),
        0x517b | 0xff53_4d42 | 0xfe53_4d42 => Some("SMB"),
        0x0102_1997 => Some("9P"),
        0x5346_414f | 0x6b41_4653 => Some("AFS"),
        0x7375_7245 => Some("Coda"),
        0x564c => Some("NCP"),
        0x00c3_6400 => Some("Ceph"),
        0x0bd0_0bd0 => Some("Lustre"),
        0x4750_4653 => Some("GPFS"),
        0x1983_0326 => Some("BeeGFS"),
        0x786f_4256 => Some("a VirtualBox shared folder"),
        _ => None,
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_can_be_taken_again_while_a_child_still_has_the_lock_open() {
        let dir = tempfile::tempdir().unwrap();
        let (directory, owner) = (
            StateDirectory::new(dir.path()),
            Owner::this_process(antiphon_core::time::WallTime(0)),
        );
        let (lock, _) = directory.take(&owner).unwrap();
        let of_child = lock.0.try_clone().unwrap();
        assert!(matches!(directory.take(&owner), Err(OpenError::InUse { .. })));
        drop(lock);
        assert!(directory.take(&owner).is_ok());
        drop(of_child);
    }

    #[test]
    fn who_comes_too_late_is_told_the_name_of_an_owner_that_has_just_come() {
        let dir = tempfile::tempdir().unwrap();
        let owner = Owner::this_process(antiphon_core::time::WallTime(0));
        let mut file = File::create(dir.path().join(LOCK)).unwrap();
        file.lock().unwrap();
        let late = std::thread::spawn({
            let (directory, owner) = (StateDirectory::new(dir.path()), owner.clone());
            move || directory.take(&owner)
        });
        // It has tried by now, or will: either way it finds the name.
        std::thread::yield_now();
        file.write_all(&serde_json::to_vec(&owner).unwrap()).unwrap();
        match late.join().unwrap() {
            Err(OpenError::InUse { holder: LockHolder::Named(named), .. }) => {
                assert_eq!(named, owner);
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn network_file_systems_are_told_from_local_ones() {
        assert_eq!(network_file_system(0x6969), Some("NFS"));
        for local in [0xef53, 0x0102_1994, 0x9123_683e, 0x5846_5342, 0x794c_7630] {
            assert_eq!(network_file_system(local), None, "{local:#x}");
        }
    }
}
