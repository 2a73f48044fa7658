//! A real store whose appends fail by a rule that the test sets.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use antiphon::append::{Append, HeadRow};
use antiphon::digest::Digest;
use antiphon::envelope::Recorded;
use antiphon::id::{CommitNumber, Seq, StreamName, Version};
use antiphon::ledger::{
    AppendError, Cursor, Damage, Fault, HeadQuery, OpenError, Opened, Owner, Placed, PlacedCommit,
    ReadError, Snapshot, SqliteOptions, SqliteStore, Store, WriteError,
};
use tokio::sync::Notify;

type Rule = Box<dyn Fn(&Append) -> Option<AppendError> + Send>;

/// What the store's appends meet. Clones set the same rule.
#[derive(Clone, Default)]
pub(crate) struct Faults {
    rule: Arc<Mutex<Option<Rule>>>,
    /// Notified at each append that fails.
    pub(crate) failed: Arc<Notify>,
    /// Commits that were read back so far.
    #[allow(dead_code, reason = "each test binary uses its own part")]
    pub(crate) read_back: Arc<AtomicUsize>,
}

impl Faults {
    /// From now on appends fail with what the rule says.
    pub(crate) fn set(&self, rule: impl Fn(&Append) -> Option<AppendError> + Send + 'static) {
        *self.rule.lock().expect("no test panics here") = Some(Box::new(rule));
    }

    /// From now on the disk is full.
    #[allow(dead_code, reason = "each test binary uses its own part")]
    pub(crate) fn full(&self) {
        self.set(|_| Some(full()));
    }

    /// From now on nothing fails.
    #[allow(dead_code, reason = "each test binary uses its own part")]
    pub(crate) fn none(&self) {
        *self.rule.lock().expect("no test panics here") = None;
    }
}

/// The error of a full disk.
pub(crate) fn full() -> AppendError {
    AppendError::NotWritten { source: fault("no space left on device", true, false) }
}

/// The error of a sync.
#[allow(dead_code, reason = "each test binary uses its own part")]
pub(crate) fn unsynced() -> AppendError {
    AppendError::Unknown { source: fault("input/output error", false, true) }
}

fn fault(source: &str, disk_full: bool, sync_failed: bool) -> Fault {
    Fault { doing: "append".to_owned(), source: source.into(), disk_full, sync_failed }
}

/// The store.
pub(crate) struct FaultyStore {
    store: SqliteStore,
    faults: Faults,
}

impl FaultyStore {
    pub(crate) fn at(dir: impl AsRef<std::path::Path>, faults: &Faults) -> Self {
        Self { store: SqliteStore::at(dir, SqliteOptions::default()), faults: faults.clone() }
    }
}

impl Store for FaultyStore {
    fn append(&self, append: &Append, cursors: &[Cursor]) -> Result<Seq, AppendError> {
        let rule = self.faults.rule.lock().expect("no test panics here");
        if let Some(error) = rule.as_ref().and_then(|rule| rule(append)) {
            self.faults.failed.notify_one();
            return Err(error);
        }
        drop(rule);
        self.store.append(append, cursors)
    }

    fn open(&self, owner: &Owner) -> Result<Opened, OpenError> {
        self.store.open(owner)
    }
    fn move_cursors(&self, cursors: &[Cursor]) -> Result<(), AppendError> {
        self.store.move_cursors(cursors)
    }
    fn read_stream(
        &self,
        stream: &StreamName,
        after: Version,
        limit: usize,
    ) -> Result<Vec<Recorded>, ReadError> {
        self.store.read_stream(stream, after, limit)
    }
    fn read_all(&self, after: Seq, limit: usize) -> Result<Vec<Placed>, ReadError> {
        self.store.read_all(after, limit)
    }
    fn commits(&self, after: CommitNumber, limit: usize) -> Result<Vec<PlacedCommit>, ReadError> {
        let page = self.store.commits(after, limit)?;
        self.faults.read_back.fetch_add(page.len(), SeqCst);
        Ok(page)
    }
    fn heads(&self, query: &HeadQuery) -> Result<Vec<HeadRow>, ReadError> {
        self.store.heads(query)
    }
    fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, ReadError> {
        self.store.blob(digest)
    }
    fn save_snapshot(&self, snapshot: &Snapshot) -> Result<(), WriteError> {
        self.store.save_snapshot(snapshot)
    }
    fn load_snapshot(
        &self,
        stream: &StreamName,
        format: &str,
    ) -> Result<Option<Snapshot>, ReadError> {
        self.store.load_snapshot(stream, format)
    }
    fn cursor(&self, name: &str) -> Result<Option<Cursor>, ReadError> {
        self.store.cursor(name)
    }
    fn damages(&self) -> Result<Vec<Damage>, ReadError> {
        self.store.damages()
    }
    fn mark_head(&self) -> Result<(), WriteError> {
        self.store.mark_head()
    }
    fn declare_verified(&self) -> Result<(), WriteError> {
        self.store.declare_verified()
    }
    fn close(&self) -> Result<(), WriteError> {
        self.store.close()
    }
}
