//! The signals of a run in a ledger, for those that read it without an engine.

use antiphon_core::id::{CoordinationId, StreamName, Version};

use super::filter::SignalFilter;
use super::following::read_data;
use super::heard::HeardSignal;
use super::history::history;
use super::speakers::Speakers;
use super::told::{may_tell, told};
use crate::ledger::{Events, ReadError, Store};

/// The signals of a run as they are recorded in a store.
pub struct RecordedSignals<'a> {
    store: &'a dyn Store,
    run: CoordinationId,
    speakers: Speakers,
}

impl<'a> RecordedSignals<'a> {
    /// Those of a run.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn of(store: &'a dyn Store, run: &CoordinationId) -> Result<Self, ReadError> {
        let speakers = Speakers::recorded(store, run.clone())?;
        Ok(Self { store, run: run.clone(), speakers })
    }

    /// The last ones that are wanted, the newest first, at most `limit` and at most 1,000.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn last(&self, filter: &SignalFilter, limit: usize) -> Result<Vec<HeardSignal>, ReadError> {
        history(self.store, &self.run, self.speakers.clone(), filter, limit)
    }

    /// Those after a version that are wanted, in their order, as they are asked for.
    pub fn after(
        &self,
        filter: &SignalFilter,
        version: Version,
    ) -> impl Iterator<Item = Result<HeardSignal, ReadError>> {
        let mut speakers = self.speakers.clone();
        let stream = StreamName::Coordination(self.run.clone());
        Events::after(self.store, stream, version).filter_map(move |event| {
            let found = event.and_then(|event| {
                let told = may_tell(&event.kind).then(|| told(&event, &mut speakers)).flatten();
                let Some(mut told) = told.filter(|told| filter.may_match(&told.signal)) else {
                    return Ok(None);
                };
                if let Some(digest) = told.data {
                    told.signal.data = read_data(self.store.blob(&digest)?);
                }
                Ok(Some(told.signal).filter(|signal| filter.matches_data(signal)))
            });
            found.transpose()
        })
    }
}

impl std::fmt::Debug for RecordedSignals<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordedSignals").field("run", &self.run).finish_non_exhaustive()
    }
}
