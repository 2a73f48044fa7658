//! An item as its sessions left it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::finished::Finished;
use super::spec::WorkSpec;
use super::state::{SkipReason, WorkItemOutcome, WorkMove, WorkState};
use crate::coordination::event::{Routed, SessionUnbound};
use crate::coordination::limits::MAX_SESSION_IDS_PER_WORK;
use crate::coordination::receipt::WorkOutcome;
use crate::digest::Digest;
use crate::id::{Version, WorkId};
use crate::time::Deadline;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::coordination) struct WorkItem {
    spec: WorkSpec,
    state: WorkState,
    attempts: u32,
    #[serde(deserialize_with = "crate::bounded::list::<MAX_SESSION_IDS_PER_WORK, _, _>")]
    sessions: Vec<u64>,
    changed: Version,
    tokens: u64,
    output: Option<Digest>,
    /// What was decided last to follow an attempt at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    decided: Option<Box<Routed>>,
    /// What is kept of needs by their places; few items have any of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by_need: Option<Box<ByNeed>>,
    /// It had left memory before; what it counts for was counted then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    recalled: bool,
}

/// What is kept of an item's needs, by their places.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct ByNeed {
    /// Those that were met once for all.
    latched: BTreeSet<u32>,
    /// When unmet ones time out, as ages of the run.
    deadlines: BTreeMap<u32, u64>,
}

/// What an item's state means for those that need it.
pub(super) enum Standing {
    Open,
    Met,
    /// It failed, or was skipped for this one, which did.
    Failed(WorkId),
}

impl WorkItem {
    pub(super) fn new(spec: WorkSpec, added: Version) -> Self {
        Self {
            spec,
            state: WorkState::Waiting(0),
            attempts: 0,
            sessions: Vec::new(),
            changed: added,
            tokens: 0,
            output: None,
            decided: None,
            by_need: None,
            recalled: false,
        }
    }

    /// An item that an earlier run carried out.
    pub(super) fn take_over(spec: WorkSpec, added: Version) -> Self {
        let output = spec.reused.as_ref().and_then(|reused| reused.output);
        let state = WorkState::Done(WorkItemOutcome::Succeeded);
        Self { state, output, ..Self::new(spec, added) }
    }

    /// A finished item that is taken back into memory.
    pub(super) fn bring_back(item: Finished) -> Self {
        Self {
            spec: item.work,
            state: WorkState::Done(item.outcome),
            attempts: item.attempts,
            sessions: item.sessions,
            changed: item.changed,
            tokens: item.tokens,
            output: item.output,
            decided: None,
            by_need: None,
            recalled: true,
        }
    }

    pub(super) fn step(&mut self, happening: WorkMove, version: Version) {
        self.state = self.state.after(happening).expect("BUG: check admits only legal moves");
        self.changed = version;
    }

    /// Moves the moment that it waits for, if that is one of ledger time.
    pub(super) fn delay(&mut self, ns: u64) {
        if let WorkState::Delayed(Deadline::Ledger(until)) = &mut self.state {
            *until = until.after(ns);
        }
    }

    /// Whether it had a session: only keys can hold it back then.
    pub(super) fn has_begun(&self) -> bool {
        !self.sessions.is_empty()
    }

    /// Notes that a need is met once for all.
    pub(super) fn latch(&mut self, need: u32) {
        self.by_need.get_or_insert_default().latched.insert(need);
    }

    pub(super) fn is_latched(&self, need: u32) -> bool {
        self.by_need.as_ref().is_some_and(|by| by.latched.contains(&need))
    }

    /// When needs of it time out, by their places, as ages of the run.
    pub(in crate::coordination) fn deadlines(&self) -> &BTreeMap<u32, u64> {
        static NONE: BTreeMap<u32, u64> = BTreeMap::new();
        self.by_need.as_ref().map_or(&NONE, |by_need| &by_need.deadlines)
    }

    pub(super) fn set_deadlines(&mut self, deadlines: BTreeMap<u32, u64>) {
        if self.by_need.is_some() || !deadlines.is_empty() {
            self.by_need.get_or_insert_default().deadlines = deadlines;
        }
    }

    /// Whether what is kept by the places of its needs is kept of needs that it has.
    pub(super) fn names_own_needs(&self) -> bool {
        let Some(by_need) = &self.by_need else { return true };
        let last_timed = by_need.deadlines.last_key_value().map(|(need, _)| need);
        let last = by_need.latched.last().max(last_timed);
        last.is_none_or(|last| (*last as usize) < self.spec.needs.len())
    }

    pub(super) fn note_session(&mut self, session: u64) {
        if self.sessions.len() == MAX_SESSION_IDS_PER_WORK {
            self.sessions.remove(0);
        }
        self.sessions.push(session);
    }

    pub(super) fn charge(&mut self, unbound: &SessionUnbound) {
        self.attempts += u32::from(unbound.outcome.is_attempt());
        self.tokens = self.tokens.saturating_add(unbound.used.tokens);
        self.output = unbound.output.or(self.output);
    }

    pub(in crate::coordination) fn spec(&self) -> &WorkSpec {
        &self.spec
    }

    pub(in crate::coordination) fn id(&self) -> &WorkId {
        &self.spec.id
    }

    pub(in crate::coordination) fn state(&self) -> &WorkState {
        &self.state
    }

    pub(in crate::coordination) fn is_done(&self) -> bool {
        matches!(self.state, WorkState::Done(_))
    }

    /// Attempts counted against its limit.
    pub(in crate::coordination) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Version of the last event that changed it.
    pub(in crate::coordination) fn changed(&self) -> Version {
        self.changed
    }

    pub(super) fn tokens(&self) -> u64 {
        self.tokens
    }

    /// What was decided last to follow an attempt at it.
    pub(in crate::coordination) fn decided(&self) -> Option<&Routed> {
        self.decided.as_deref()
    }

    pub(super) fn note_decision(&mut self, routed: Routed) {
        self.decided = Some(Box::new(routed));
    }

    pub(super) fn has_output(&self) -> bool {
        self.output.is_some()
    }

    pub(super) fn is_recalled(&self) -> bool {
        self.recalled
    }

    /// The moment it waits for, if it does.
    pub(in crate::coordination) fn until(&self) -> Option<Deadline> {
        match self.state {
            WorkState::Delayed(deadline) => Some(deadline),
            _ => None,
        }
    }

    /// Whether a group that it needs may still hold it back: once it had a session, no more.
    pub(super) fn can_wait_again(&self) -> bool {
        matches!(self.state, WorkState::Waiting(_) | WorkState::Ready) && !self.has_begun()
    }

    pub(super) fn standing(&self) -> Standing {
        match &self.state {
            WorkState::Done(outcome) if outcome.satisfies(self.spec.on_failure) => Standing::Met,
            WorkState::Done(WorkItemOutcome::Skipped(SkipReason::NeedFailed(root))) => {
                Standing::Failed(root.clone())
            }
            WorkState::Done(_) => Standing::Failed(self.spec.id.clone()),
            _ => Standing::Open,
        }
    }

    pub(in crate::coordination) fn tracking(&self) -> WorkItemTracking<'_> {
        WorkItemTracking {
            spec: &self.spec,
            state: &self.state,
            attempt_count: self.attempts,
            sessions: &self.sessions,
            changed: self.changed,
            output: self.output,
        }
    }

    /// What the receipt says of it.
    pub(in crate::coordination) fn outcome(&self) -> WorkOutcome {
        WorkOutcome {
            work_id: self.spec.id.clone(),
            attempts: self.attempts,
            final_outcome: match &self.state {
                WorkState::Done(outcome) => Some(outcome.clone()),
                _ => None,
            },
            sessions: self.sessions.clone(),
            output: self.output,
        }
    }

    /// What remains of it when it leaves memory, with the outcome that it has.
    pub(super) fn into_finished(self, outcome: WorkItemOutcome) -> Finished {
        Finished {
            work: self.spec,
            outcome,
            attempts: self.attempts,
            sessions: self.sessions,
            changed: self.changed,
            tokens: self.tokens,
            output: self.output,
        }
    }
}

/// What is known of one item's attempts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkItemTracking<'a> {
    /// The item as it was submitted.
    pub spec: &'a WorkSpec,
    /// Where it is in its life.
    pub state: &'a WorkState,
    /// Attempts counted against its limit.
    pub attempt_count: u32,
    /// Numbers of its sessions, oldest first; bounded by `MAX_SESSION_IDS_PER_WORK`.
    pub sessions: &'a [u64],
    /// Version of the last event that changed it.
    pub changed: Version,
    /// Digest of what its last session put out.
    pub output: Option<Digest>,
}
