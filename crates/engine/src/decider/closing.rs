//! The end of the engine in good order: what runs is waited for, the ledger is closed, the caller
//! is answered.

use antiphon_core::coordination::{Runners, SessionEnd, SessionOutcome};
use antiphon_core::time::Now;
use antiphon_core::world::Command;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::writer::Job;
use super::{Decider, Health, snapshot_of};
use crate::incidents::CaughtError;
use crate::mailbox::{EngineError, engine_origin};
use crate::session::CLOSED;

/// What the end of the engine waits for.
pub(super) struct Closing {
    pub(super) reply: oneshot::Sender<Result<(), EngineError>>,
    pub(super) by: Instant,
    /// Whether the processes that still ran then were asked to stop.
    pub(super) cut_off: bool,
    pub(super) recorded: bool,
}

impl Decider {
    pub(super) fn on_close(&mut self, reply: oneshot::Sender<Result<(), EngineError>>) {
        // Without runners nothing new is bound.
        self.runners = Runners::default();
        self.world.set_runners(self.runners.clone());
        self.closing = Some(Closing {
            reply,
            by: Instant::now() + self.grace,
            cut_off: false,
            recorded: false,
        });
    }

    /// Once nothing runs any more, or the grace is over: processes that still run are asked to
    /// stop, and waited for as long as their own graces take; then functions that still run are
    /// given up, and the ledger is closed.
    pub(super) fn go_on_closing(&mut self, now: &Now) {
        let Some(closing) = self.closing.as_mut().filter(|closing| !closing.recorded) else {
            return;
        };
        // A turn on its way may still start a session, who was not answered yet started something,
        // and ends that were kept are recorded.
        if !self.flight.is_empty()
            || !self.starts.is_empty()
            || !self.kept.is_empty()
            || (!self.running.is_empty() && closing.by > Instant::now())
        {
            return;
        }
        if self.running.has_processes() {
            closing.cut_off = true;
            return self.running.cut_off_processes();
        }
        closing.recorded = true;
        for (session, fence) in self.running.to_abandon() {
            let end = SessionEnd::new(SessionOutcome::Lost).with_text(CLOSED);
            let subject = session.to_string();
            let command = Command::EndSession {
                session,
                fence,
                end: Box::new(end),
                asked: None,
                blobs: Vec::new(),
            };
            if let Err(error) = self.world.handle(command, engine_origin(), now) {
                self.caught.note(CaughtError::LossNotRecorded, &subject, &error);
            }
        }
        self.running.abandon();
        self.world.close_ledger(now);
    }

    pub(super) fn closed(&self) -> bool {
        let idle = self.flight.is_empty() && self.void_acks == 0;
        match (&self.closing, &self.health) {
            (Some(closing), Health::Sound) => closing.recorded && idle && !self.world.has_more(),
            (Some(_), _) => idle,
            (None, _) => false,
        }
    }

    /// Leaves snapshots, closes the store and answers the one who asked for it.
    pub(super) async fn finish(mut self) {
        let answer = self.health.refusal().map_or(Ok(()), Err);
        if answer.is_ok() {
            for session in self.world.coordinations() {
                self.writer.send(Job::Save(snapshot_of(session)));
            }
        }
        // With a ledger that takes nothing in they may still run. What they leave is found at the
        // next start.
        self.running.cut_off_processes();
        self.running.processes_gone().await;
        self.running.abandon();
        // What was abandoned must be gone before the caller may open the ledger again, here or
        // elsewhere.
        self.running.gone().await;
        let closed = self.writer.finish().map_err(|reason| EngineError::Poisoned { reason });
        if let Some(closing) = self.closing.take() {
            let _ = closing.reply.send(answer.and(closed));
        }
    }
}
