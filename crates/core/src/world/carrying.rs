//! Who carries a run out: taking it up, leaving it alone, and what is noted of it in between.
//!
//! A run and what is nested in it are carried out together. The outermost stream says so first; the
//! nested ones follow, over as many turns as it takes.

use std::ops::Bound;

use super::World;
use super::step::{Interruption, Step};
use crate::coordination::event::{CoordinationEvent, Resumed};
use crate::coordination::{Coordination, RecordError};
use crate::id::CoordinationId;
use crate::live::Stamp;
use crate::time::{LedgerTime, Now};

impl World {
    /// A coordination and what is nested in it, the outer ones first.
    fn family(&self, id: &CoordinationId) -> impl Iterator<Item = &Coordination> {
        // What is nested carries the id of its parent's session, which begins with the parent's; so
        // may an id that somebody chose.
        let nested = format!("{id}.");
        let from = (Bound::Excluded(nested.as_str()), Bound::Unbounded);
        let below = self.members.range::<str, _>(from).map(|(_, member)| member.state());
        let below = below
            .take_while(move |run| run.coordination_id().as_str().starts_with(&nested))
            .filter(move |run| self.is_nested_in(run, id));
        self.coordination(id).into_iter().chain(below)
    }

    fn is_nested_in(&self, run: &Coordination, outer: &CoordinationId) -> bool {
        let mut parent = run.started().parent.as_ref();
        while let Some(session) = parent {
            if session.coordination == *outer {
                return true;
            }
            let above = self.coordination(&session.coordination);
            parent = above.and_then(|above| above.started().parent.as_ref());
        }
        false
    }

    /// What is nested in a coordination, however deep, the outer ones first.
    pub(super) fn nested_in(&self, id: &CoordinationId) -> Vec<CoordinationId> {
        self.family(id).skip(1).map(|run| run.coordination_id().clone()).collect()
    }

    /// Nanoseconds in which nobody carried it out until now: since the last event of it and of what
    /// is nested in it. None while a session of them still runs under this engine.
    fn away(&self, id: &CoordinationId, now: &Now) -> u64 {
        let mut last = LedgerTime(0);
        for run in self.family(id) {
            if run.is_carried() || (run.epoch() == self.epoch && run.runs_sessions()) {
                return 0;
            }
            last = last.max(run.last_times().0);
        }
        now.at.since(last)
    }

    /// Records that this engine takes a coordination up, unless it carries it out already. So many
    /// bound sessions died with an earlier engine.
    pub(super) fn take_up_one(
        &mut self,
        id: &CoordinationId,
        swept: u32,
        stamp: Stamp<'_>,
    ) -> Result<(), RecordError> {
        if self.coordination(id).is_some_and(Coordination::is_carried) {
            return Ok(());
        }
        let (epoch, engine) = (self.epoch, self.engine.clone());
        let away = self.away(id, stamp.now);
        let resumed = Resumed { epoch, engine, swept, away };
        self.record_one(id, &CoordinationEvent::Resumed(resumed), stamp)
    }

    /// Records that nobody carries a coordination out from here on, unless that is on the record.
    /// So many bound sessions died with an earlier engine.
    pub(super) fn interrupt_one(
        &mut self,
        id: &CoordinationId,
        why: &Interruption,
        swept: u32,
        stamp: Stamp<'_>,
    ) -> Result<(), RecordError> {
        let away = self.away(id, stamp.now);
        let interrupted = why.event(self.epoch, self.engine.clone(), swept, away);
        self.record_one(id, &CoordinationEvent::Interrupted(interrupted), stamp)
    }

    /// Records an event of a coordination, unless it has left memory.
    fn record_one(
        &mut self,
        id: &CoordinationId,
        event: &CoordinationEvent,
        stamp: Stamp<'_>,
    ) -> Result<(), RecordError> {
        let Some(member) = self.members.get_mut(id) else { return Ok(()) };
        member.record(event, stamp)?;
        member.hand_over(&mut self.draft);
        self.runnable.insert(id.clone());
        Ok(())
    }

    /// Notes, before something is recorded of a coordination, what the record does not say yet: that
    /// this engine carries it out, or that nobody did until now.
    pub(super) fn note_who_carries(
        &mut self,
        id: &CoordinationId,
        now: &Now,
    ) -> Result<(), RecordError> {
        if let Some(member) = self.members.get_mut(id)
            && member.resumes_later()
        {
            now.at.not_before(member.state().last_times().0)?;
            member.resume_now();
            return self.take_up_one(id, 0, Stamp::by_engine(now));
        }
        let Some(run) = self.coordination(id).filter(|run| !run.is_carried()) else {
            return Ok(());
        };
        if run.epoch() == self.epoch && self.away(id, now) == 0 {
            return Ok(());
        }
        self.interrupt_one(id, &Interruption::noted(), 0, Stamp::by_engine(now))
    }

    /// The steps that bring every nested coordination to where the run is that it is in: a failed
    /// append may have come in between.
    pub(super) fn align_nested(&self) -> Vec<Step> {
        let nested = self.coordinations().filter(|run| run.started().parent.is_some());
        let steps = nested.filter_map(|run| {
            let id = run.coordination_id();
            let outermost = self.coordination(&self.outermost(id))?;
            match (outermost.is_carried(), run.is_carried()) {
                (true, false) => Some(Step::TakeUp(id.clone())),
                (false, true) => Some(Step::Interrupt(id.clone(), Interruption::noted())),
                _ => None,
            }
        });
        steps.collect()
    }
}
