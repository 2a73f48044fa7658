//! Both stores keep what every store promises. The list at the end is the support matrix.

#![allow(clippy::unwrap_used, reason = "a test ends where anything is not as it should be")]

use antiphon::ledger::conformance::StoreUnderTest;
use antiphon::ledger::{
    MemoryLedger, MemoryStore, Refusal, SqliteOptions, SqliteStore, Store, WriteError,
};

struct Memory(MemoryLedger);

impl StoreUnderTest for Memory {
    type Store = MemoryStore;

    fn empty() -> Self {
        Self(MemoryLedger::default())
    }

    fn store(&self) -> MemoryStore {
        MemoryStore::over(&self.0)
    }

    fn forget_owner(&self) {
        self.0.disown();
    }
}

struct Sqlite(tempfile::TempDir);

impl StoreUnderTest for Sqlite {
    type Store = SqliteStore;

    fn empty() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn store(&self) -> SqliteStore {
        SqliteStore::at(self.0.path(), SqliteOptions::default())
    }

    fn forget_owner(&self) {
        // The next engine makes a new lock file, which nobody holds.
        std::fs::remove_file(self.0.path().join("lock")).unwrap();
    }
}

#[test]
fn a_store_can_be_chosen_at_run_time() {
    let stores: [Box<dyn Store>; 2] =
        [Box::new(Memory::empty().store()), Box::new(Sqlite::empty().store())];
    for store in stores {
        assert!(matches!(store.mark_head(), Err(WriteError::Refused(Refusal::NotOpen))));
    }
}

antiphon::store_conformance! { memory: super::Memory, sqlite: super::Sqlite }
