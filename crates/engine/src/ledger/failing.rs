//! A store whose disk is slow, full or failing, as a test has it. Everything else it hands on to a
//! real store.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};

use antiphon_core::append::{Append, HeadRow};
use antiphon_core::digest::Digest;
use antiphon_core::envelope::Recorded;
use antiphon_core::id::{CommitNumber, Seq, StreamName, Version};
use tokio::sync::Notify;

use super::error::{AppendError, OpenError, ReadError, Refusal, WriteError};
use super::fault::Fault;
use super::location::Location;
use super::owner::Owner;
use super::store::{Cursor, Damage, HeadQuery, Opened, Placed, PlacedCommit, Snapshot, Store};
use crate::locked::locked;

type Rule = Box<dyn Fn(&Append) -> Option<AppendError> + Send>;

/// What appends and reads meet. Clones set the same rule.
#[derive(Clone, Default)]
pub struct Faults(Arc<FaultState>);

#[derive(Default)]
struct FaultState {
    rule: Mutex<Option<Rule>>,
    stuck: Mutex<bool>,
    unstuck: Condvar,
    failed: Notify,
    unreadable: AtomicBool,
    unread: Notify,
    read_back: AtomicUsize,
}

impl std::fmt::Debug for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Faults").finish_non_exhaustive()
    }
}

impl Faults {
    /// From now on appends fail with what the rule says.
    pub fn set(&self, rule: impl Fn(&Append) -> Option<AppendError> + Send + 'static) {
        *locked(&self.0.rule) = Some(Box::new(rule));
        self.unstick();
    }

    /// From now on the disk is full.
    pub fn full(&self) {
        self.set(|_| Some(full()));
    }

    /// From now on every append takes until this changes.
    pub fn stuck(&self) {
        *locked(&self.0.stuck) = true;
    }

    /// From now on nothing can be read, or it can again.
    pub fn unreadable(&self, unreadable: bool) {
        self.0.unreadable.store(unreadable, SeqCst);
    }

    /// Waits until something cannot be read; what could not be since the last time counts.
    pub async fn unread(&self) {
        self.0.unread.notified().await;
    }

    /// From now on nothing fails.
    pub fn none(&self) {
        *locked(&self.0.rule) = None;
        self.unreadable(false);
        self.unstick();
    }

    /// Lets nothing fail any more when the test ends, however it ends: a disk that is stuck would
    /// keep the engine from going.
    #[must_use = "nothing fails any more once it is dropped"]
    pub fn until_dropped(&self) -> Lifted {
        Lifted(self.clone())
    }

    /// Waits until an append fails; one that has failed since the last time counts.
    pub async fn failed(&self) {
        self.0.failed.notified().await;
    }

    /// Commits that were read back so far.
    #[must_use]
    pub fn read_back(&self) -> usize {
        self.0.read_back.load(SeqCst)
    }

    /// What an append meets now; waits as long as the disk is stuck.
    fn meet(&self, append: &Append) -> Option<AppendError> {
        drop(self.0.unstuck.wait_while(locked(&self.0.stuck), |stuck| *stuck));
        let error = locked(&self.0.rule).as_ref()?(append)?;
        self.0.failed.notify_one();
        Some(error)
    }

    /// What reading meets now.
    fn meet_read(&self) -> Result<(), ReadError> {
        match self.0.unreadable.load(SeqCst) {
            true => {
                self.0.unread.notify_one();
                let fault = fault("read", "too many open files", false, false);
                Err(Fault { passing: true, ..fault }.into())
            }
            false => Ok(()),
        }
    }

    fn unstick(&self) {
        *locked(&self.0.stuck) = false;
        self.0.unstuck.notify_all();
    }
}

/// Ends all faults when it is dropped.
#[derive(Debug)]
pub struct Lifted(Faults);

impl Drop for Lifted {
    fn drop(&mut self) {
        self.0.none();
    }
}

/// The error of a full disk.
#[must_use]
pub fn full() -> AppendError {
    AppendError::NotWritten { source: fault("append", "no space left on device", true, false) }
}

/// The error of a sync.
#[must_use]
pub fn unsynced() -> AppendError {
    AppendError::Unknown { source: fault("append", "input/output error", false, true) }
}

/// The error of a store that refuses an append.
#[must_use]
pub fn refused() -> AppendError {
    Refusal::TooLarge { what: "append".to_owned(), actual: 2, max: 1 }.into()
}

fn fault(doing: &str, source: &str, disk_full: bool, sync_failed: bool) -> Fault {
    let doing = doing.to_owned();
    Fault { doing, source: source.into(), disk_full, passing: disk_full, sync_failed }
}

/// A real store behind faults.
pub struct FailingStore {
    store: Arc<dyn Store>,
    faults: Faults,
}

impl FailingStore {
    /// A store that keeps its ledger in a directory, behind faults.
    #[must_use]
    pub fn at(directory: impl Into<PathBuf>, faults: &Faults) -> Arc<dyn Store> {
        let store = Location::directory(directory).store();
        Arc::new(Self { store, faults: faults.clone() })
    }
}

impl Store for FailingStore {
    fn append(&self, append: &Append, cursors: &[Cursor]) -> Result<Seq, AppendError> {
        match self.faults.meet(append) {
            Some(error) => Err(error),
            None => self.store.append(append, cursors),
        }
    }

    fn commits(&self, after: CommitNumber, limit: usize) -> Result<Vec<PlacedCommit>, ReadError> {
        self.faults.meet_read()?;
        let page = self.store.commits(after, limit)?;
        self.faults.0.read_back.fetch_add(page.len(), SeqCst);
        Ok(page)
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
    fn heads(&self, query: &HeadQuery) -> Result<Vec<HeadRow>, ReadError> {
        self.faults.meet_read()?;
        self.store.heads(query)
    }
    fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, ReadError> {
        self.faults.meet_read()?;
        self.store.blob(digest)
    }
    fn size(&self) -> Result<u64, ReadError> {
        self.faults.meet_read()?;
        self.store.size()
    }
    fn save_snapshots(&self, snapshots: &[Snapshot]) -> Result<(), WriteError> {
        self.store.save_snapshots(snapshots)
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
    fn unmoved_cursors(&self, prefix: &str) -> Result<Vec<Cursor>, ReadError> {
        self.store.unmoved_cursors(prefix)
    }
    fn damages(&self) -> Result<Vec<Damage>, ReadError> {
        self.store.damages()
    }
    fn mark_head(&self) -> Result<(), WriteError> {
        self.store.mark_head()
    }
    fn finish_erasures(&self) -> Result<bool, WriteError> {
        self.store.finish_erasures()
    }

    fn declare_verified(&self) -> Result<(), WriteError> {
        self.store.declare_verified()
    }
    fn close(&self) -> Result<(), WriteError> {
        self.store.close()
    }
}
