//! Who waits for what.
//!
//! One index from a thing that can happen to the items that wait for it, so that whatever happens
//! wakes those alone, without a look at the others. It is never stored: it follows from the items'
//! states.

use std::collections::{BTreeMap, BTreeSet};

use super::paged::Paged;
use super::signal::{About, SignalType};
use crate::id::{GroupName, KeyName, WorkId};

/// The items that wait, by what they wait for. An item is its position in the order of addition.
#[derive(Debug, Clone, Default)]
pub(super) struct Conditions {
    /// For the outcome of the item at this position.
    outcomes: Paged<Vec<u32>>,
    /// For an item that is not recorded yet, while the start is incomplete.
    unrecorded: BTreeMap<WorkId, Vec<u32>>,
    /// For all of a group. An item stays listed when the group is met, as it may open again.
    groups: BTreeMap<GroupName, Vec<u32>>,
    /// For a signal.
    signals: BTreeMap<(SignalType, About), BTreeSet<Waiter>>,
    /// For the answer to a question.
    answers: BTreeMap<String, BTreeSet<Waiter>>,
    /// For what a key is, each with whether it is so. An item stays listed until it is done.
    keys: BTreeMap<KeyName, BTreeMap<Waiter, bool>>,
}

/// An item that waits, and the place of the need that it waits for.
pub(super) type Waiter = (u32, u32);

impl Conditions {
    /// Enters the next item, for which others may have waited by its name.
    pub(super) fn add(&mut self, id: &WorkId) {
        let waiting = self.unrecorded.remove(id).unwrap_or_default();
        self.outcomes.push(waiting);
    }

    /// Enters an item that nothing waits for by name, at its own position.
    pub(super) fn add_at(&mut self, position: u32) {
        self.outcomes.skip_to(position);
        self.outcomes.push(Vec::new());
    }

    /// Leaves holes up to a position, where items were that left memory.
    pub(super) fn skip_to(&mut self, position: u32) {
        self.outcomes.skip_to(position);
    }

    pub(super) fn await_outcome(&mut self, of: u32, waiter: u32) {
        self.outcomes[of].push(waiter);
    }

    pub(super) fn await_unrecorded(&mut self, id: &WorkId, waiter: u32) {
        self.unrecorded.entry(id.clone()).or_default().push(waiter);
    }

    pub(super) fn await_group(&mut self, group: &GroupName, waiter: u32) {
        self.groups.entry(group.clone()).or_default().push(waiter);
    }

    /// Takes out the items that waited for this outcome.
    pub(super) fn take_outcome(&mut self, of: u32) -> Vec<u32> {
        std::mem::take(&mut self.outcomes[of])
    }

    /// Who waits for this group.
    pub(super) fn of_group(&self, group: &GroupName) -> &[u32] {
        self.groups.get(group).map_or(&[], Vec::as_slice)
    }

    pub(super) fn await_signal(&mut self, kind: &SignalType, about: About, waiter: Waiter) {
        self.signals.entry((kind.clone(), about)).or_default().insert(waiter);
    }

    pub(super) fn awaits_signals(&self) -> bool {
        !self.signals.is_empty()
    }

    /// Who waits for these signals.
    pub(super) fn of_signal(&self, kind: &SignalType, about: About) -> Vec<Waiter> {
        let waiting = self.signals.get(&(kind.clone(), about));
        waiting.into_iter().flatten().copied().collect()
    }

    /// Takes out who waits no more for a signal.
    pub(super) fn forget_signal(&mut self, kind: &SignalType, about: About, waiter: Waiter) {
        let subject = (kind.clone(), about);
        if let Some(waiting) = self.signals.get_mut(&subject) {
            waiting.remove(&waiter);
            if waiting.is_empty() {
                self.signals.remove(&subject);
            }
        }
    }

    pub(super) fn await_answer(&mut self, question: &str, waiter: Waiter) {
        self.answers.entry(question.to_owned()).or_default().insert(waiter);
    }

    pub(super) fn awaits_answer(&self, question: &str) -> bool {
        self.answers.contains_key(question)
    }

    /// Who waits for the answer to a question.
    pub(super) fn of_answer(&self, question: &str) -> Vec<Waiter> {
        self.answers.get(question).into_iter().flatten().copied().collect()
    }

    /// Takes out who waits no more for an answer.
    pub(super) fn forget_answer(&mut self, question: &str, waiter: Waiter) {
        if let Some(waiting) = self.answers.get_mut(question) {
            waiting.remove(&waiter);
            if waiting.is_empty() {
                self.answers.remove(question);
            }
        }
    }

    /// Enters who needs something of a key, and whether that is so.
    pub(super) fn await_key(&mut self, key: &KeyName, waiter: Waiter, holds: bool) {
        self.keys.entry(key.clone()).or_default().insert(waiter, holds);
    }

    /// Who needs something of a key, and whether that is so.
    pub(super) fn of_key(&self, key: &KeyName) -> Vec<(Waiter, bool)> {
        let waiting = self.keys.get(key);
        waiting.into_iter().flatten().map(|(waiter, holds)| (*waiter, *holds)).collect()
    }

    /// Whether what is needed of a key is so.
    pub(super) fn key_holds(&self, key: &KeyName, waiter: Waiter) -> bool {
        self.keys.get(key).and_then(|waiting| waiting.get(&waiter)).copied().unwrap_or(false)
    }

    /// Takes out who needs nothing of a key any more.
    pub(super) fn forget_key(&mut self, key: &KeyName, waiter: Waiter) {
        if let Some(waiting) = self.keys.get_mut(key) {
            waiting.remove(&waiter);
            if waiting.is_empty() {
                self.keys.remove(key);
            }
        }
    }

    /// Takes an item out that leaves memory.
    pub(super) fn remove(&mut self, position: u32) {
        self.outcomes.remove(position);
    }

    /// Takes out of the groups' lists what has left memory.
    pub(super) fn forget_waiters(&mut self, left: &BTreeSet<u32>) {
        for waiting in self.groups.values_mut() {
            waiting.retain(|position| !left.contains(position));
        }
    }
}
