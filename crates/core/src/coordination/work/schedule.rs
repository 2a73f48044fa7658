//! Where the scheduler looks: each item is entered by its state.

use super::ready::{Lanes, ReadyKey};
use super::state::WorkState;
use super::{Runner, Work, WorkItem};
use crate::id::WorkId;
use crate::time::{LedgerTime, Now, WallTime};

impl Work {
    /// Enters an item that may start, now or later.
    pub(super) fn schedule(&mut self, position: u32) {
        let item = &self.items[position];
        match item.state() {
            WorkState::Ready => self.ready.insert(&self.rules, item, position),
            WorkState::Delayed(until) => self.ready.wait(*until, position),
            WorkState::Waiting(_) if self.waits_for_shared_alone(position) => {
                self.ready.insert(&self.rules, item, position);
            }
            _ => {}
        }
    }

    /// Takes an item out that is about to change.
    pub(super) fn unschedule(&mut self, position: u32) {
        let item = &self.items[position];
        match item.state() {
            WorkState::Ready => {}
            WorkState::Waiting(_) if self.looks_at_shared() => {}
            WorkState::Delayed(until) => self.ready.stop_waiting(*until, position),
            _ => return,
        }
        self.ready.remove(&self.rules, item, position);
    }

    /// Makes work ready whose moment has come. Touches only what is derived; the record says
    /// nothing of it.
    pub(in crate::coordination) fn wake(&mut self, now: &Now) {
        while let Some(position) = self.ready.take_due(now) {
            self.ready.insert(&self.rules, &self.items[position], position);
        }
    }

    /// Nobody carried the coordination out for so long until now: what still waited for a moment
    /// of ledger time then waits so much longer.
    pub(in crate::coordination) fn be_away(&mut self, ns: u64, at: LedgerTime) {
        for (due, position) in self.ready.waiting() {
            if due.after(ns) > at {
                self.unschedule(position);
                self.items[position].delay(ns);
                self.schedule(position);
            }
        }
    }

    /// Orders an item by a score from outside while the planner is on. Touches only what is
    /// derived.
    pub(in crate::coordination) fn record_score(&mut self, work: &str, score: u32) {
        let Some(position) = self.by_id.get(work).copied() else { return };
        let item = &self.items[position];
        let listed = self.ready.remove(&self.rules, item, position);
        self.ready.record_score(position, score);
        if listed {
            self.ready.insert(&self.rules, item, position);
        }
    }

    /// Whether an item is among the ready ones: it is ready, its moment has come, or shared keys meet
    /// what it waits for.
    pub(in crate::coordination) fn is_listed(&self, item: &WorkItem) -> bool {
        self.ready.contains(&self.rules, item, self.by_id[item.id()])
    }

    /// Ready work, apart by runner.
    pub(in crate::coordination) fn ready(&self) -> impl Iterator<Item = (&Runner, &Lanes)> {
        self.ready.by_runner()
    }

    /// The ready item that goes first, whatever its runner.
    pub(in crate::coordination) fn first_ready(&self) -> Option<&WorkId> {
        let (_, _, position): &ReadyKey = self.ready.first()?;
        Some(self.items[*position].id())
    }

    /// The earliest moments on the two clocks at which an item may start.
    pub(in crate::coordination) fn next_due(&self) -> (Option<LedgerTime>, Option<WallTime>) {
        self.ready.next_due()
    }
}
