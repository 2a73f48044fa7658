//! The record of what SQLite asked of the disk, in order.

use std::path::PathBuf;

/// A file by its content, whatever its name: a deleted and newly created `-wal` are two of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Inode(pub(crate) usize);

/// One request that changes what a power cut may leave. Failed requests are here with what they did
/// before they failed.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    /// A file that was there when it was first opened; taken as durable.
    Found { inode: Inode, path: PathBuf, bytes: Vec<u8> },
    /// A new file; its name is durable from the next sync of the directory.
    Create { inode: Inode, path: PathBuf },
    /// Bytes at a place.
    Write { inode: Inode, offset: u64, bytes: Vec<u8> },
    /// A new length.
    Truncate { inode: Inode, size: u64 },
    /// Everything written to the file so far is durable; with `directory` also every name so far.
    Sync { inode: Inode, directory: bool },
    /// A sync that failed. As on Linux the kernel may have dropped the pages and marked them clean,
    /// so that no later sync makes the writes before this one durable.
    SyncFailed { inode: Inode },
    /// A name is gone; with `directory` durably so.
    Delete { path: PathBuf, directory: bool },
}
