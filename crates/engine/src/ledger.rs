//! The ledger on disk and in memory: takes in turns whole, gives back what was written, decides
//! nothing.
//!
//! docs/ledger-format.md describes the files; [`Store`] is the seam that both stores stand behind.

mod admission;
mod blob_files;
mod directory;
mod durable;
mod error;
pub mod export;
mod head_mark;
mod memory;
mod sqlite;
mod store;
mod unfinished;
pub mod verify;
mod watch;

pub use directory::{LockHolder, StateDirectory};
pub use error::{
    AppendError, Fault, IdentityRefusal, MarkRefusal, OpenError, ReadError, Refusal, WriteError,
};
pub use head_mark::{HeadMark, MarkError};
pub use memory::{MemoryLedger, MemoryStore};
#[doc(hidden)]
pub use sqlite::{AppendFloor, sqlite_version};
pub use sqlite::{Backup, BackupError, SqliteOptions, SqliteStore, Standing};
pub use store::{
    Cursor, Damage, FORMAT, HeadFilter, HeadQuery, LedgerId, MAX_CURSOR_NAME_BYTES, MarkFinding,
    Opened, Owner, Placed, PlacedCommit, Snapshot, Store,
};
pub use watch::{Watch, Woken};
