//! Needs that a key which all runs share may meet. What such a key is stands in another stream, so it
//! moves nothing on the record here: an item whose last needs are met there is listed as one that may
//! start, and the event that binds a session to it says what met them.

use std::collections::{BTreeMap, BTreeSet};

use super::Work;
use super::item::WorkItem;
use super::need::KeyNeed;
use super::state::WorkState;
use crate::coordination::key::{KeyState, MetElsewhere};
use crate::id::KeyName;

/// What is known of the keys that all runs share, as far as items need them.
#[derive(Debug, Clone, Default)]
pub(super) struct SharedNeeds {
    /// The items without an outcome that look at some.
    items: BTreeSet<u32>,
    /// What the keys are that they look at.
    known: BTreeMap<KeyName, Option<KeyState>>,
    /// Those of them that nobody has told yet.
    untold: BTreeSet<KeyName>,
}

impl WorkItem {
    fn shared_needs(&self) -> impl Iterator<Item = (u32, &KeyNeed)> {
        self.key_needs().filter(|(_, need)| need.looks_at_shared())
    }
}

impl Work {
    /// Enters the shared keys that an item looks at.
    pub(super) fn link_shared(&mut self, position: u32) {
        let Self { items, shared, .. } = self;
        for (_, need) in items[position].shared_needs() {
            shared.items.insert(position);
            if !shared.known.contains_key(&need.key) {
                shared.untold.insert(need.key.clone());
            }
        }
    }

    /// An item that has its outcome looks at no shared key. One that nobody looks at is known no more.
    pub(super) fn forget_shared(&mut self, position: u32) {
        let Self { items, shared, conditions, .. } = self;
        if !shared.items.remove(&position) {
            return;
        }
        for (_, need) in items[position].shared_needs() {
            let looks = |(at, _): (u32, u32)| shared.items.contains(&at);
            if !conditions.of_key(&need.key).into_iter().any(|(waiter, _)| looks(waiter)) {
                shared.known.remove(&need.key);
                shared.untold.remove(&need.key);
            }
        }
    }

    /// Whether an item looks at shared keys.
    pub(in crate::coordination) fn looks_at_shared(&self) -> bool {
        !self.shared.items.is_empty()
    }

    /// Takes out the shared keys that items look at and that nobody has told yet.
    pub(in crate::coordination) fn take_untold(&mut self) -> BTreeSet<KeyName> {
        std::mem::take(&mut self.shared.untold)
    }

    /// Says what a shared key is. Touches only what is derived.
    pub(in crate::coordination) fn see_shared(&mut self, key: &KeyName, is: Option<&KeyState>) {
        let waiting: Vec<_> = self.conditions.of_key(key);
        let looks = |(position, _): &(u32, u32)| self.shared.items.contains(position);
        let looking: Vec<(u32, u32)> =
            waiting.into_iter().map(|(waiter, _)| waiter).filter(looks).collect();
        if looking.is_empty() {
            return;
        }
        self.shared.known.insert(key.clone(), is.cloned());
        for (position, at) in looking {
            self.list_again(position);
            if let Some(until) = self.items[position].deadlines().get(&at).copied() {
                let due = (until, position, at);
                match self.is_met_by_shared(&self.items[position], at) {
                    true => self.timeouts.remove(&due),
                    false => self.timeouts.insert(due),
                };
            }
        }
    }

    /// Lists an item that waits as one that may start, or no more.
    fn list_again(&mut self, position: u32) {
        let item = &self.items[position];
        if matches!(item.state(), WorkState::Waiting(_)) {
            self.ready.remove(&self.rules, item, position);
            self.schedule(position);
        }
    }

    /// Whether a need of an item that its own run does not meet is met by a shared key.
    pub(in crate::coordination) fn is_met_by_shared(&self, item: &WorkItem, at: u32) -> bool {
        self.met_by_shared(item).any(|(met, _)| met == at)
    }

    /// The needs of an item that only shared keys meet, each with the key that does.
    fn met_by_shared<'a>(
        &'a self,
        item: &'a WorkItem,
    ) -> impl Iterator<Item = (u32, MetElsewhere)> + 'a {
        let position = self.looks_at_shared().then(|| self.by_id.get(item.id()).copied()).flatten();
        let position = position.filter(|position| self.shared.items.contains(position));
        position.into_iter().flat_map(move |position| {
            let unmet = item
                .shared_needs()
                .filter(move |(at, need)| !self.conditions.key_holds(&need.key, (position, *at)));
            unmet.filter_map(|(at, need)| {
                let is = self.shared.known.get(&need.key)?.as_ref()?;
                let met = need.is_met_by(Some(&is.value));
                met.then(|| (at, MetElsewhere::by_shared(need.key.clone(), is.version)))
            })
        })
    }

    /// The shared keys that meet what the item's own run does not.
    pub(in crate::coordination) fn met_elsewhere(&self, item: &WorkItem) -> Vec<MetElsewhere> {
        if !self.looks_at_shared() {
            return Vec::new();
        }
        let met: BTreeSet<MetElsewhere> = self.met_by_shared(item).map(|(_, met)| met).collect();
        met.into_iter().collect()
    }

    /// Whether an item waits for nothing but what shared keys meet.
    pub(super) fn waits_for_shared_alone(&self, position: u32) -> bool {
        let item = &self.items[position];
        match item.state() {
            WorkState::Waiting(unmet) if self.shared.items.contains(&position) => {
                self.met_by_shared(item).count() == *unmet as usize
            }
            _ => false,
        }
    }

    /// What a shared key is that an item looks at.
    pub(in crate::coordination) fn shared_key(&self, key: &KeyName) -> Option<&KeyState> {
        self.shared.known.get(key)?.as_ref()
    }

    /// How many needs of an item are met by these keys and not by its own run; `None` if one of the
    /// keys meets nothing.
    pub(in crate::coordination) fn needs_met_by(
        &self,
        item: &WorkItem,
        met: &[MetElsewhere],
    ) -> Option<usize> {
        if met.is_empty() {
            return Some(0);
        }
        let position = *self.by_id.get(item.id())?;
        let unmet = item
            .shared_needs()
            .filter(|(at, need)| !self.conditions.key_holds(&need.key, (position, *at)));
        let by_key = |key: &KeyName| met.iter().position(|met| met.key == *key);
        let by: Vec<usize> = unmet.filter_map(|(_, need)| by_key(&need.key)).collect();
        let used: BTreeSet<usize> = by.iter().copied().collect();
        (used.len() == met.len()).then_some(by.len())
    }
}
