//! A run where no terminal is: one line for each event that people care about.

use std::collections::BTreeMap;

use antiphon::coordination::BudgetUsage;
use antiphon::envelope::Recorded;
use antiphon::event::{AggregateEvent as _, CoordinationEvent};
use antiphon::id::CoordinationId;
use antiphon::time::LedgerTime;

use super::summary::Summary;
use crate::describe;
use crate::run_outcome::RunOutcome;
use crate::timestamps::elapsed;

/// What is remembered from one event to the next.
#[derive(Debug)]
pub(super) struct Plain {
    coordination: CoordinationId,
    started: Option<LedgerTime>,
    last: LedgerTime,
    bound: BTreeMap<u64, LedgerTime>,
    sessions: u64,
    usage: BudgetUsage,
    currency: Option<String>,
}

impl Plain {
    pub(super) fn new(coordination: CoordinationId) -> Self {
        let usage = BudgetUsage::default();
        Self {
            coordination,
            started: None,
            last: LedgerTime(0),
            bound: BTreeMap::new(),
            sessions: 0,
            usage,
            currency: None,
        }
    }

    /// The line for an event, if it has one: the first items are counted where the run starts, and
    /// the end has lines of its own.
    pub(super) fn line(&mut self, recorded: &Recorded) -> Option<String> {
        let event = CoordinationEvent::of(recorded).ok()?;
        let start = *self.started.get_or_insert(recorded.at);
        self.last = recorded.at;
        let mut took = None;
        match event {
            CoordinationEvent::Started(started) => {
                self.currency = started.budget.currency().map(str::to_owned);
            }
            CoordinationEvent::WorkAdded(_) => return None,
            CoordinationEvent::SessionBound(bound) => {
                self.bound.insert(bound.session, recorded.at);
            }
            CoordinationEvent::SessionUnbound(unbound) => {
                self.sessions += 1;
                let since = self.bound.remove(&unbound.session);
                took = since.map(|since| elapsed(recorded.at.since(since)));
            }
            CoordinationEvent::Completed(completed) => {
                self.usage = completed.usage;
                return None;
            }
            CoordinationEvent::Aborted(aborted) => {
                self.usage = aborted.usage;
                return None;
            }
            _ => {}
        }
        let sentence = describe::sentence(recorded).after(took.as_deref());
        Some(format!("{:>8}  {sentence}", elapsed(recorded.at.since(start))))
    }

    /// How it ended.
    pub(super) fn summary<'a>(&'a self, outcome: &'a RunOutcome) -> Summary<'a> {
        let took_ns = self.started.map_or(0, |start| self.last.since(start));
        let currency = self.currency.as_deref();
        Summary::new(&self.coordination, outcome, took_ns, self.sessions, &self.usage, currency)
    }
}
