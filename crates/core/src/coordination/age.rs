//! How old a coordination is: ledger time since its start, without pauses and the time in which
//! nobody carried it out.

use serde::{Deserialize, Serialize};

use crate::time::LedgerTime;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Age {
    started: LedgerTime,
    /// What does not count of the time since its start, but for a pause that lasts.
    left_out_ns: u64,
    paused_since: Option<LedgerTime>,
}

impl Age {
    pub(super) fn new(started: LedgerTime) -> Self {
        Self { started, left_out_ns: 0, paused_since: None }
    }

    pub(super) fn pause(&mut self, at: LedgerTime) {
        self.paused_since = Some(at);
    }

    pub(super) fn resume(&mut self, at: LedgerTime) {
        if let Some(since) = self.paused_since.take() {
            self.leave_out(at.since(since));
        }
    }

    /// Nobody carried it out for so long. While a pause lasts no time counts anyway.
    pub(super) fn be_away(&mut self, ns: u64) {
        if self.paused_since.is_none() {
            self.leave_out(ns);
        }
    }

    fn leave_out(&mut self, ns: u64) {
        self.left_out_ns = self.left_out_ns.saturating_add(ns);
    }

    /// Its age in nanoseconds; it does not grow while a pause lasts.
    pub(super) fn at(&self, at: LedgerTime) -> u64 {
        let until = self.paused_since.map_or(at, |since| at.min(since));
        until.since(self.started).saturating_sub(self.left_out_ns)
    }

    /// When it reaches an age; no moment is known while a pause lasts.
    pub(super) fn reaches(&self, age_ns: u64) -> Option<LedgerTime> {
        self.paused_since.is_none().then(|| self.started.after(self.left_out_ns).after(age_ns))
    }
}
