//! What becomes of a turn that the ledger did not take in.

use std::time::Duration;

use antiphon_core::coordination::StopCause;
use tokio::time::Instant;

use super::Decider;
use super::disk::DiskHealth;
use super::recovery;
use super::turns::TurnInFlight;
use crate::incidents::Incident;
use crate::ledger::{AppendError, Gone};
use crate::mailbox::{StartError, Unavailable};

/// How long it may take until the state can be read again.
const REBUILT_WITHIN: Duration = Duration::from_secs(10 * 60);

impl Decider {
    /// A turn was not written: the world goes back to what is durable; ends of sessions are kept
    /// and presented again.
    pub(super) fn on_failed_append(&mut self, failed: TurnInFlight, error: &AppendError) {
        self.incidents.note(Incident::AppendFailed, &"a turn", error);
        let failed_at = Instant::now();
        let behind = self.disk.fail(error);
        let answer = self.disk.refusal().unwrap_or(Unavailable::Stopped);
        let draft = std::mem::take(&mut self.draft).without_append(Vec::new());
        let given_up = std::iter::once(failed).chain(behind).chain([draft]);
        let kept: Vec<_> = given_up.flat_map(|turn| turn.give_up(&answer)).collect();
        self.audience.give_up(&answer);
        if let DiskHealth::Poisoned { .. } | DiskHealth::Gone { .. } = self.disk.health() {
            return self.stop_for_good(&answer);
        }
        self.sessions.keep(kept);
        if let Err(error) = self.rebuild() {
            let Some(passing) = error.passing() else { return self.poison(error.to_string()) };
            self.incidents.note(Incident::AppendFailed, &"reading the state again", passing);
            self.disk.leave_unread(passing.told(), failed_at);
        }
        self.wait_for_room(failed_at);
    }

    /// Tries again to read the state, which may need what there is none of, as the append did.
    pub(super) fn read_again(&mut self) {
        let Some(since) = self.disk.unread_since() else { return };
        match self.rebuild() {
            Ok(()) => self.disk.read_after_all(),
            Err(error) if error.passing().is_some() && since.elapsed() < REBUILT_WITHIN => {}
            Err(error) => return self.poison(error.to_string()),
        }
        self.wait_for_room(Instant::now());
    }

    /// Waits with the next try, and lets sessions run on meanwhile, but not for ever.
    fn wait_for_room(&mut self, failed_at: Instant) {
        let full_for = self.disk.wait_for_room(failed_at);
        if full_for.is_some_and(|full_for| self.sessions.have_run_on_for(full_for)) {
            self.sessions.stop_all(StopCause::Ending);
        }
    }

    /// Builds the world again from what is durable, as after a restart, but for what this process
    /// still has and the ledger does not: sessions that run, secrets that were handed in, and
    /// callers that wait for a run whose start is on the record.
    ///
    /// What rested on the lost turns goes: their answers and actions, starts that they cut off, and
    /// what was noted of snapshots of them. What was being taken over begins again.
    fn rebuild(&mut self) -> Result<(), StartError> {
        let facts = recovery::refreshed(self.disk.store().as_ref(), self.disk.durable())?;
        let (mut world, saved) = recovery::rebuild(self.disk.store().as_ref(), &facts)?;
        world.set_runners(self.sessions.runners().clone());
        if self.opening.is_recorded() {
            world.complete_what_was_cut_off(self.opening.taken_up());
        } else {
            let now = self.now();
            // Only what came after the event itself may be missing.
            if facts.tip == self.disk.durable().tip {
                self.opening.open(&mut world, &now)?;
            }
            self.opening.resume(&mut world, &now)?;
        }
        for coordination in self.sessions.holders_of_secrets() {
            world.hold_secrets(&coordination);
        }
        self.world = world;
        self.audience.keep(|id| self.world.coordination(id).is_some());
        self.look_at_waits_again();
        self.snapshots.go_on_from(saved);
        if let Some(closing) = &mut self.closing {
            closing.record_again();
        }
        Ok(())
    }

    /// The writer's thread is gone without having been asked to: a broken invariant, contained like
    /// an error of a sync.
    pub(super) fn on_writer_lost(&mut self) {
        let reason = "the writer's thread ended";
        self.incidents.note(Incident::WriterGone, &"the ledger", &reason);
        let answer = Unavailable::Poisoned { reason: reason.to_owned() };
        for turn in self.disk.lose_writer() {
            turn.give_up(&answer);
        }
        self.poison(reason.to_owned());
    }

    /// The state directory is gone: nothing that the engine does from here on would be on a record,
    /// so what runs is ended. No item has failed for it.
    pub(super) fn on_gone(&mut self, gone: Gone) {
        if self.disk.is_closed_to_writes() {
            return;
        }
        self.incidents.note(Incident::DirectoryGone, &"the ledger", &gone);
        let answer = Unavailable::Gone { gone: gone.clone() };
        let draft = std::mem::take(&mut self.draft).without_append(Vec::new());
        for turn in self.disk.lose(gone).into_iter().chain([draft]) {
            turn.give_up(&answer);
        }
        self.stop_for_good(&answer);
    }

    /// Nothing is taken in any more; those who wait for an end are let go, as none will be
    /// recorded.
    fn poison(&mut self, reason: String) {
        self.disk.poison(reason.clone());
        self.stop_for_good(&Unavailable::Poisoned { reason });
    }

    fn stop_for_good(&mut self, answer: &Unavailable) {
        self.audience.give_up(answer);
        self.sessions.stop_all(StopCause::Ending);
        self.audience.dismiss(answer);
        self.waits.refuse(answer);
    }
}
