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
mod events;
pub mod export;
#[cfg(feature = "testing")]
pub mod failing;
mod fault;
mod head_mark;
mod held_directory;
mod location;
mod memory;
mod owner;
mod repetition;
mod sqlite;
mod store;
mod unfinished;
pub mod verify;
mod watch;

pub use directory::StateDirectory;
pub use error::{
    AppendError, FORMAT, IdentityRefusal, OpenError, ReadError, Refusal, UnknownFormat, WriteError,
};
pub use events::{AllEvents, Events};
pub(crate) use events::{PAGE, backwards};
pub use fault::Fault;
pub use head_mark::{HeadMark, MarkError, MarkRefusal};
pub use held_directory::{Gone, HeldDirectory, Loss};
pub use location::Location;
pub use memory::{MemoryLedger, MemoryStore};
pub use owner::{LedgerId, LockHolder, Owner};
pub use repetition::Repetition;
#[doc(hidden)]
pub use sqlite::{AppendBaseline, sqlite_version};
pub use sqlite::{Backup, BackupError, BackupStep, LedgerPosition, SqliteOptions, SqliteStore};
pub use store::{
    Cursor, Damage, HeadFilter, HeadQuery, MAX_CURSOR_NAME_BYTES, MarkFinding, Opened, Placed,
    PlacedCommit, Snapshot, Store,
};
pub use watch::{Watch, Woken};
