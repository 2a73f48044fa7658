//! The signals that there were.

use std::ops::ControlFlow;

use antiphon_core::id::{CoordinationId, StreamName};

use super::filter::SignalFilter;
use super::following::read_data;
use super::heard::HeardSignal;
use super::speakers::Speakers;
use super::told::{may_tell, told};
use crate::ledger::{ReadError, Store, backwards};

/// Most signals that one look back gives.
pub(super) const MAX_HISTORY: usize = 1_000;

/// The last signals of a run that are wanted, the newest first, at most so many.
pub(super) fn history(
    store: &dyn Store,
    run: &CoordinationId,
    mut speakers: Speakers,
    filter: &SignalFilter,
    limit: usize,
) -> Result<Vec<HeardSignal>, ReadError> {
    let limit = limit.min(MAX_HISTORY);
    let mut found = Vec::new();
    let stream = StreamName::Coordination(run.clone());
    let stopped = backwards(store, &stream, |recorded| {
        if found.len() == limit {
            return ControlFlow::Break(Ok(()));
        }
        if !may_tell(&recorded.kind) {
            return ControlFlow::Continue(());
        }
        let Some(mut told) = told(recorded, &mut speakers) else {
            return ControlFlow::Continue(());
        };
        if !filter.may_match(&told.signal) {
            return ControlFlow::Continue(());
        }
        if let Some(digest) = told.data {
            match store.blob(&digest) {
                Ok(blob) => told.signal.data = read_data(blob),
                Err(error) => return ControlFlow::Break(Err(error)),
            }
        }
        if filter.matches_data(&told.signal) {
            found.push(told.signal);
        }
        ControlFlow::Continue(())
    })?;
    stopped.unwrap_or(Ok(()))?;
    Ok(found)
}
