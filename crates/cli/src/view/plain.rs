//! A run where no terminal is: one line for everything that happens to an item.

use std::collections::BTreeMap;

use antiphon::coordination::{BudgetUsage, NextStep, SessionOutcome, WorkItemOutcome};
use antiphon::envelope::Recorded;
use antiphon::event::{AggregateEvent as _, CoordinationEvent, SessionUnbound};
use antiphon::id::CoordinationId;
use antiphon::time::LedgerTime;

use super::summary::Summary;
use crate::run_outcome::RunOutcome;
use crate::text::{painted, printable};
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

    /// What an event means for whoever watches, if anything.
    pub(super) fn line(&mut self, recorded: &Recorded) -> Option<String> {
        let event = CoordinationEvent::of(recorded).ok()?;
        let start = *self.started.get_or_insert(recorded.at);
        self.last = recorded.at;
        let text = match event {
            CoordinationEvent::Started(started) => {
                self.currency = started.budget.currency().map(str::to_owned);
                let name = started.name.unwrap_or_else(|| self.coordination.to_string());
                format!(
                    "{} starts as {}: {} items, {} at a time",
                    printable(&name),
                    self.coordination,
                    started.items,
                    started.concurrency
                )
            }
            CoordinationEvent::SessionBound(bound) => {
                self.bound.insert(bound.session, recorded.at);
                let again = if bound.attempt > 1 {
                    format!(" (attempt {})", bound.attempt)
                } else {
                    String::new()
                };
                format!("{} {}{again}", painted("running", "running"), bound.work)
            }
            CoordinationEvent::SessionUnbound(unbound) => self.ended(&unbound, recorded.at),
            CoordinationEvent::WorkSkipped(skipped) => {
                let works: Vec<String> = skipped.works.iter().map(ToString::to_string).collect();
                format!("{} {}", painted("skipped", "partial"), works.join(", "))
            }
            CoordinationEvent::Paused(paused) => {
                format!("{}: {}", painted("paused", "paused"), printable(&paused.reason))
            }
            CoordinationEvent::Continued(_) => "goes on".to_owned(),
            CoordinationEvent::StopRequested(stop) => {
                format!("{}: {}", painted("stopping", "stopping"), printable(&stop.reason))
            }
            CoordinationEvent::Resumed(resumed) => {
                format!("taken up again; {} sessions were lost", resumed.swept)
            }
            CoordinationEvent::Completed(completed) => {
                self.usage = completed.usage;
                return None;
            }
            CoordinationEvent::Aborted(aborted) => {
                self.usage = aborted.usage;
                return None;
            }
            _ => return None,
        };
        Some(format!("{:>8}  {text}", elapsed(recorded.at.since(start))))
    }

    fn ended(&mut self, unbound: &SessionUnbound, at: LedgerTime) -> String {
        self.sessions += 1;
        let took = self.bound.remove(&unbound.session).map_or(0, |since| at.since(since));
        let (word, state) = match (&unbound.then, unbound.outcome) {
            (NextStep::Done(WorkItemOutcome::Succeeded), _) => ("done", "succeeded"),
            (_, SessionOutcome::Deferred { .. }) => ("deferred", "partial"),
            (NextStep::Done(_), _) => ("failed", "failed"),
            (NextStep::Hold, _) => ("unclean", "failed"),
            (_, SessionOutcome::Cancelled) => ("cancelled", "partial"),
            (_, SessionOutcome::Lost) => ("lost", "partial"),
            _ => ("retries", "partial"),
        };
        let said = unbound
            .text
            .as_deref()
            .map(|text| format!(": {}", printable(text.trim())))
            .unwrap_or_default();
        let used = if unbound.used.tokens > 0 {
            format!(", {} tokens", unbound.used.tokens)
        } else {
            String::new()
        };
        format!("{} {} in {}{used}{said}", painted(word, state), unbound.work, elapsed(took))
    }

    /// What it came to.
    pub(super) fn summary<'a>(&'a self, outcome: &'a RunOutcome) -> Summary<'a> {
        Summary {
            id: &self.coordination,
            outcome,
            took_ns: self.started.map_or(0, |start| self.last.since(start)),
            sessions: self.sessions,
            usage: &self.usage,
            currency: self.currency.as_deref(),
        }
    }
}
