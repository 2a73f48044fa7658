//! The disk itself: files that are really there, the record of what was done to them, their locks,
//! and the armed fault. Nothing here is synced for real; what is durable is a matter of the record.

use std::collections::HashMap;
use std::ffi::c_int;
use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use rusqlite::ffi;
use tempfile::TempDir;

use super::journal::{Inode, Op};
use super::locks::{FileLocks, HandleId};

/// An SQLite result code that is not `SQLITE_OK`.
pub(crate) type Refusal = c_int;

/// A directory for a test, in memory where the system has such a file system: nothing here rests on
/// real syncs, and those that the code under test makes beside SQLite would take most of the time.
pub(crate) fn new_directory() -> TempDir {
    let made = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    made.expect("make a directory")
}

/// What goes wrong, and when: counted from the moment it is armed, the first is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// From this write on the disk is full until it is healed; the write that meets it first gets
    /// half of its bytes through.
    DiskFull { write: u64 },
    /// This one write fails and leaves nothing.
    WriteError { write: u64 },
    /// This one sync fails. Whoever else has the file open is told, too, by his own next sync, as
    /// by Linux since 4.13. Later ones succeed, but do not make durable what this one did not.
    SyncError { sync: u64 },
}

/// What SQLite uses a file for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    Database,
    Wal,
    Journal,
    Temporary,
}

/// All files of one VFS. One mutex, never held while SQLite's code runs.
#[derive(Default)]
pub(crate) struct Disk {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    journal: Vec<Op>,
    names: HashMap<PathBuf, Inode>,
    locks: HashMap<Inode, FileLocks>,
    inodes: usize,
    handles: usize,
    fault: Option<Fault>,
    hits: Vec<FileKind>,
    writes: u64,
    syncs: u64,
    /// How many syncs of each file have failed.
    failed: HashMap<Inode, u64>,
}

impl Disk {
    pub(crate) fn arm(&self, fault: Fault) {
        let mut state = self.state();
        (state.writes, state.syncs) = (0, 0);
        state.hits.clear();
        state.fault = Some(fault);
    }

    /// Takes the fault away and tells which requests it made fail.
    pub(crate) fn heal(&self) -> Vec<FileKind> {
        let mut state = self.state();
        state.fault = None;
        std::mem::take(&mut state.hits)
    }

    pub(crate) fn position(&self) -> usize {
        self.state().journal.len()
    }

    pub(crate) fn journal(&self) -> Vec<Op> {
        self.state().journal.clone()
    }

    pub(crate) fn forget(&self) {
        self.state().journal = Vec::new();
    }

    pub(crate) fn adopt(&self, directory: &Path) {
        // SQLite names files by their canonical paths.
        let directory = fs::canonicalize(directory).expect("the directory is there");
        for entry in fs::read_dir(directory).expect("read the directory") {
            let path = entry.expect("read the directory").path();
            if path.is_file() {
                let bytes = fs::read(&path).expect("read a file");
                self.state().find(&path, bytes);
            }
        }
    }

    pub(crate) fn open(self: &Arc<Self>, path: &Path, flags: c_int) -> Result<Handle, Refusal> {
        let mut state = self.state();
        let was_there = path.exists();
        let file = OpenOptions::new()
            .read(true)
            .write(flags & ffi::SQLITE_OPEN_READWRITE != 0)
            .create(flags & ffi::SQLITE_OPEN_CREATE != 0)
            .create_new(flags & ffi::SQLITE_OPEN_EXCLUSIVE != 0)
            .truncate(false)
            .open(path)
            .map_err(|_| ffi::SQLITE_CANTOPEN)?;
        let known = state.names.get(path).copied().filter(|_| was_there);
        let inode = match known {
            Some(inode) => inode,
            None if was_there => {
                let bytes = fs::read(path).map_err(|_| ffi::SQLITE_CANTOPEN)?;
                state.find(path, bytes)
            }
            None => state.create(path),
        };
        let kind = kind(flags);
        Ok(Handle {
            disk: Arc::clone(self),
            id: state.next_handle(),
            inode,
            file,
            kind,
            // SQLite's Unix layer syncs the directory with the first sync of a journal or WAL that
            // it created.
            directory_unsynced: Mutex::new(
                !was_there && matches!(kind, FileKind::Wal | FileKind::Journal),
            ),
            told: AtomicU64::new(state.failed.get(&inode).copied().unwrap_or_default()),
            delete_on_close: (flags & ffi::SQLITE_OPEN_DELETEONCLOSE != 0)
                .then(|| path.to_path_buf()),
        })
    }

    /// A file without a name, which no cut can leave.
    pub(crate) fn open_temporary(self: &Arc<Self>) -> Result<Handle, Refusal> {
        let file = tempfile::tempfile().map_err(|_| ffi::SQLITE_CANTOPEN)?;
        let mut state = self.state();
        let inode = state.next_inode();
        Ok(Handle {
            disk: Arc::clone(self),
            id: state.next_handle(),
            inode,
            file,
            kind: FileKind::Temporary,
            directory_unsynced: Mutex::new(false),
            told: AtomicU64::new(0),
            delete_on_close: None,
        })
    }

    pub(crate) fn delete(&self, path: &Path, directory: bool) -> Result<(), Refusal> {
        let mut state = self.state();
        fs::remove_file(path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => ffi::SQLITE_IOERR_DELETE_NOENT,
            _ => ffi::SQLITE_IOERR_DELETE,
        })?;
        state.names.remove(path);
        state.journal.push(Op::Delete { path: path.to_path_buf(), directory });
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no request to the disk has panicked")
    }
}

impl State {
    fn find(&mut self, path: &Path, bytes: Vec<u8>) -> Inode {
        let inode = self.next_inode();
        let path = path.to_path_buf();
        self.names.insert(path.clone(), inode);
        self.journal.push(Op::Found { inode, path, bytes });
        inode
    }

    fn create(&mut self, path: &Path) -> Inode {
        let inode = self.next_inode();
        let path = path.to_path_buf();
        self.names.insert(path.clone(), inode);
        self.journal.push(Op::Create { inode, path });
        inode
    }

    fn next_inode(&mut self) -> Inode {
        self.inodes += 1;
        Inode(self.inodes)
    }

    fn next_handle(&mut self) -> HandleId {
        self.handles += 1;
        HandleId(self.handles)
    }

    /// Counts a write and says how much of it fails, and how.
    fn count_write(&mut self, kind: FileKind) -> Option<Fault> {
        let number = self.writes;
        self.writes += 1;
        let hit = self.fault.filter(|fault| match fault {
            Fault::DiskFull { write } => number >= *write,
            Fault::WriteError { write } => number == *write,
            Fault::SyncError { .. } => false,
        });
        if hit.is_some() {
            self.hits.push(kind);
        }
        hit
    }

    fn count_sync(&mut self, kind: FileKind) -> bool {
        let number = self.syncs;
        self.syncs += 1;
        let hit = self.fault == Some(Fault::SyncError { sync: number });
        if hit {
            self.hits.push(kind);
        }
        hit
    }
}

/// An open file of one connection.
pub(crate) struct Handle {
    disk: Arc<Disk>,
    id: HandleId,
    inode: Inode,
    file: File,
    kind: FileKind,
    directory_unsynced: Mutex<bool>,
    /// The failed syncs of this file that this handle knows of.
    told: AtomicU64,
    delete_on_close: Option<PathBuf>,
}

impl Handle {
    /// Reads as far as the file goes and says how many bytes that were.
    pub(crate) fn read(&self, bytes: &mut [u8], offset: u64) -> Result<usize, Refusal> {
        let mut done = 0;
        while done < bytes.len() {
            match self.file.read_at(&mut bytes[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(ffi::SQLITE_IOERR_READ),
            }
        }
        Ok(done)
    }

    pub(crate) fn write(&self, bytes: &[u8], offset: u64) -> Result<(), Refusal> {
        let mut state = self.disk.state();
        if self.kind == FileKind::Temporary {
            return self.put(bytes, offset);
        }
        let before = state.writes;
        let (bytes, answer) = match state.count_write(self.kind) {
            None => (bytes, Ok(())),
            Some(Fault::DiskFull { write }) if write == before => {
                (&bytes[..bytes.len() / 2], Err(ffi::SQLITE_FULL))
            }
            Some(Fault::DiskFull { .. }) => return Err(ffi::SQLITE_FULL),
            Some(_) => return Err(ffi::SQLITE_IOERR_WRITE),
        };
        self.put(bytes, offset)?;
        state.journal.push(Op::Write { inode: self.inode, offset, bytes: bytes.to_vec() });
        answer
    }

    pub(crate) fn truncate(&self, size: u64) -> Result<(), Refusal> {
        let mut state = self.disk.state();
        self.file.set_len(size).map_err(|_| ffi::SQLITE_IOERR_TRUNCATE)?;
        if self.kind != FileKind::Temporary {
            state.journal.push(Op::Truncate { inode: self.inode, size });
        }
        Ok(())
    }

    pub(crate) fn sync(&self) -> Result<(), Refusal> {
        let mut state = self.disk.state();
        if self.kind == FileKind::Temporary {
            return Ok(());
        }
        let inode = self.inode;
        let fails = state.count_sync(self.kind);
        let failed = state.failed.entry(inode).or_default();
        *failed += u64::from(fails);
        if self.told.swap(*failed, Ordering::Relaxed) != *failed {
            state.journal.push(Op::SyncFailed { inode });
            return Err(ffi::SQLITE_IOERR_FSYNC);
        }
        let mut unsynced =
            self.directory_unsynced.lock().expect("no request to the disk has panicked");
        let directory = std::mem::take(&mut *unsynced);
        state.journal.push(Op::Sync { inode, directory });
        Ok(())
    }

    pub(crate) fn size(&self) -> Result<u64, Refusal> {
        let metadata = self.file.metadata();
        metadata.map(|found| found.len()).map_err(|_| ffi::SQLITE_IOERR_FSTAT)
    }

    /// Runs `change` on the locks of this file, in the name of this handle.
    pub(crate) fn with_locks<T>(&self, change: impl FnOnce(&mut FileLocks, HandleId) -> T) -> T {
        let mut state = self.disk.state();
        change(state.locks.entry(self.inode).or_default(), self.id)
    }

    fn put(&self, bytes: &[u8], offset: u64) -> Result<(), Refusal> {
        self.file.write_all_at(bytes, offset).map_err(|_| ffi::SQLITE_IOERR_WRITE)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.with_locks(FileLocks::forget);
        if let Some(path) = &self.delete_on_close {
            // A file that is gone already is what was asked for.
            let _gone = self.disk.delete(path, false);
        }
    }
}

fn kind(flags: c_int) -> FileKind {
    if flags & ffi::SQLITE_OPEN_MAIN_DB != 0 {
        FileKind::Database
    } else if flags & ffi::SQLITE_OPEN_WAL != 0 {
        FileKind::Wal
    } else if flags & (ffi::SQLITE_OPEN_MAIN_JOURNAL | ffi::SQLITE_OPEN_SUPER_JOURNAL) != 0 {
        FileKind::Journal
    } else {
        FileKind::Temporary
    }
}
