//! Reading the keys of a run: of one that is live as they are, of one that has ended as they were.

use antiphon_core::coordination::{KeyState, KeyValue};
use antiphon_core::id::{CoordinationId, KeyName};

use super::found::{FoundKey, read_value};
use super::recorded::RecordedKeys;
use crate::mailbox::{Handle, QueryError};

/// Most keys that are read at a time.
const PAGE: usize = 1_000;

impl Handle {
    /// A key of a run, if it is there.
    pub(crate) async fn key(
        &self,
        run: &CoordinationId,
        key: &str,
    ) -> Result<Option<FoundKey>, QueryError> {
        let first = self.keys(run, key, None, 1).await?.pop();
        Ok(first.filter(|found| found.key == *key))
    }

    /// The keys of a run that begin so, after one of them, by name; at most `limit` and 1,000. Those
    /// whose value was erased are left out.
    pub(crate) async fn keys(
        &self,
        run: &CoordinationId,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<FoundKey>, QueryError> {
        let mut found = Vec::new();
        for (key, KeyState { version, value }) in self.states(run, prefix, after, limit).await? {
            let value = match value {
                KeyValue::Here(value) => Some(value),
                KeyValue::Blob(digest) => read_value(self.blob(digest).await?),
                other => panic!("BUG: nobody reads {other:?}"),
            };
            found.extend(value.map(|value| FoundKey { key, version, value }));
        }
        Ok(found)
    }

    async fn states(
        &self,
        run: &CoordinationId,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(KeyName, KeyState)>, QueryError> {
        // What all share comes into being with its first key.
        if !run.is_shared() {
            self.require(run).await?;
        }
        let limit = limit.min(PAGE);
        let (id, below, behind) = (run.clone(), prefix.to_owned(), after.map(str::to_owned));
        let live = self.query(move |world, _| {
            let run = world.coordination(&id)?;
            let keys = run.keys(&below, behind.as_deref()).take(limit);
            Some(keys.map(|(name, key)| (name.clone(), key.clone())).collect())
        });
        if let Some(found) = live.await? {
            return Ok(found);
        }
        let (run, prefix) = (run.clone(), prefix.to_owned());
        let all = self.read(move |store| RecordedKeys::of(store, &run).states(&prefix)).await?;
        let behind = |key: &KeyName| after.is_none_or(|after| key.as_str() > after);
        Ok(all.into_iter().filter(|(key, _)| behind(key)).take(limit).collect())
    }
}
