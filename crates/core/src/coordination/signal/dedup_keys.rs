//! The keys of signals that were sent, by which one that is sent again is known.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::dedup::Dedup;
use super::illegal::IllegalSignal;
use super::signal_type::SignalType;
use crate::coordination::event::Signalled;
use crate::coordination::limits::MAX_DEDUP_KEYS;
use crate::id::{AgentId, Version};
use crate::time::LedgerTime;

/// Whose key it is. Nobody's signals can be kept out by what somebody else sends.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Owned {
    from: AgentId,
    #[serde(rename = "type")]
    kind: SignalType,
    key: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    version: Version,
    until: LedgerTime,
}

/// The keys of signals that were sent, at most [`MAX_DEDUP_KEYS`] of them; the oldest goes first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub(super) struct DedupKeys {
    kept: BTreeMap<Owned, Kept>,
    oldest: BTreeSet<(Version, Owned)>,
    of_sender: BTreeMap<AgentId, BTreeSet<(Version, Owned)>>,
}

impl DedupKeys {
    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    /// Where the same was sent before, while that counts.
    pub(super) fn find(
        &self,
        from: &AgentId,
        kind: &SignalType,
        dedup: &Dedup,
        at: LedgerTime,
    ) -> Option<Version> {
        let kept = self.kept.get(&Owned::of(from, kind, dedup))?;
        (at <= kept.until).then_some(kept.version)
    }

    /// What is a repetition is not recorded.
    pub(super) fn check(&self, sent: &Signalled, at: LedgerTime) -> Result<(), IllegalSignal> {
        let Some(dedup) = &sent.dedup else { return Ok(()) };
        match self.find(&sent.from, &sent.kind, dedup, at) {
            Some(first) => Err(IllegalSignal::SentBefore { first }),
            None => Ok(()),
        }
    }

    pub(super) fn keep(&mut self, sent: &Signalled, at: LedgerTime, version: Version) {
        let Some(dedup) = &sent.dedup else { return };
        let owned = Owned::of(&sent.from, &sent.kind, dedup);
        if let Some(earlier) = self.kept.get(&owned) {
            self.forget(earlier.version, owned.clone());
        }
        self.enter(owned, Kept { version, until: at.after(dedup.window) });
        while let Some(oldest) = self.beyond(&sent.from, dedup.cap) {
            self.forget(oldest.0, oldest.1);
        }
    }

    /// The oldest key that there is no room for.
    fn beyond(&self, from: &AgentId, cap: u32) -> Option<(Version, Owned)> {
        let own = self.of_sender.get(from).filter(|own| own.len() > cap as usize);
        let all = Some(&self.oldest).filter(|all| all.len() > MAX_DEDUP_KEYS);
        own.or(all)?.first().cloned()
    }

    fn enter(&mut self, owned: Owned, kept: Kept) {
        let entry = (kept.version, owned.clone());
        self.of_sender.entry(owned.from.clone()).or_default().insert(entry.clone());
        self.oldest.insert(entry);
        self.kept.insert(owned, kept);
    }

    fn forget(&mut self, version: Version, owned: Owned) {
        self.kept.remove(&owned);
        let from = owned.from.clone();
        let entry = (version, owned);
        self.oldest.remove(&entry);
        if let Some(own) = self.of_sender.get_mut(&from) {
            own.remove(&entry);
            if own.is_empty() {
                self.of_sender.remove(&from);
            }
        }
    }
}

impl Owned {
    fn of(from: &AgentId, kind: &SignalType, dedup: &Dedup) -> Self {
        Self { from: from.clone(), kind: kind.clone(), key: dedup.key.clone() }
    }
}

/// As a snapshot has them.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Stored(
    #[serde(deserialize_with = "crate::bounded::list::<MAX_DEDUP_KEYS, _, _>")] Vec<(Owned, Kept)>,
);

impl From<Stored> for DedupKeys {
    fn from(Stored(all): Stored) -> Self {
        let mut keys = Self::default();
        for (owned, kept) in all {
            keys.enter(owned, kept);
        }
        keys
    }
}

impl From<DedupKeys> for Stored {
    fn from(keys: DedupKeys) -> Self {
        Self(keys.kept.into_iter().collect())
    }
}
