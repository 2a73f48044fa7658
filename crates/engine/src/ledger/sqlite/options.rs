//! What can be chosen about a ledger in a state directory.

/// How a ledger in a state directory is opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SqliteOptions {
    /// Go on with a ledger that is shorter than its head mark or differs from it. The caller
    /// records that.
    pub accept_shorter: bool,
    /// Go on with a ledger whose head mark is missing or damaged. The caller records that.
    pub accept_missing_mark: bool,
    /// The SQLite VFS to use, by name; the default one if `None`.
    pub vfs: Option<String>,
    /// How many pages of the write-ahead log are copied back at a time; 4,096 if `None`.
    pub checkpoint_pages: Option<u32>,
}
