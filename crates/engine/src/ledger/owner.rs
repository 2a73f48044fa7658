//! Which ledger, and whose it is.

use std::fmt;

use antiphon_core::digest::Digest;
use antiphon_core::time::WallTime;

/// Who takes a ledger over, as an engine that comes second reads it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct Owner {
    pub host: String,
    pub pid: u32,
    /// Version of the engine.
    pub engine: String,
    /// Since when, by the wall clock.
    pub since: WallTime,
}

impl Owner {
    /// This process.
    #[must_use]
    pub fn this_process(since: WallTime) -> Self {
        Self {
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            pid: std::process::id(),
            engine: env!("CARGO_PKG_VERSION").to_owned(),
            since,
        }
    }
}

/// What tells one ledger from every other: 32 random bytes, drawn when it was created.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LedgerId(pub [u8; 32]);

impl fmt::Display for LedgerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Digest(self.0), f)
    }
}

impl fmt::Debug for LedgerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Who holds a ledger, as far as the lock file tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockHolder {
    /// The engine that wrote its name there.
    Named(Owner),
    /// One that has not written its name yet, or whose name cannot be read.
    Unnamed,
}

impl fmt::Display for LockHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(Owner { host, pid, engine, .. }) => {
                write!(f, "process {pid} on {host} (antiphon {engine})")
            }
            Self::Unnamed => f.write_str("an engine that has not said its name"),
        }
    }
}
