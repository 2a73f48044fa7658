//! What runs of agents reported in all, by the agent's own name for the run: the figures of a run
//! that is resumed go on from there.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use antiphon_core::coordination::Report;

/// Runs that are remembered. One that is resumed after so many others counts as unknown.
const MAX_RUNS: usize = 10_000;

/// Longest name of a run that is remembered, in bytes; real ones have 36.
const MAX_NAME: usize = 128;

/// What was reported in all, by run. It lives as long as the engine; the lock is held for a
/// look-up.
#[derive(Debug, Default)]
pub struct Charged(Mutex<BTreeMap<String, Report>>);

impl Charged {
    /// Notes what a run has used in all, and gives what it had used before.
    pub(super) fn replace(&self, run: &str, total: Report) -> Option<Report> {
        if run.len() > MAX_NAME {
            return None;
        }
        // A map is whole whenever the lock is free.
        let mut runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if runs.len() >= MAX_RUNS && !runs.contains_key(run) {
            runs.pop_first();
        }
        runs.insert(run.to_owned(), total)
    }
}
