//! The locks of one file, and the shared memory of its WAL index, among the connections of this
//! process. The rules are those of SQLite's own Unix layer; where that uses `fcntl` and `mmap`,
//! here are a table and the heap.

use std::collections::HashMap;
use std::ffi::c_int;
use std::ptr::NonNull;

use rusqlite::ffi;

/// One open file of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct HandleId(pub(crate) usize);

const SLOTS: usize = ffi::SQLITE_SHM_NLOCK as usize;

/// Who holds what on one file.
#[derive(Default)]
pub(crate) struct FileLocks {
    levels: HashMap<HandleId, c_int>,
    wal_index: HashMap<HandleId, [Slot; SLOTS]>,
    regions: Vec<Region>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Slot {
    #[default]
    Free,
    Shared,
    Exclusive,
}

impl FileLocks {
    /// Raises the lock of `who`; false means busy.
    pub(crate) fn lock(&mut self, who: HandleId, level: c_int) -> bool {
        if self.level(who) >= level {
            return true;
        }
        let others = self.others(who);
        match level {
            ffi::SQLITE_LOCK_SHARED if others >= ffi::SQLITE_LOCK_PENDING => false,
            ffi::SQLITE_LOCK_RESERVED if others >= ffi::SQLITE_LOCK_RESERVED => false,
            ffi::SQLITE_LOCK_EXCLUSIVE if others >= ffi::SQLITE_LOCK_RESERVED => false,
            ffi::SQLITE_LOCK_EXCLUSIVE if others >= ffi::SQLITE_LOCK_SHARED => {
                // Keeps new readers out until the present ones are done.
                self.levels.insert(who, ffi::SQLITE_LOCK_PENDING);
                false
            }
            _ => {
                self.levels.insert(who, level);
                true
            }
        }
    }

    pub(crate) fn unlock(&mut self, who: HandleId, level: c_int) {
        if self.level(who) > level {
            self.levels.insert(who, level);
        }
    }

    pub(crate) fn is_reserved(&self) -> bool {
        self.levels.values().any(|level| *level >= ffi::SQLITE_LOCK_RESERVED)
    }

    /// A region of the WAL index; none where it is not there and shall not be made.
    pub(crate) fn region(
        &mut self,
        who: HandleId,
        index: usize,
        bytes: usize,
        extend: bool,
    ) -> Option<NonNull<u64>> {
        self.wal_index.entry(who).or_default();
        while extend && self.regions.len() <= index {
            self.regions.push(Region::zeroed(bytes));
        }
        self.regions.get(index).map(|region| region.start)
    }

    /// Takes slots of the WAL index, all or none; false means busy.
    pub(crate) fn take_slots(
        &mut self,
        who: HandleId,
        slots: std::ops::Range<usize>,
        exclusive: bool,
    ) -> bool {
        let wanted = if exclusive { Slot::Exclusive } else { Slot::Shared };
        let blocked = self.wal_index.iter().any(|(holder, held)| {
            *holder != who
                && held[slots.clone()]
                    .iter()
                    .any(|slot| *slot == Slot::Exclusive || exclusive && *slot == Slot::Shared)
        });
        if !blocked {
            self.wal_index.entry(who).or_default()[slots].fill(wanted);
        }
        !blocked
    }

    pub(crate) fn free_slots(&mut self, who: HandleId, slots: std::ops::Range<usize>) {
        self.wal_index.entry(who).or_default()[slots].fill(Slot::Free);
    }

    /// Ends the use of the WAL index by `who`; with its last user the index is gone, as it is when
    /// the file is.
    pub(crate) fn unmap(&mut self, who: HandleId) {
        self.wal_index.remove(&who);
        if self.wal_index.is_empty() {
            self.regions.clear();
        }
    }

    pub(crate) fn forget(&mut self, who: HandleId) {
        self.levels.remove(&who);
        self.unmap(who);
    }

    fn level(&self, who: HandleId) -> c_int {
        self.levels.get(&who).copied().unwrap_or(ffi::SQLITE_LOCK_NONE)
    }

    fn others(&self, who: HandleId) -> c_int {
        let others = self.levels.iter().filter(|(holder, _)| **holder != who);
        others.map(|(_, level)| *level).max().unwrap_or(ffi::SQLITE_LOCK_NONE)
    }
}

/// A piece of the WAL index that SQLite reads and writes through the pointer it was given, from
/// several threads.
struct Region {
    start: NonNull<u64>,
    words: usize,
}

impl Region {
    fn zeroed(bytes: usize) -> Self {
        let words = bytes.div_ceil(size_of::<u64>());
        let start = NonNull::from(Box::leak(vec![0u64; words].into_boxed_slice())).cast();
        Self { start, words }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        let memory = NonNull::slice_from_raw_parts(self.start, self.words);
        // SAFETY: `zeroed` leaked a box of exactly this slice, and only this value owns it. A
        // region is dropped when its last user has unmapped it (or its disk has no open file),
        // after which SQLite does not touch it.
        drop(unsafe { Box::from_raw(memory.as_ptr()) });
    }
}

// SAFETY: a region is plain heap memory with one owner; Rust code never reads or writes through
// `start`, SQLite does so under its own WAL-index locks and barriers.
unsafe impl Send for Region {}
