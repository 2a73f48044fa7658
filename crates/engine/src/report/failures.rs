//! The items of a run that failed first.

use antiphon_core::coordination::{Coordination, NextStep, SessionOutcome, WorkItemOutcome};
use antiphon_core::event::{CoordinationEvent, SessionUnbound};
use antiphon_core::id::{SessionId, WorkId};

use super::words::{Words, last_line};
use crate::ledger::{ReadError, Store};

/// Failures that are told one by one; the rest is counted.
const TOLD: usize = 10;

/// An item that failed for good, and its last words.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailedItem {
    /// The item.
    pub work: WorkId,
    /// Its last session.
    pub session: SessionId,
    /// How that ended.
    pub outcome: SessionOutcome,
    /// Whether that was carried out by a nested run, which has its id.
    pub nested: bool,
    /// Why it failed, on one line.
    pub why: String,
    /// The last line of what it printed to standard error, else to standard output, that says
    /// anything.
    pub last_line: Option<String>,
}

/// The last sessions of the items that failed first, as the events of a run tell them one by one.
#[derive(Debug, Clone, Default)]
pub struct Failures {
    first: Vec<SessionUnbound>,
}

impl Failures {
    /// Takes in the next event of the run.
    pub fn take(&mut self, event: &CoordinationEvent) {
        if let CoordinationEvent::SessionUnbound(unbound) = event
            && unbound.then == NextStep::Done(WorkItemOutcome::Failed)
            && self.first.len() < TOLD
        {
            self.first.push(unbound.clone());
        }
    }

    /// The items with their last words. What was erased is not told.
    pub(super) fn told(
        &self,
        run: &Coordination,
        store: &dyn Store,
    ) -> Result<Vec<FailedItem>, ReadError> {
        self.first.iter().map(|unbound| told(unbound, run, store)).collect()
    }
}

fn told(
    unbound: &SessionUnbound,
    run: &Coordination,
    store: &dyn Store,
) -> Result<FailedItem, ReadError> {
    let printed = unbound.tree.as_deref().map(|tree| (tree.stderr, tree.stdout));
    let mut last = None;
    for digest in printed.into_iter().flat_map(|(stderr, stdout)| [stderr, stdout]).flatten() {
        last = store.blob(&digest)?.and_then(|bytes| last_line(&String::from_utf8_lossy(&bytes)));
        if last.is_some() {
            break;
        }
    }
    let words = Words::of(unbound.text.as_deref().unwrap_or_default());
    let why = match (words.is_only_a_reason(), &last) {
        (true, Some(line)) => words.followed_by(line),
        _ => words.to_string(),
    };
    let tracking = run.work_tracking(unbound.work.as_str());
    Ok(FailedItem {
        work: unbound.work.clone(),
        session: run.session_id(unbound.session),
        outcome: unbound.outcome,
        nested: unbound.outcome != SessionOutcome::SpawnFailed
            && tracking.is_some_and(|tracking| tracking.spec.runner.is_plan()),
        why: if why.is_empty() { unbound.outcome.as_str().to_lowercase() } else { why },
        last_line: last,
    })
}
