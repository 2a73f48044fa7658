//! The keys of a run in a ledger, for those that read it without an engine.

use std::collections::BTreeMap;

use antiphon_core::coordination::{KeyState, KeyValue};
use antiphon_core::envelope::Recorded;
use antiphon_core::event::{AggregateEvent as _, CoordinationEvent, KeySet};
use antiphon_core::id::{CoordinationId, KeyName, StreamName, Version};

use super::found::{FoundKey, KeyRecord, changes, read_value};
use crate::ledger::{Events, ReadError, Store};

/// The keys of a run as they are recorded in a store.
pub struct RecordedKeys<'a> {
    store: &'a dyn Store,
    run: CoordinationId,
}

impl<'a> RecordedKeys<'a> {
    /// Those of a run.
    #[must_use]
    pub fn of(store: &'a dyn Store, run: &CoordinationId) -> Self {
        Self { store, run: run.clone() }
    }

    /// Those that begin so, by name, without those whose value was erased.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn below(&self, prefix: &str) -> Result<Vec<FoundKey>, ReadError> {
        let mut found = Vec::new();
        for (key, KeyState { version, value }) in self.states(prefix)? {
            let value = match value {
                KeyValue::Here(value) => Some(value),
                KeyValue::Blob(digest) => read_value(self.store.blob(&digest)?),
                _ => None,
            };
            found.extend(value.map(|value| FoundKey { key, version, value }));
        }
        Ok(found)
    }

    /// What became of those that begin so after a version, in its order.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn changes(&self, prefix: &str, after: Version) -> Result<Vec<KeyRecord>, ReadError> {
        let mut found = Vec::new();
        self.each(after, |recorded, set| {
            for mut change in changes(recorded, set, prefix) {
                if let Some(digest) = change.value {
                    change.record.value = read_value(self.store.blob(&digest)?);
                }
                found.push(change.record);
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// Those that begin so, as events tell of them.
    pub(super) fn states(&self, prefix: &str) -> Result<BTreeMap<KeyName, KeyState>, ReadError> {
        let mut keys = BTreeMap::new();
        self.each(Version(0), |recorded, set| {
            for change in set.changes {
                if !change.key.as_str().starts_with(prefix) {
                    continue;
                }
                let version = recorded.version;
                match change.value() {
                    Some(value) => keys.insert(change.key, KeyState { version, value }),
                    None => keys.remove(&change.key),
                };
            }
            Ok(())
        })?;
        Ok(keys)
    }

    /// What was erased, or only a newer version can read, tells nothing.
    fn each(
        &self,
        after: Version,
        mut take: impl FnMut(&Recorded, KeySet) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        let stream = StreamName::Coordination(self.run.clone());
        for recorded in Events::after(self.store, stream, after) {
            let recorded = recorded?;
            if let Ok(CoordinationEvent::KeySet(set)) = CoordinationEvent::of(&recorded) {
                take(&recorded, set)?;
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for RecordedKeys<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordedKeys").field("run", &self.run).finish_non_exhaustive()
    }
}
