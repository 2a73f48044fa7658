//! The ledger on disk and in memory: takes in turns whole, gives back what was written, decides
//! nothing.
//!
//! docs/ledger-format.md describes the files; [`Store`] is the seam that both stores stand behind.

mod admission;
mod blob_files;
#[cfg(feature = "testing")]
pub mod conformance;
mod directory;
mod durable;
mod error;
pub mod export;
#[cfg(feature = "testing")]
pub mod failing;
mod head_mark;
mod location;
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
pub use location::Location;
pub use memory::{MemoryLedger, MemoryStore};
#[doc(hidden)]
pub use sqlite::{AppendBaseline, sqlite_version};
pub use sqlite::{Backup, BackupError, Position, SqliteOptions, SqliteStore};
pub use store::{
    Cursor, Damage, FORMAT, HeadFilter, HeadQuery, LedgerId, MAX_CURSOR_NAME_BYTES, MarkFinding,
    Opened, Owner, Placed, PlacedCommit, Snapshot, Store,
};
pub use watch::{Watch, Woken};
