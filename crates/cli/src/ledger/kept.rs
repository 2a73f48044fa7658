//! Where a ledger is kept, as the process sees it that reads it.

/// Where a ledger is kept, as this process sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    OnDisk,
    /// In the memory of its engine.
    InMemory,
    /// By the engine whose session this process is in, wherever that keeps it.
    BySessionEngine,
}
