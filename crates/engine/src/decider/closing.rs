//! The end of the engine in good order: what runs is waited for, the ledger is closed, the caller
//! is answered.

use antiphon_core::coordination::{SessionEnd, SessionOutcome};
use antiphon_core::time::Now;
use antiphon_core::world::{Asker, commands};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Decider;
use crate::incidents::Incident;
use crate::mailbox::Unavailable;
use crate::session::CLOSED;

/// What the end of the engine waits for.
pub(super) struct Closing {
    reply: oneshot::Sender<Result<(), Unavailable>>,
    by: Instant,
    /// Whether the processes that still ran then were asked to stop.
    cut_off: bool,
    recorded: bool,
}

impl Closing {
    /// Whether the last turn of the engine was taken.
    pub(super) fn is_recorded(&self) -> bool {
        self.recorded
    }

    /// The last turn was not recorded and must be taken again.
    pub(super) fn record_again(&mut self) {
        self.recorded = false;
    }

    /// When what still runs is given up. Once processes were asked to stop, their ends are what
    /// there is to wait for.
    fn gives_up(&self) -> Option<Instant> {
        (!self.recorded && !self.cut_off).then_some(self.by)
    }
}

impl Decider {
    pub(super) fn on_close(&mut self, reply: oneshot::Sender<Result<(), Unavailable>>) {
        // Without runners nothing new is bound.
        self.world.set_runners(self.sessions.withdraw_runners().clone());
        self.closing = Some(Closing {
            reply,
            by: Instant::now() + self.sessions.grace(),
            cut_off: false,
            recorded: false,
        });
    }

    /// Once nothing runs any more, or the grace is over: processes that still run are asked to
    /// stop, and waited for as long as their own graces take; then functions that still run are
    /// given up, and the ledger is closed.
    pub(super) fn go_on_closing(&mut self, now: &Now) {
        let runs_anything = self.runs_anything();
        let Some(closing) = self.closing.as_mut().filter(|closing| !closing.recorded) else {
            return;
        };
        // A turn on its way may still start a session, a start that is not complete is answered
        // first, and ends that were kept are recorded. Commands for the ends of runs have as long as
        // sessions have; what is cut off of them is left to the next engine.
        if !self.disk.nothing_in_flight()
            || self.audience.has_starts()
            || self.sessions.has_kept()
            || (runs_anything && closing.by > Instant::now())
        {
            return;
        }
        if self.sessions.has_processes() {
            closing.cut_off = true;
            return self.sessions.cut_off_processes();
        }
        closing.recorded = true;
        for (session, fence) in self.sessions.to_abandon() {
            let end = SessionEnd::new(SessionOutcome::Lost).with_text(CLOSED);
            let subject = session.to_string();
            let command = commands::EndSession::new(session, fence, end);
            if let Err(error) = self.world.handle(command, Asker::engine(), now) {
                self.incidents.note(Incident::LossNotRecorded, &subject, &error);
            }
        }
        self.sessions.abandon();
        if let Err(error) = self.world.close_ledger(now) {
            self.incidents.note(Incident::LossNotRecorded, &"the ledger", &error);
        }
    }

    fn runs_anything(&self) -> bool {
        !self.sessions.none_runs() || !self.on_ends.none_runs()
    }

    pub(super) fn closed(&self) -> bool {
        let Some(closing) = &self.closing else { return false };
        let done = !self.disk.is_sound() || (closing.recorded && !self.world.has_more());
        done && self.disk.is_idle()
    }

    /// When something must be tried again although nothing happens.
    pub(super) fn retry(&self) -> Option<Instant> {
        let gives_up = || {
            let closing = self.closing.as_ref().filter(|_| self.disk.nothing_in_flight());
            closing.and_then(Closing::gives_up)
        };
        self.disk.retry().or_else(gives_up)
    }

    /// Leaves snapshots, closes the store and answers the one who asked for it.
    pub(super) async fn finish(mut self) {
        // There is nothing to close in order where nothing could be written.
        let refusal = self.disk.refusal().filter(|_| !self.disk.is_newer());
        let answer = refusal.map_or(Ok(()), Err);
        if self.disk.is_sound() {
            let states = self.world.coordinations();
            self.snapshots.save_at_close(self.disk.store(), states, &self.incidents).await;
        }
        self.snapshots.made().await;
        // With a ledger that takes nothing in they may still run. What they leave is found at the
        // next start.
        self.sessions.cut_off_processes();
        self.sessions.processes_gone().await;
        self.on_ends.give_up().await;
        self.sessions.abandon();
        // What was abandoned must be gone before the caller may open the ledger again, here or
        // elsewhere.
        self.sessions.gone().await;
        let closed = self.disk.finish();
        if let Some(closing) = self.closing.take() {
            let _ = closing.reply.send(answer.and(closed));
        }
    }
}
