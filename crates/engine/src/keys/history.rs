//! What became of keys, read from the ledger.

use std::ops::ControlFlow;

use antiphon_core::event::{AggregateEvent as _, CoordinationEvent};
use antiphon_core::id::{CoordinationId, StreamName};

use super::found::{KeyRecord, changes, read_value};
use crate::ledger::{ReadError, Store, backwards};
use crate::mailbox::{Handle, QueryError};

/// Most changes that one look back gives.
const MAX_HISTORY: usize = 1_000;

impl Handle {
    /// The last changes of keys of a run that begin so, the newest first.
    pub(crate) async fn key_history(
        &self,
        run: &CoordinationId,
        prefix: &str,
        limit: usize,
    ) -> Result<Vec<KeyRecord>, QueryError> {
        self.require(run).await?;
        let (run, prefix) = (run.clone(), prefix.to_owned());
        Ok(self.read(move |store| history(store, run, &prefix, limit)).await?)
    }
}

fn history(
    store: &dyn Store,
    run: CoordinationId,
    prefix: &str,
    limit: usize,
) -> Result<Vec<KeyRecord>, ReadError> {
    let limit = limit.min(MAX_HISTORY);
    let mut found = Vec::new();
    let failed = backwards(store, &StreamName::Coordination(run), |recorded| {
        if found.len() >= limit {
            return ControlFlow::Break(Ok(()));
        }
        if *recorded.kind != *"coordination.key_set" {
            return ControlFlow::Continue(());
        }
        let Ok(CoordinationEvent::KeySet(set)) = CoordinationEvent::of(recorded) else {
            return ControlFlow::Continue(());
        };
        for mut change in changes(recorded, set, prefix) {
            if let Some(digest) = change.value {
                match store.blob(&digest) {
                    Ok(blob) => change.record.value = read_value(blob),
                    Err(error) => return ControlFlow::Break(Err(error)),
                }
            }
            found.push(change.record);
        }
        ControlFlow::Continue(())
    })?;
    failed.unwrap_or(Ok(()))?;
    found.truncate(limit);
    Ok(found)
}
