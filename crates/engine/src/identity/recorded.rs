//! A run as it was started.

use antiphon_core::coordination::{CoordinationConfig, WorkSpec};
use antiphon_core::event::{AggregateEvent as _, CoordinationEvent, Started};
use antiphon_core::id::{CoordinationId, StreamName, Version};

use crate::ledger::{Events, ReadError, Store};
use crate::plan::Origin;

/// What the record says that a run was started with.
#[derive(Debug)]
pub(super) struct RecordedStart {
    pub(super) started: Box<Started>,
    /// The items that were recorded; fewer than it has if its start was cut off.
    pub(super) items: Vec<WorkSpec>,
    /// Where it was started from, if that was recorded and is still there.
    pub(super) origin: Option<Origin>,
}

impl RecordedStart {
    /// `None` if part of it was erased.
    pub(super) fn read(store: &dyn Store, run: &CoordinationId) -> Result<Option<Self>, ReadError> {
        let mut events = Events::after(store, StreamName::Coordination(run.clone()), Version(0));
        let Some(first) = events.next().transpose()? else { return Ok(None) };
        let Ok(CoordinationEvent::Started(started)) = CoordinationEvent::of(&first) else {
            return Ok(None);
        };
        let mut items = Vec::new();
        while items.len() < started.items as usize {
            let Some(event) = events.next().transpose()? else { break };
            match CoordinationEvent::of(&event) {
                Ok(CoordinationEvent::WorkAdded(added)) => items.extend(added.items),
                Ok(_) => {}
                Err(_) => return Ok(None),
            }
        }
        let origin = match started.origin {
            Some(digest) => store.blob(&digest)?,
            None => None,
        };
        let origin = origin.and_then(|bytes| Origin::from_bytes(&bytes).ok());
        Ok(Some(Self { started, items, origin }))
    }

    /// The configuration that it was started with, if it retries a run and what is submitted is a
    /// plan that is not said to differ: a plan does not know what of it is taken over.
    pub(super) fn as_retry_of(
        &self,
        run: &CoordinationId,
        plan: &CoordinationConfig,
    ) -> Option<CoordinationConfig> {
        let forerunner = self.started.forerunner.clone();
        let forerunner = forerunner.filter(|_| plan.forerunner().is_none())?;
        let config = CoordinationConfig::as_started(&self.started, self.items.clone()).ok()?;
        let config = config.retrying(forerunner).with_id(run).ok()?;
        let is_whole = config.digest() == self.started.plan;
        let is_same =
            config.on_end() == plan.on_end() && config.signal_schemas() == plan.signal_schemas();
        (is_whole && is_same).then_some(config)
    }
}

/// Where a run was started from; `None` if that was not recorded, was erased, or was written by a
/// version that knows more.
///
/// # Errors
/// [`ReadError`] if the ledger cannot be read.
pub fn origin_of(store: &dyn Store, run: &CoordinationId) -> Result<Option<Origin>, ReadError> {
    let first = store.read_stream(&StreamName::Coordination(run.clone()), Version(0), 1)?;
    let Some(Ok(CoordinationEvent::Started(started))) = first.first().map(CoordinationEvent::of)
    else {
        return Ok(None);
    };
    let Some(digest) = started.origin else { return Ok(None) };
    Ok(store.blob(&digest)?.and_then(|bytes| Origin::from_bytes(&bytes).ok()))
}
