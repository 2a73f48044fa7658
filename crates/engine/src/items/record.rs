//! The items of a run as its events tell of them.

use std::collections::BTreeMap;

use antiphon_core::coordination::{
    Assigned, Coordination, Grant, NextStep, SessionOutcome, SkipReason, WorkItemOutcome, WorkSpec,
    WorkStage,
};
use antiphon_core::envelope::Recorded;
use antiphon_core::event::{AggregateEvent as _, CoordinationEvent, SessionUnbound};
use antiphon_core::id::{CoordinationId, StreamName, Version, WorkId};
use antiphon_core::replay::Replay;
use antiphon_core::time::{LedgerTime, WallTime};

use super::error::ItemError;
use crate::ledger::{Events, Store};
use crate::mailbox::{QueryError, head_of};

/// When something was recorded, on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Ledger time, from which durations follow.
    pub at: LedgerTime,
    /// Wall-clock time, for people.
    pub wall: WallTime,
}

impl Moment {
    fn of(event: &Recorded) -> Self {
        Self { at: event.at, wall: event.wall }
    }
}

/// One session of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct Attempt {
    /// Its number in the run.
    pub session: u64,
    /// Which attempt it is, from 1. A session that was lost or cancelled counts none, so that the
    /// next one has its number again.
    pub number: u32,
    /// Whether a nested run of the session's id carries it out; not if that could not be started.
    pub nested: bool,
    pub grant: Grant,
    /// The runner that it was given to, and why, where its item may be given to several.
    pub assigned: Option<Box<Assigned>>,
    pub started: Moment,
    /// Absent while it runs.
    pub end: Option<AttemptEnd>,
}

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct AttemptEnd {
    pub when: Moment,
    pub unbound: Box<SessionUnbound>,
}

/// An item of a run with what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct ItemRecord {
    /// As it was submitted.
    pub spec: WorkSpec,
    pub stage: WorkStage,
    pub added: Moment,
    /// Its sessions, the oldest first.
    pub attempts: Vec<Attempt>,
    /// What became of it, and when, if it has its outcome.
    pub outcome: Option<(Moment, WorkItemOutcome)>,
}

impl ItemRecord {
    /// Why it never ran, if it was skipped.
    #[must_use]
    pub fn skipped_because(&self) -> Option<&SkipReason> {
        match &self.outcome {
            Some((_, WorkItemOutcome::Skipped(because))) => Some(because),
            _ => None,
        }
    }

    /// How its last session that has ended did.
    #[must_use]
    pub fn last_end(&self) -> Option<&AttemptEnd> {
        self.attempts.iter().rev().find_map(|attempt| attempt.end.as_ref())
    }
}

/// All items of a run, in the order of addition.
#[derive(Debug, Clone)]
pub struct RunItems {
    run: CoordinationId,
    items: Vec<ItemRecord>,
    places: BTreeMap<WorkId, usize>,
    /// Whether there may have been others.
    erased: bool,
}

impl RunItems {
    /// Reads them from the stream of the run. What was erased is left out.
    ///
    /// # Errors
    /// [`ItemError`] if there is no such run, or the ledger cannot be read.
    pub fn read(store: &dyn Store, run: &CoordinationId) -> Result<Self, ItemError> {
        let head =
            head_of(store, run)?.ok_or_else(|| QueryError::UnknownRun { run: run.clone() })?;
        let (records, places) = (Vec::new(), BTreeMap::new());
        let mut items = Self { run: run.clone(), items: records, places, erased: false };
        let stream = StreamName::Coordination(run.clone());
        // Nothing is waited for in a run that has ended, and some of it may be erased.
        let mut live = (!head.ended).then(|| Replay::<Coordination>::of(stream.clone()));
        for event in Events::after(store, stream, Version(0)) {
            let event = event?;
            items.erased |= event.payload.bytes().is_none();
            let Ok(what) = CoordinationEvent::of(&event) else { continue };
            if let Some(replay) = &mut live
                && let Err(error) = replay.apply(&event, &what)
            {
                let reason = format!("version {}: {error}", event.version);
                return Err(QueryError::HeadRow { run: run.clone(), reason }.into());
            }
            items.take(Moment::of(&event), what);
        }
        let live = live.and_then(Replay::into_state).map(|(state, _)| state);
        for item in &mut items.items {
            item.stage = stage(item, live.as_ref());
        }
        Ok(items)
    }

    /// The run.
    #[must_use]
    pub fn run(&self) -> &CoordinationId {
        &self.run
    }

    /// The items, in the order of addition.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &ItemRecord> {
        self.items.iter()
    }

    /// One item.
    ///
    /// # Errors
    /// [`ItemError::UnknownItem`] if there is none of that name, [`ItemError::Erased`] if that cannot
    /// be told any more.
    pub fn find(&self, item: &str) -> Result<&ItemRecord, ItemError> {
        let unknown = || match self.erased {
            true => ItemError::Erased { run: self.run.clone() },
            false => ItemError::UnknownItem { run: self.run.clone(), item: item.to_owned() },
        };
        let place = WorkId::new(item).ok().and_then(|id| self.places.get(&id).copied());
        place.map(|place| &self.items[place]).ok_or_else(unknown)
    }

    fn take(&mut self, when: Moment, event: CoordinationEvent) {
        match event {
            CoordinationEvent::WorkAdded(added) => {
                added.items.into_iter().for_each(|spec| self.add(when, spec));
            }
            CoordinationEvent::SessionBound(bound) => {
                if let Some(item) = self.item(&bound.work) {
                    item.attempts.push(Attempt {
                        session: bound.session,
                        number: bound.attempt,
                        nested: bound.nested,
                        grant: bound.grant,
                        assigned: bound.assigned,
                        started: when,
                        end: None,
                    });
                }
            }
            CoordinationEvent::SessionUnbound(unbound) => {
                let Some(item) = self.item(&unbound.work) else { return };
                if let NextStep::Done(outcome) = &unbound.then {
                    item.outcome = Some((when, outcome.clone()));
                }
                let session = unbound.session;
                let attempt = item.attempts.iter_mut().rfind(|it| it.session == session);
                if let Some(attempt) = attempt {
                    attempt.nested &= unbound.outcome != SessionOutcome::SpawnFailed;
                    attempt.end = Some(AttemptEnd { when, unbound: Box::new(unbound) });
                }
            }
            CoordinationEvent::WorkSkipped(skipped) => {
                for work in &skipped.works {
                    let outcome = WorkItemOutcome::Skipped(skipped.because.clone());
                    if let Some(item) = self.item(work) {
                        item.outcome = Some((when, outcome));
                    }
                }
            }
            _ => {}
        }
    }

    fn add(&mut self, when: Moment, spec: WorkSpec) {
        let outcome = spec.reused.as_ref().map(|_| (when, WorkItemOutcome::Succeeded));
        self.places.insert(spec.id.clone(), self.items.len());
        let stage = WorkStage::Waiting;
        self.items.push(ItemRecord { spec, stage, added: when, attempts: Vec::new(), outcome });
    }

    fn item(&mut self, work: &WorkId) -> Option<&mut ItemRecord> {
        self.places.get(work).map(|place| &mut self.items[*place])
    }
}

/// Where an item is: its outcome stays when it has left memory, and the rest is for the state to say.
fn stage(item: &ItemRecord, live: Option<&Coordination>) -> WorkStage {
    match (&item.outcome, live) {
        (Some((_, WorkItemOutcome::Succeeded)), _) => WorkStage::Succeeded,
        (Some((_, WorkItemOutcome::Failed)), _) => WorkStage::Failed,
        (Some(_), _) => WorkStage::Skipped,
        (None, Some(run)) => run.work_stage(item.spec.id.as_str()).unwrap_or(WorkStage::Unfinished),
        (None, None) => WorkStage::Unfinished,
    }
}
