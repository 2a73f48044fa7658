//! How old a coordination is: ledger time since its start, pauses left out.

use serde::{Deserialize, Serialize};

use crate::time::LedgerTime;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Age {
    started: LedgerTime,
    paused_ns: u64,
    paused_since: Option<LedgerTime>,
}

impl Age {
    pub(super) fn new(started: LedgerTime) -> Self {
        Self { started, paused_ns: 0, paused_since: None }
    }

    pub(super) fn pause(&mut self, at: LedgerTime) {
        self.paused_since = Some(at);
    }

    pub(super) fn resume(&mut self, at: LedgerTime) {
        if let Some(since) = self.paused_since.take() {
            self.paused_ns = self.paused_ns.saturating_add(at.since(since));
        }
    }

    /// Its age in nanoseconds; it does not grow while a pause lasts.
    pub(super) fn at(&self, at: LedgerTime) -> u64 {
        let until = self.paused_since.map_or(at, |since| at.min(since));
        until.since(self.started).saturating_sub(self.paused_ns)
    }

    /// When it reaches an age; no moment is known while a pause lasts.
    pub(super) fn reaches(&self, age_ns: u64) -> Option<LedgerTime> {
        self.paused_since.is_none().then(|| self.started.after(self.paused_ns).after(age_ns))
    }
}
