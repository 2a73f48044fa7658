//! What a coordination's state keeps of its signals.

use serde::{Deserialize, Serialize};

use super::dedup_keys::DedupKeys;
use super::illegal::IllegalSignal;
use super::latest::LatestSignals;
use super::{About, Dedup, Latest, SignalType};
use crate::coordination::event::Signalled;
use crate::coordination::limits::MAX_LATEST_SIGNALS;
use crate::envelope::Meta;
use crate::id::{AgentId, Version};
use crate::time::LedgerTime;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::coordination) struct Signals {
    #[serde(default, skip_serializing_if = "LatestSignals::is_empty")]
    latest: LatestSignals,
    #[serde(default, skip_serializing_if = "DedupKeys::is_empty")]
    keys: DedupKeys,
}

impl Signals {
    pub(in crate::coordination) fn is_empty(&self) -> bool {
        self.latest.is_empty() && self.keys.is_empty()
    }

    /// How much of a snapshot they are, in items.
    pub(in crate::coordination) fn weight(&self) -> u64 {
        (self.latest.len() + self.keys.len()) as u64
    }

    /// Where the last of a type are, unless so many others came since that it is in the stream alone.
    pub(in crate::coordination) fn latest(
        &self,
        kind: &SignalType,
        about: &About,
    ) -> Option<Latest> {
        self.latest.get(kind, about)
    }

    /// Whether so many were told apart that some may be in the stream alone.
    pub(in crate::coordination) fn may_have_left(&self) -> bool {
        self.latest.len() >= MAX_LATEST_SIGNALS
    }

    /// Where a sender has sent the same before, while that counts.
    pub(in crate::coordination) fn sent_before(
        &self,
        from: &AgentId,
        kind: &SignalType,
        dedup: &Dedup,
        at: LedgerTime,
    ) -> Option<Version> {
        self.keys.find(from, kind, dedup, at)
    }

    pub(in crate::coordination) fn check(
        &self,
        sent: &Signalled,
        meta: &Meta,
    ) -> Result<(), IllegalSignal> {
        sent.check()?;
        self.keys.check(sent, meta.at)
    }

    pub(in crate::coordination) fn hear(&mut self, sent: &Signalled, meta: &Meta) {
        self.latest.hear(sent, meta.version);
        self.keys.keep(sent, meta.at, meta.version);
    }
}
