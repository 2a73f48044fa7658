//! Whether the ledger takes anything in, and what becomes of a turn that it did not take.

use std::time::Duration;

use antiphon_core::coordination::StopCause;
use tokio::time::Instant;

use super::{Closing, Decider, Pending, recovery};
use crate::incidents::CaughtError;
use crate::ledger::AppendError;
use crate::mailbox::{EngineError, StartError};

/// Wait before a full disk is tried again.
const RETRY_FULL: Duration = Duration::from_millis(500);

/// Whether the ledger takes anything in.
pub(super) enum Health {
    Sound,
    /// Read-only until a write succeeds; tried again at the moment given.
    Full {
        reason: String,
        retry: Instant,
    },
    /// An append was refused: what the engine does of itself must be written before commands are
    /// taken in again.
    Proving {
        reason: String,
    },
    /// Closed to writes until a restart has verified it.
    Poisoned {
        reason: String,
    },
}

impl Health {
    /// What a failed append makes of it.
    fn after(&self, error: &AppendError, now: Instant) -> Self {
        match (error, self) {
            (AppendError::NotWritten { source }, _) => {
                Self::Full { reason: source.to_string(), retry: now + RETRY_FULL }
            }
            (AppendError::Refused(refusal), Self::Sound | Self::Full { .. })
                if !refusal.is_final() =>
            {
                Self::Proving { reason: refusal.to_string() }
            }
            // What the engine does of itself is refused; it would be again.
            (AppendError::Refused(_) | AppendError::Unknown { .. }, _) => {
                Self::Poisoned { reason: error.to_string() }
            }
        }
    }

    /// What a command is refused with, if it is.
    pub(super) fn refusal(&self) -> Option<EngineError> {
        match self {
            Self::Sound => None,
            Self::Full { reason, .. } => Some(EngineError::ReadOnly { reason: reason.clone() }),
            Self::Proving { reason } => Some(EngineError::NotTaken { reason: reason.clone() }),
            Self::Poisoned { reason } => Some(EngineError::Poisoned { reason: reason.clone() }),
        }
    }
}

impl Decider {
    /// A turn was not written: the world goes back to what is durable; ends of sessions are kept
    /// and presented again.
    pub(super) fn on_failed_append(&mut self, failed: Pending, error: &AppendError) {
        self.caught.note(CaughtError::AppendFailed, &"a turn", error);
        let now = Instant::now();
        let mut health = self.health.after(error, now);
        let answer = health.refusal().unwrap_or(EngineError::Stopped);
        self.void_acks = self.flight.len();
        let mut kept = Vec::new();
        let draft = std::mem::take(&mut self.draft);
        let starts = std::mem::take(&mut self.starts).into_iter().map(|(_, release)| release);
        for pending in std::iter::once(failed).chain(self.flight.drain(..)).chain([draft]) {
            for release in pending.releases {
                release(Err(answer.clone()));
            }
            kept.extend(pending.ends);
        }
        for release in starts {
            release(Err(answer.clone()));
        }
        self.ending.clear();
        if let Health::Poisoned { reason } = health {
            return self.poison(reason);
        }
        if let Err(error) = self.rebuild() {
            return self.poison(error.to_string());
        }
        self.kept.extend(kept);
        if let Health::Full { retry, .. } = &mut health {
            // Building the world may have taken longer than the wait, and others are to have their
            // turn.
            *retry = Instant::now() + RETRY_FULL;
            if now.duration_since(*self.full_since.get_or_insert(now)) > self.grace {
                self.running.stop_all(StopCause::Ending);
            }
        }
        self.health = health;
    }

    /// Builds the world anew from what is durable. Its sessions run on, but for what was being
    /// taken over or started.
    fn rebuild(&mut self) -> Result<(), StartError> {
        let facts = recovery::refreshed(self.store.as_ref(), &self.facts)?;
        let mut world = recovery::rebuild(self.store.as_ref(), &facts)?;
        world.set_runners(self.runners.clone());
        if self.opening.recorded {
            world.give_up_cut_off_starts();
        } else {
            let now = self.now();
            // Only what came after the event itself may be missing.
            if facts.tip == self.facts.tip {
                world.open_ledger(
                    &self.opening.owner.host,
                    self.opening.owner.pid,
                    self.opening.accepted_shorter,
                    &now,
                );
            }
            world.resume_with(self.opening.orphans.found.clone(), &now)?;
        }
        if let Some(processes) = &self.processes {
            for coordination in processes.secrets.holders() {
                world.hold_secrets(&coordination);
            }
        }
        self.world = world;
        self.waiting.keep(|id| self.world.coordination(id).is_some());
        // They may be of versions that the coordinations do not have any more.
        self.snapshots.clear();
        if let Some(closing) = &mut self.closing {
            closing.recorded = false;
        }
        Ok(())
    }

    /// The writer's thread is gone without having been asked to: a broken invariant, contained like
    /// an error of a sync.
    pub(super) fn on_writer_gone(&mut self) {
        self.writer_gone = true;
        self.void_acks = 0;
        let reason = "the writer's thread ended";
        self.caught.note(CaughtError::WriterGone, &"the ledger", &reason);
        for pending in std::mem::take(&mut self.flight) {
            for release in pending.releases {
                release(Err(EngineError::Poisoned { reason: reason.to_owned() }));
            }
        }
        self.poison(reason.to_owned());
    }

    /// Nothing is taken in any more; who waits for an end is let go, as none will be recorded.
    fn poison(&mut self, reason: String) {
        for (_, release) in std::mem::take(&mut self.starts) {
            release(Err(EngineError::Poisoned { reason: reason.clone() }));
        }
        self.running.stop_all(StopCause::Ending);
        self.waiting.clear();
        self.followers.clear();
        self.health = Health::Poisoned { reason };
    }

    pub(super) fn refusal_of_reads(&self) -> Result<(), EngineError> {
        match &self.health {
            Health::Sound | Health::Full { .. } | Health::Proving { .. } => Ok(()),
            Health::Poisoned { reason } => Err(EngineError::Poisoned { reason: reason.clone() }),
        }
    }

    pub(super) fn may_write(&self) -> bool {
        match &self.health {
            Health::Sound | Health::Proving { .. } => true,
            Health::Full { retry, .. } => *retry <= Instant::now(),
            Health::Poisoned { .. } => false,
        }
    }

    /// When something must be tried again although nothing happens.
    pub(super) fn retry(&self) -> Option<Instant> {
        let full = match &self.health {
            Health::Full { retry, .. } if self.flight.is_empty() => Some(*retry),
            _ => None,
        };
        // Once processes were asked to stop, their ends are what there is to wait for.
        let waits =
            |closing: &&Closing| !closing.recorded && !closing.cut_off && self.flight.is_empty();
        let closing = self.closing.as_ref().filter(waits);
        full.or(closing.map(|closing| closing.by))
    }
}
