//! The disk as a VFS that SQLite knows by name. Only the C side is here: every callback checks
//! nothing and decides nothing, it hands over to [`Disk`] and [`Handle`]. Time, randomness and path
//! names come from the default VFS.

use std::ffi::{CStr, CString, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use rusqlite::ffi;

use super::disk::{Disk, Fault, FileKind, Handle, Refusal};
use super::image::{Image, Survival};
use super::journal::Op;

/// A registered disk. Connections opened with its [`name`](Self::name) live on it; it is
/// unregistered when dropped.
pub(crate) struct PowerDisk {
    name: String,
    disk: Arc<Disk>,
}

impl PowerDisk {
    pub(crate) fn register() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("power-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let disk = Arc::new(Disk::default());
        let c_name = CString::new(name.as_str()).expect("the name has no zero byte");
        // SAFETY: initialising is allowed at any time and from any thread; a null name asks for the
        // default VFS.
        let default = unsafe {
            assert_eq!(ffi::sqlite3_initialize(), ffi::SQLITE_OK);
            ffi::sqlite3_vfs_find(ptr::null())
        };
        // SAFETY: the default VFS of an initialised SQLite is there and lives as long as the
        // process.
        let default = unsafe { *default };
        // A connection may outlive this value, so the VFS, its name and its share of the disk are
        // never freed: some hundred bytes for each disk of a test, as the journal is given up on
        // drop.
        let vfs = Box::leak(Box::new(ffi::sqlite3_vfs {
            iVersion: 2,
            szOsFile: c_int::try_from(size_of::<OpenFile>()).expect("a small struct"),
            pNext: ptr::null_mut(),
            zName: c_name.into_raw(),
            pAppData: Arc::into_raw(Arc::clone(&disk)).cast_mut().cast(),
            xOpen: Some(open),
            xDelete: Some(delete),
            xSetSystemCall: None,
            xGetSystemCall: None,
            xNextSystemCall: None,
            ..default
        }));
        // SAFETY: `vfs` is complete and never freed, and its name is unique in the process.
        let code = unsafe { ffi::sqlite3_vfs_register(vfs, 0) };
        assert_eq!(code, ffi::SQLITE_OK, "SQLite takes a new VFS");
        Self { name, disk }
    }

    /// The name to open connections with.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Takes the files of a directory as there and durable.
    pub(crate) fn adopt(&self, directory: &Path) {
        self.disk.adopt(directory);
    }

    /// How much has been asked of the disk so far; a moment at which power may be cut.
    pub(crate) fn position(&self) -> usize {
        self.disk.position()
    }

    /// All that has been asked of the disk.
    pub(crate) fn journal(&self) -> Vec<Op> {
        self.disk.journal()
    }

    /// What a cut at this moment leaves.
    pub(crate) fn cut_now(&self, survival: Survival) -> Image {
        Image::after(&self.disk.journal(), survival)
    }

    /// Makes a request fail; the count starts now.
    pub(crate) fn arm(&self, fault: Fault) {
        self.disk.arm(fault);
    }

    /// Ends the fault; tells the files whose requests it made fail, in order.
    pub(crate) fn heal(&self) -> Vec<FileKind> {
        self.disk.heal()
    }
}

impl Drop for PowerDisk {
    fn drop(&mut self) {
        let name = CString::new(self.name.as_str()).expect("the name has no zero byte");
        // SAFETY: the name is unique and found as long as it is registered, which ends here;
        // unregistering only takes the VFS off SQLite's list.
        unsafe { ffi::sqlite3_vfs_unregister(ffi::sqlite3_vfs_find(name.as_ptr())) };
        self.disk.forget();
    }
}

/// What SQLite allocates for a file: its own part first, then ours.
#[repr(C)]
struct OpenFile {
    base: ffi::sqlite3_file,
    handle: *mut Handle,
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    // Version 2 has the WAL index but no memory mapping, so that every byte passes `read` and
    // `write`.
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

/// The disk behind a VFS of ours.
///
/// # Safety
/// `vfs` is one that [`PowerDisk::register`] made.
unsafe fn disk_of(vfs: *mut ffi::sqlite3_vfs) -> Arc<Disk> {
    // SAFETY: the caller's promise; `register` put the pointer of an `Arc` there and never takes
    // its share back, so the count may be raised and the new share given out.
    unsafe {
        let disk = (*vfs).pAppData.cast::<Disk>().cast_const();
        Arc::increment_strong_count(disk);
        Arc::from_raw(disk)
    }
}

/// The handle behind an open file.
///
/// # Safety
/// `file` was filled by [`open`] with success and is not closed, for as long as the reference is
/// used.
unsafe fn handle<'a>(file: *mut ffi::sqlite3_file) -> &'a Handle {
    // SAFETY: the caller's promise; `open` stored a leaked box there that only `close` takes back,
    // and handles are never changed through a unique reference meanwhile.
    unsafe { &*(*file.cast::<OpenFile>()).handle }
}

fn code(answer: Result<(), Refusal>) -> c_int {
    answer.err().unwrap_or(ffi::SQLITE_OK)
}

fn busy_unless(granted: bool) -> c_int {
    if granted { ffi::SQLITE_OK } else { ffi::SQLITE_BUSY }
}

unsafe extern "C" fn open(
    vfs: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    flags_out: *mut c_int,
) -> c_int {
    let file = file.cast::<OpenFile>();
    // SAFETY: SQLite hands over `szOsFile` bytes for the file. Null methods mean that there is
    // nothing to close.
    unsafe { (*file).base.pMethods = ptr::null() };
    // SAFETY: SQLite calls this with the VFS it is part of.
    let disk = unsafe { disk_of(vfs) };
    let opened = if name.is_null() {
        disk.open_temporary()
    } else {
        // SAFETY: a name that is not null ends with a zero byte and lives as long as the file.
        let name = unsafe { CStr::from_ptr(name) };
        disk.open(Path::new(OsStr::from_bytes(name.to_bytes())), flags)
    };
    match opened {
        Ok(opened) => {
            // SAFETY: as above for `file`; `flags_out` is null or points to an integer of the
            // caller.
            unsafe {
                (*file).handle = Box::into_raw(Box::new(opened));
                (*file).base.pMethods = &METHODS;
                if let Some(flags_out) = flags_out.as_mut() {
                    *flags_out = flags;
                }
            }
            ffi::SQLITE_OK
        }
        Err(refusal) => refusal,
    }
}

unsafe extern "C" fn delete(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    sync_directory: c_int,
) -> c_int {
    // SAFETY: SQLite calls this with the VFS it is part of and a name that ends with a zero byte.
    let (disk, name) = unsafe { (disk_of(vfs), CStr::from_ptr(name)) };
    let path = Path::new(OsStr::from_bytes(name.to_bytes()));
    code(disk.delete(path, sync_directory != 0))
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: SQLite closes an open file once and does not use it afterwards; the box is the one
    // that `open` leaked.
    drop(unsafe { Box::from_raw((*file.cast::<OpenFile>()).handle) });
    ffi::SQLITE_OK
}

unsafe extern "C" fn read(
    file: *mut ffi::sqlite3_file,
    buffer: *mut c_void,
    amount: c_int,
    offset: ffi::sqlite3_int64,
) -> c_int {
    let amount = usize::try_from(amount).expect("SQLite reads no negative amount");
    // SAFETY: the file is open, and `buffer` has room for `amount` bytes, which are SQLite's and
    // nobody else's during the call. They may be uninitialised on its side of the border, but are
    // only written here.
    let (handle, bytes) = unsafe {
        ptr::write_bytes(buffer.cast::<u8>(), 0, amount);
        (handle(file), std::slice::from_raw_parts_mut(buffer.cast::<u8>(), amount))
    };
    // The rest of a short read has to be zero, which it is by now.
    match handle.read(bytes, offset.cast_unsigned()) {
        Ok(count) if count == amount => ffi::SQLITE_OK,
        Ok(_) => ffi::SQLITE_IOERR_SHORT_READ,
        Err(refusal) => refusal,
    }
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    buffer: *const c_void,
    amount: c_int,
    offset: ffi::sqlite3_int64,
) -> c_int {
    let amount = usize::try_from(amount).expect("SQLite writes no negative amount");
    // SAFETY: the file is open, and `buffer` holds `amount` bytes that do not change during the
    // call.
    let (handle, bytes) =
        unsafe { (handle(file), std::slice::from_raw_parts(buffer.cast::<u8>(), amount)) };
    code(handle.write(bytes, offset.cast_unsigned()))
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, size: ffi::sqlite3_int64) -> c_int {
    // SAFETY: SQLite calls this with an open file.
    code(unsafe { handle(file) }.truncate(size.cast_unsigned()))
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _flags: c_int) -> c_int {
    // SAFETY: SQLite calls this with an open file.
    code(unsafe { handle(file) }.sync())
}

unsafe extern "C" fn file_size(
    file: *mut ffi::sqlite3_file,
    size: *mut ffi::sqlite3_int64,
) -> c_int {
    // SAFETY: SQLite calls this with an open file.
    match unsafe { handle(file) }.size() {
        Ok(found) => {
            // SAFETY: `size` points to an integer of the caller.
            unsafe { *size = found.cast_signed() };
            ffi::SQLITE_OK
        }
        Err(refusal) => refusal,
    }
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: SQLite calls this with an open file.
    let handle = unsafe { handle(file) };
    busy_unless(handle.with_locks(|locks, who| locks.lock(who, level)))
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: SQLite calls this with an open file.
    let handle = unsafe { handle(file) };
    handle.with_locks(|locks, who| locks.unlock(who, level));
    ffi::SQLITE_OK
}

unsafe extern "C" fn check_reserved_lock(
    file: *mut ffi::sqlite3_file,
    answer: *mut c_int,
) -> c_int {
    // SAFETY: SQLite calls this with an open file.
    let reserved = unsafe { handle(file) }.with_locks(|locks, _| locks.is_reserved());
    // SAFETY: `answer` points to an integer of the caller.
    unsafe { *answer = reserved.into() };
    ffi::SQLITE_OK
}

unsafe extern "C" fn file_control(
    _file: *mut ffi::sqlite3_file,
    _operation: c_int,
    _argument: *mut c_void,
) -> c_int {
    ffi::SQLITE_NOTFOUND
}

unsafe extern "C" fn sector_size(_file: *mut ffi::sqlite3_file) -> c_int {
    // What SQLite's Unix layer says, as it decides how SQLite writes.
    4096
}

unsafe extern "C" fn device_characteristics(_file: *mut ffi::sqlite3_file) -> c_int {
    // As the Unix layer says by default: a torn write leaves the bytes beside it alone.
    ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE | ffi::SQLITE_IOCAP_SUBPAGE_READ
}

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    region: c_int,
    bytes: c_int,
    extend: c_int,
    start: *mut *mut c_void,
) -> c_int {
    let region = usize::try_from(region).expect("SQLite numbers regions from zero");
    let bytes = usize::try_from(bytes).expect("SQLite maps no negative amount");
    // SAFETY: SQLite calls this with an open file.
    let handle = unsafe { handle(file) };
    let found = handle.with_locks(|locks, who| locks.region(who, region, bytes, extend != 0));
    // SAFETY: `start` points to a pointer of the caller; the region stays where it is until this
    // file unmaps it.
    unsafe { *start = found.map_or(ptr::null_mut(), |region| region.as_ptr().cast()) };
    ffi::SQLITE_OK
}

unsafe extern "C" fn shm_lock(
    file: *mut ffi::sqlite3_file,
    first: c_int,
    count: c_int,
    flags: c_int,
) -> c_int {
    let first = usize::try_from(first).expect("SQLite numbers slots from zero");
    let slots = first..first + usize::try_from(count).expect("SQLite locks at least one slot");
    // SAFETY: SQLite calls this with an open file.
    let handle = unsafe { handle(file) };
    handle.with_locks(|locks, who| {
        if flags & ffi::SQLITE_SHM_UNLOCK != 0 {
            locks.free_slots(who, slots);
            return ffi::SQLITE_OK;
        }
        busy_unless(locks.take_slots(who, slots, flags & ffi::SQLITE_SHM_EXCLUSIVE != 0))
    })
}

unsafe extern "C" fn shm_barrier(file: *mut ffi::sqlite3_file) {
    fence(Ordering::SeqCst);
    // SAFETY: SQLite calls this with an open file. Taking the mutex orders this thread with all
    // others, as in the Unix layer.
    unsafe { handle(file) }.with_locks(|_, _| ());
}

unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, _delete: c_int) -> c_int {
    // SAFETY: SQLite calls this with an open file.
    unsafe { handle(file) }.with_locks(|locks, who| locks.unmap(who));
    ffi::SQLITE_OK
}
