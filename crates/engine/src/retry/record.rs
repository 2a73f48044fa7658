//! An earlier run as its events tell of it.

use std::collections::BTreeMap;

use antiphon_core::coordination::{NextStep, Reused, WorkItemOutcome, WorkSpec};
use antiphon_core::digest::Digest;
use antiphon_core::event::{CoordinationEvent, Started};
use antiphon_core::id::{CoordinationId, SessionId, WorkId};

use super::EarlierItem;

/// What the events of a run say of its items, one event after the other. What was erased is left
/// out: an item of which nothing is known runs again.
#[derive(Debug)]
pub(crate) struct Record {
    run: CoordinationId,
    started: Option<Started>,
    items: Vec<EarlierItem>,
    places: BTreeMap<WorkId, usize>,
    /// The last session of each item that is a nested plan.
    nested: BTreeMap<WorkId, u64>,
}

/// Where the run is that carried out an item's nested plan.
#[derive(Debug)]
pub(crate) enum Below {
    /// It was this session of the same run.
    Session(u64),
    /// It is below the run that the item was taken over from.
    TakenOver(Reused),
}

impl Record {
    /// Nothing yet, of this run.
    pub(crate) fn of(run: CoordinationId) -> Self {
        let (places, nested) = (BTreeMap::new(), BTreeMap::new());
        Self { run, started: None, items: Vec::new(), places, nested }
    }

    /// Takes in the next event.
    pub(crate) fn take(&mut self, event: CoordinationEvent) {
        match event {
            CoordinationEvent::Started(started) => self.started = Some(*started),
            CoordinationEvent::WorkAdded(added) => {
                added.items.into_iter().for_each(|item| self.add(item));
            }
            CoordinationEvent::SessionBound(bound) if bound.nested => {
                self.nested.insert(bound.work, bound.session);
            }
            CoordinationEvent::SessionUnbound(unbound) => {
                let outcome = match unbound.then {
                    NextStep::Done(outcome) => Some(outcome),
                    _ => None,
                };
                let files = unbound.tree.and_then(|tree| tree.files);
                let session = SessionId { coordination: self.run.clone(), number: unbound.session };
                self.note(&unbound.work, outcome, unbound.output, files, Some(session));
            }
            CoordinationEvent::WorkSkipped(skipped) => {
                for work in &skipped.works {
                    let because = skipped.because.clone();
                    self.note(work, Some(WorkItemOutcome::Skipped(because)), None, None, None);
                }
            }
            _ => {}
        }
    }

    fn add(&mut self, spec: WorkSpec) {
        let outcome = spec.reused.as_ref().map(|_| WorkItemOutcome::Succeeded);
        let output = spec.reused.as_ref().and_then(|reused| reused.output);
        let files = spec.reused.as_ref().and_then(|reused| reused.files);
        let session = spec.reused.as_ref().and_then(|reused| reused.session.clone());
        self.places.insert(spec.id.clone(), self.items.len());
        let left = BTreeMap::new();
        self.items.push(EarlierItem { spec, outcome, output, files, session, left });
    }

    fn note(
        &mut self,
        work: &WorkId,
        outcome: Option<WorkItemOutcome>,
        output: Option<Digest>,
        files: Option<Digest>,
        session: Option<SessionId>,
    ) {
        if let Some(place) = self.places.get(work) {
            let item = &mut self.items[*place];
            item.outcome = outcome.or(item.outcome.take());
            item.output = output.or(item.output);
            item.files = files.or(item.files);
            item.session = session.or(item.session.take());
        }
    }

    /// How it was started, unless that was erased.
    pub(crate) fn started(&mut self) -> Option<Started> {
        self.started.take()
    }

    /// The last session of an item that is a nested plan, or where the item was taken over from.
    pub(crate) fn below(&self, work: &WorkId) -> Option<Below> {
        if let Some(session) = self.nested.get(work) {
            return Some(Below::Session(*session));
        }
        let item = &self.items[*self.places.get(work)?];
        item.spec.reused.as_deref().cloned().map(Below::TakenOver)
    }

    /// The items that are nested plans.
    pub(crate) fn nested(&self) -> impl Iterator<Item = &WorkId> {
        let nested = self.items.iter().filter(|item| item.spec.runner.is_plan());
        nested.map(|item| &item.spec.id)
    }

    /// The items in the order of addition.
    pub(crate) fn into_items(self) -> Vec<EarlierItem> {
        self.items
    }
}
