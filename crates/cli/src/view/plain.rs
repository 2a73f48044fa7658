//! A run where no terminal is: one line for each event that people care about.

use antiphon::coordination::BudgetUsage;
use antiphon::envelope::Recorded;
use antiphon::event::{AggregateEvent as _, CoordinationEvent, Interrupted};
use antiphon::id::CoordinationId;

use super::summary::Summary;
use crate::describe::Narration;
use crate::run_outcome::RunOutcome;
use crate::timestamps;

/// What is remembered from one event to the next.
#[derive(Debug)]
pub(super) struct Plain {
    coordination: CoordinationId,
    narration: Narration,
    sessions: u64,
    usage: BudgetUsage,
    currency: Option<String>,
}

impl Plain {
    pub(super) fn new(coordination: CoordinationId) -> Self {
        let usage = BudgetUsage::default();
        Self { coordination, narration: Narration::default(), sessions: 0, usage, currency: None }
    }

    /// The line for an event, if it has one: the first items are counted where the run starts, and
    /// the end has lines of its own.
    pub(super) fn line(&mut self, recorded: &Recorded) -> Option<String> {
        let event = CoordinationEvent::of(recorded).ok()?;
        match event {
            CoordinationEvent::Started(started) => {
                self.currency = started.budget.currency().map(str::to_owned);
            }
            CoordinationEvent::WorkAdded(_) => return None,
            CoordinationEvent::SessionUnbound(_) => self.sessions += 1,
            CoordinationEvent::Completed(completed) => {
                (self.usage, self.sessions) = (completed.usage, completed.totals.sessions);
                return None;
            }
            CoordinationEvent::Aborted(aborted) => {
                (self.usage, self.sessions) = (aborted.usage, aborted.totals.sessions);
                return None;
            }
            // An engine notes that nobody carries it out, which tells a reader nothing: each session
            // that it found dead has a line of its own.
            CoordinationEvent::Interrupted(Interrupted { reason, .. }) if reason.is_empty() => {
                self.narration.pass(recorded);
                return None;
            }
            _ => {}
        }
        let sentence = self.narration.tell(recorded);
        Some(format!("{}  {sentence}", timestamps::seconds(recorded.wall)))
    }

    /// How it ended.
    pub(super) fn summary<'a>(&'a self, outcome: &'a RunOutcome) -> Summary<'a> {
        let currency = self.currency.as_deref();
        Summary::new(&self.coordination, outcome, self.sessions, &self.usage, currency)
    }
}
