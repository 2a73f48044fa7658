//! A real store whose disk is slow, full or failing on request.

use std::sync::{Condvar, Mutex};

use antiphon::append::{Append, HeadRow};
use antiphon::digest::Digest;
use antiphon::envelope::Recorded;
use antiphon::id::{CommitNumber, Seq, StreamName, Version};
use antiphon::ledger::{
    AppendError, Cursor, Damage, Fault, HeadQuery, OpenError, Opened, Owner, Placed, PlacedCommit,
    ReadError, Refusal, Snapshot, SqliteStore, Store, WriteError,
};

/// What becomes of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Sound,
    /// It takes until this changes.
    Stuck,
    Full,
    /// It refuses whatever concerns a coordination.
    Refuses,
    SyncFails,
}

/// The state of a disk, for the test that has it in hand.
#[derive(Debug)]
pub(crate) struct Switch {
    state: Mutex<State>,
    changed: Condvar,
}

impl Switch {
    pub(crate) const fn new() -> Self {
        Self { state: Mutex::new(State::Sound), changed: Condvar::new() }
    }

    pub(crate) fn set(&self, state: State) {
        *self.state.lock().unwrap() = state;
        self.changed.notify_all();
    }

    /// Makes the disk sound again when the test ends, however it ends: a stuck one would keep the
    /// engine from going.
    pub(crate) fn reset(&'static self) -> Reset {
        Reset(self)
    }

    /// The state, once it is another than stuck.
    fn settled(&self) -> State {
        let state = self.state.lock().unwrap();
        *self.changed.wait_while(state, |state| *state == State::Stuck).unwrap()
    }
}

pub(crate) struct Reset(&'static Switch);

impl Drop for Reset {
    fn drop(&mut self) {
        self.0.set(State::Sound);
    }
}

pub(crate) struct Disk {
    pub(crate) store: SqliteStore,
    pub(crate) switch: &'static Switch,
}

impl Store for Disk {
    fn append(&self, append: &Append, cursors: &[Cursor]) -> Result<Seq, AppendError> {
        let state = self.switch.settled();
        let fault = |source: &str| Fault {
            doing: "append".to_owned(),
            source: source.into(),
            disk_full: state == State::Full,
            sync_failed: state == State::SyncFails,
        };
        match state {
            State::Full => {
                Err(AppendError::NotWritten { source: fault("no space left on device") })
            }
            State::Refuses
                if append.events.iter().all(|event| event.stream == StreamName::Ledger) =>
            {
                self.store.append(append, cursors)
            }
            State::Refuses => {
                Err(Refusal::TooLarge { what: "append".to_owned(), actual: 2, max: 1 }.into())
            }
            State::SyncFails => Err(AppendError::Unknown { source: fault("input/output error") }),
            State::Sound | State::Stuck => self.store.append(append, cursors),
        }
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
        self.store.commits(after, limit)
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
