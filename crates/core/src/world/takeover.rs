//! Taking over what an earlier engine or a failed append left: step by step over as many turns as
//! it takes, ahead of everything else.
//!
//! Nothing is decided for any coordination before the last step, so every prefix that a crash
//! leaves is taken over like the whole.

use std::collections::BTreeMap;

use super::World;
use super::member::Member;
use super::step::{Interruption, Step};
use crate::coordination::{
    AbortReason, Coordination, Ending, RecordError, SessionEnd, SessionOutcome, UnbindError,
};
use crate::envelope::Blob;
use crate::id::{CoordinationId, SessionId};
use crate::live::{EmitError, Stamp};
use crate::time::Now;

/// Which runs an engine carries out from the moment at which it takes a ledger over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TakenUp {
    /// All that have not ended.
    #[default]
    All,
    /// None but those that it is asked for.
    Asked,
}

/// What a restart found of a session that an earlier engine ran.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct SweptEnd {
    pub end: SessionEnd,
    /// Output that its end names.
    pub blobs: Vec<Blob>,
}

impl World {
    /// Takes every coordination over after a restart: its live sessions died with the last engine,
    /// except nested coordinations, which are in this ledger and go on. The next turns record it;
    /// until then no command is accepted.
    ///
    /// # Errors
    /// [`EmitError::ClockRegression`] if time was set before the last event.
    pub fn resume(&mut self, now: &Now) -> Result<(), EmitError> {
        self.resume_with(BTreeMap::new(), TakenUp::All, now)
    }

    /// The same with what was found of sessions that were swept: how they ended by themselves, or
    /// what of them could not be ended. What is not taken up is left alone, but for the sessions
    /// that died.
    ///
    /// # Errors
    /// As [`World::resume`].
    pub fn resume_with(
        &mut self,
        swept: BTreeMap<SessionId, SweptEnd>,
        taken_up: TakenUp,
        now: &Now,
    ) -> Result<(), EmitError> {
        self.swept = swept;
        for member in self.members.values() {
            member.refuse_regression(now)?;
        }
        let ids = || self.members.keys().cloned();
        let each = ids().flat_map(|id| [Step::GiveUp(id.clone()), Step::Wake(id)]);
        let first = match taken_up {
            TakenUp::All => Step::Resume,
            TakenUp::Asked => Step::Leave,
        };
        self.takeover = ids().map(first).chain(each).collect();
        Ok(())
    }

    /// Ends the starts that a failed append cut off, and completes what it cut off of taking a run
    /// up or leaving it, in the next turns. The engine, which takes up as much as it did, and its
    /// sessions live on.
    pub fn complete_what_was_cut_off(&mut self, taken_up: TakenUp) {
        if taken_up == TakenUp::All {
            for member in self.members.values_mut() {
                resumes_later(member);
            }
        }
        let given_up = self.coordinations().filter(|session| is_given_up(session));
        let given_up = given_up.map(|session| Step::GiveUp(session.coordination_id().clone()));
        self.takeover = given_up.chain(self.align_nested()).collect();
    }

    /// Whether what was left is still being taken over.
    #[must_use]
    pub fn is_taking_over(&self) -> bool {
        !self.takeover.is_empty()
    }

    /// Takes as many steps as one turn holds.
    pub(super) fn continue_taking_over(&mut self, now: &Now) {
        while self.draft.has_room() {
            let Some(step) = self.takeover.pop_front() else { return };
            let taken = match &step {
                Step::Resume(id) => self.resume_one(id, now).map_err(UnbindError::from),
                Step::TakeUp(id) => {
                    let taken = self.take_up_one(id, 0, Stamp::by_engine(now));
                    self.wake(id, now);
                    taken.map_err(UnbindError::from)
                }
                Step::Leave(id) => self.leave_one(id, now).map_err(UnbindError::from),
                Step::Interrupt(id, why) => {
                    self.interrupt_one(id, why, 0, Stamp::by_engine(now)).map_err(UnbindError::from)
                }
                Step::Lose(session) => self.lose(session, now),
                Step::GiveUp(id) => {
                    self.give_up(id, now);
                    Ok(())
                }
                Step::Wake(id) => {
                    self.wake(id, now);
                    self.runnable.insert(id.clone());
                    Ok(())
                }
            };
            // Time that went back refuses it for now, like everything else.
            if taken.is_err() {
                self.takeover.push_front(step);
                return;
            }
        }
    }

    fn resume_one(&mut self, id: &CoordinationId, now: &Now) -> Result<(), RecordError> {
        if self.members.get_mut(id).is_some_and(resumes_later) {
            return Ok(());
        }
        let lost = self.lost_sessions(id);
        let swept = u32::try_from(lost.len()).unwrap_or(u32::MAX);
        self.take_up_one(id, swept, Stamp::by_engine(now))?;
        self.lose_all(lost);
        Ok(())
    }

    fn leave_one(&mut self, id: &CoordinationId, now: &Now) -> Result<(), RecordError> {
        let lost = self.lost_sessions(id);
        let Some(run) = self.coordination(id) else { return Ok(()) };
        // What is on the record already is not said again: a takeover that a failed append
        // interrupted may have come so far.
        let is_noted = run.is_interrupted() && (lost.is_empty() || run.epoch() == self.epoch);
        if !is_noted && (!run.is_idle() || !lost.is_empty()) {
            let swept = u32::try_from(lost.len()).unwrap_or(u32::MAX);
            self.interrupt_one(id, &Interruption::noted(), swept, Stamp::by_engine(now))?;
        }
        self.lose_all(lost);
        Ok(())
    }

    /// The sessions of a coordination that died with the last engine.
    fn lost_sessions(&self, id: &CoordinationId) -> Vec<SessionId> {
        let Some(run) = self.coordination(id) else { return Vec::new() };
        let open = run.bindings().filter(|(binding, _)| !binding.nested);
        open.map(|(binding, _)| run.session_id(binding.session)).collect()
    }

    fn lose_all(&mut self, lost: Vec<SessionId>) {
        for session in lost.into_iter().rev() {
            self.takeover.push_front(Step::Lose(session));
        }
    }

    fn lose(&mut self, session: &SessionId, now: &Now) -> Result<(), UnbindError> {
        let Some(member) = self.members.get_mut(&session.coordination) else { return Ok(()) };
        let lost = || {
            SessionEnd::new(SessionOutcome::Lost)
                .with_text("the engine stopped while the session ran")
        };
        let SweptEnd { end, blobs } = self
            .swept
            .get(session)
            .cloned()
            .unwrap_or_else(|| SweptEnd { end: lost(), blobs: Vec::new() });
        member.unbind(session.number, end, None, Stamp::by_engine(now))?;
        member.hand_over(&mut self.draft);
        self.draft.add_blobs(blobs);
        self.swept.remove(session);
        Ok(())
    }

    fn give_up(&mut self, id: &CoordinationId, now: &Now) {
        if !self.coordination(id).is_some_and(is_given_up) {
            return;
        }
        self.end(id, Ending::Aborted(AbortReason::StartCutOff), now);
    }
}

/// Whether a coordination is taken up without an event, and notes that one is due before its next: one
/// for each that only waits to be used would make opening a ledger cost as much as there are of them.
fn resumes_later(member: &mut Member) -> bool {
    let run = member.state();
    let later = run.is_dormant() && !run.is_interrupted();
    if later && !run.is_carried() {
        member.resume_later();
    }
    later
}

/// Whether a start was cut off that will never be completed: a nested one is started again with its
/// item's next session, and no caller knows an id that the engine made. A caller who chose an id
/// repeats the start under it, which completes it.
fn is_given_up(run: &Coordination) -> bool {
    let started = run.started();
    let cut_off = run.is_starting() && run.stop_request().is_none();
    cut_off && (started.parent.is_some() || started.minted)
}
