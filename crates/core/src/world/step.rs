//! What is done of runs over as many turns as it takes, ahead of everything else.

use crate::coordination::event::Interrupted;
use crate::id::{Actor, CoordinationId, Epoch, SessionId};

/// One step of a takeover; none records more than a few events.
#[derive(Debug)]
pub(super) enum Step {
    /// Records that this engine carries a coordination out, and finds the sessions that died with
    /// the last one.
    Resume(CoordinationId),
    /// Records that this engine carries a nested coordination out, whose sessions live.
    TakeUp(CoordinationId),
    /// Records that nobody carries a coordination out, unless that is known or makes no difference,
    /// and finds the sessions that died with the last engine.
    Leave(CoordinationId),
    /// Records that nobody carries a nested coordination out any more.
    Interrupt(CoordinationId, Interruption),
    /// Records that a session died with the last engine, or how it ended.
    Lose(SessionId),
    /// Ends a coordination whose start will never be completed.
    GiveUp(CoordinationId),
    /// Deals with what is overdue.
    Wake(CoordinationId),
}

/// Why a run is not carried out any more.
#[derive(Debug, Clone)]
pub(super) struct Interruption {
    by: Actor,
    /// In a few words; empty where an engine only notes that nobody carries it out.
    reason: String,
    ends_sessions: bool,
}

impl Interruption {
    pub(super) fn new(by: Actor, reason: String, ends_sessions: bool) -> Self {
        Self { by, reason, ends_sessions }
    }

    /// Nobody carries it out, as far as this engine knows.
    pub(super) fn noted() -> Self {
        Self::new(Actor::engine().clone(), String::new(), false)
    }

    /// What is recorded of it.
    pub(super) fn event(&self, epoch: Epoch, engine: String, swept: u32, away: u64) -> Interrupted {
        let Self { by, reason, ends_sessions } = self.clone();
        Interrupted { epoch, engine, by, reason, ends_sessions, swept, away }
    }
}
