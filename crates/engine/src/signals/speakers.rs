//! The names that items of a run speak under, where these are not their ids.

use std::collections::BTreeMap;

use antiphon_core::coordination::{Coordination, WorkSpec};
use antiphon_core::event::{AggregateEvent as _, CoordinationEvent};
use antiphon_core::id::{AgentId, CoordinationId, StreamName, Version, WorkId};

use crate::ledger::{Events, ReadError, Store};
use crate::mailbox::{Handle, Unavailable};

#[derive(Debug, Clone, Default)]
pub(super) struct Speakers(BTreeMap<WorkId, AgentId>);

impl Speakers {
    /// Those of a run: of one that is live as the engine knows them, of any other as its events tell.
    pub(super) async fn of(handle: &Handle, run: &CoordinationId) -> Result<Self, Unavailable> {
        let id = run.clone();
        let live = handle.query(move |world, _| world.coordination(&id).map(Self::live)).await?;
        match live {
            Some(speakers) => Ok(speakers),
            None => {
                let run = run.clone();
                handle.read(move |store| Self::recorded(store, run)).await
            }
        }
    }

    /// Items of an open run that left memory long ago speak under their ids.
    fn live(run: &Coordination) -> Self {
        let mut speakers = Self::default();
        for id in run.work_queue() {
            if let Some(item) = run.work_tracking(id.as_str()) {
                speakers.note(item.spec);
            }
        }
        speakers
    }

    pub(super) fn recorded(store: &dyn Store, run: CoordinationId) -> Result<Self, ReadError> {
        let mut speakers = Self::default();
        for event in Events::after(store, StreamName::Coordination(run), Version(0)) {
            if let Ok(CoordinationEvent::WorkAdded(added)) = CoordinationEvent::of(&event?) {
                added.items.iter().for_each(|item| speakers.note(item));
            }
        }
        Ok(speakers)
    }

    pub(super) fn note(&mut self, item: &WorkSpec) {
        if let Some(agent) = &item.agent {
            self.0.insert(item.id.clone(), agent.clone());
        }
    }

    pub(super) fn of_item(&self, item: &WorkId) -> AgentId {
        self.0.get(item).cloned().unwrap_or_else(|| AgentId::from(item))
    }
}
