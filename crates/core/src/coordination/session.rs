//! The sessions of one coordination: which are bound, what they hold, and what they left behind.
//!
//! Owns every binding and what is reserved for it. What becomes of a session's item is the work's
//! business; whether a session may be bound at all is asked of the whole coordination.

mod binding;
mod grant;
mod illegal;
mod outcome;
mod unbinding;
mod write_rate;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub(super) use illegal::{IllegalBinding, IllegalRefusal, IllegalUnbinding};
pub(crate) use outcome::shortened;
pub use outcome::{
    Charge, NextStep, ProgramFault, Report, SessionEnd, SessionOutcome, StopCause, TreeReport,
};
pub(crate) use write_rate::WriteRate;

use super::budget::Grant;
use super::event::{SessionBound, WriteRefused};
use super::work::WorkState;
use crate::id::Version;
use crate::routing::Name;
use crate::time::LedgerTime;

/// One live session of a coordination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// Its number; the session's id is `<coordination>.<number>`.
    pub session: u64,
    /// Position of its item, in the order of addition.
    item: u32,
    /// Which attempt it is, from 1.
    pub attempt: u32,
    /// What it may use.
    pub grant: Grant,
    /// When it was bound.
    pub bound_at: LedgerTime,
    /// When its time is over.
    pub deadline: LedgerTime,
    /// What it must show to write: the version of the event that bound it.
    pub fence: Version,
    /// Whether it is a nested coordination.
    pub nested: bool,
    /// The runner that it was given to, of those that have what its item wants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned: Option<Name>,
}

impl Binding {
    /// Position of its item, in the order of addition.
    pub(super) fn item(&self) -> u32 {
        self.item
    }
}

/// What is granted to live sessions and not settled yet.
///
/// Tokens and cost are wide enough for any number of grants: without a ceiling they have no bound.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Reserved {
    sessions: u32,
    tokens: u128,
    cost: u128,
}

impl Reserved {
    fn add(&mut self, grant: &Grant) {
        self.sessions += grant.sessions;
        self.tokens += u128::from(grant.tokens.unwrap_or(0));
        self.cost += u128::from(grant.cost.unwrap_or(0));
    }

    fn subtract(&mut self, grant: &Grant) {
        self.sessions -= grant.sessions;
        self.tokens -= u128::from(grant.tokens.unwrap_or(0));
        self.cost -= u128::from(grant.cost.unwrap_or(0));
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Sessions {
    /// Number of the last one that was bound.
    last: u64,
    bound: BTreeMap<u64, Binding>,
    /// Sessions that ended and left something running, and the items that wait for it to be gone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    leftovers: BTreeMap<u64, u32>,
    /// Stale writes that are recorded: the session and what it tried.
    refused: BTreeSet<(u64, String)>,
    #[serde(skip)]
    reserved: Reserved,
    /// How many live sessions each runner has that sessions were given to.
    #[serde(skip)]
    loads: BTreeMap<Name, u64>,
    /// When time is over, for those that were not named overdue yet.
    #[serde(skip)]
    deadlines: BTreeSet<(LedgerTime, u64)>,
}

impl Sessions {
    /// Number of the last session that was bound, 0 if none was.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// Live sessions, by number.
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &Binding> {
        self.bound.values()
    }

    pub(super) fn len(&self) -> usize {
        self.bound.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bound.is_empty()
    }

    pub(super) fn get(&self, number: u64) -> Option<&Binding> {
        self.bound.get(&number)
    }

    /// The item that waits until nothing of a session is left.
    pub(super) fn waits_for(&self, number: u64) -> Option<u32> {
        self.leftovers.get(&number).copied()
    }

    /// The sessions that left something running which an item waits for.
    pub(super) fn with_leftovers(&self) -> impl Iterator<Item = u64> {
        self.leftovers.keys().copied()
    }

    /// Whether this is the fence of a live session.
    pub(super) fn shows_fence(&self, number: u64, fence: Version) -> bool {
        self.get(number).is_some_and(|live| live.fence == fence)
    }

    /// Whether a refused write is recorded: the first of its kind by a session that there was.
    pub(super) fn is_first_refusal(&self, number: u64, kind: &str) -> bool {
        number <= self.last && !self.refused.contains(&(number, kind.to_owned()))
    }

    /// The first moment at which a session's time is over.
    pub(super) fn next_deadline(&self) -> Option<LedgerTime> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    pub(super) fn bind(&mut self, bound: &SessionBound, item: u32, at: LedgerTime, fence: Version) {
        self.last = bound.session;
        let binding = Binding {
            session: bound.session,
            item,
            attempt: bound.attempt,
            grant: bound.grant,
            bound_at: at,
            deadline: bound.deadline,
            fence,
            nested: bound.nested,
            assigned: bound.assigned.as_ref().map(|assigned| assigned.to.clone()),
        };
        self.enter(&binding);
        self.bound.insert(bound.session, binding);
    }

    /// Notes what follows from a live session.
    fn enter(&mut self, binding: &Binding) {
        self.reserved.add(&binding.grant);
        self.deadlines.insert((binding.deadline, binding.session));
        if let Some(runner) = &binding.assigned {
            *self.loads.entry(runner.clone()).or_default() += 1;
        }
    }

    /// How many live sessions were given to a runner.
    pub(super) fn load(&self, runner: &Name) -> u64 {
        self.loads.get(runner).copied().unwrap_or_default()
    }

    /// Ends a session that is bound.
    pub(super) fn unbind(&mut self, number: u64) -> Binding {
        let binding = self.bound.remove(&number).expect("BUG: check found the binding");
        self.reserved.subtract(&binding.grant);
        self.deadlines.remove(&(binding.deadline, number));
        if let Some(runner) = &binding.assigned
            && let Some(load) = self.loads.get_mut(runner)
        {
            *load -= 1;
            if *load == 0 {
                self.loads.remove(runner);
            }
        }
        binding
    }

    /// Notes what an item waits for: that nothing of a session which ended is left.
    pub(super) fn note_leftovers(&mut self, number: u64, item: u32) {
        self.leftovers.insert(number, item);
    }

    /// Nothing is left of a session, or no item waits for that any more. Returns the item that did.
    pub(super) fn forget_leftovers(&mut self, number: u64) -> Option<u32> {
        self.leftovers.remove(&number)
    }

    /// Whether a refused write may be recorded: it was stale, and is the first of its kind.
    pub(super) fn check_refused(&self, refused: &WriteRefused) -> Result<(), IllegalRefusal> {
        let stale = !self.shows_fence(refused.session, refused.fence);
        if stale && self.is_first_refusal(refused.session, &refused.kind) {
            Ok(())
        } else {
            Err(IllegalRefusal)
        }
    }

    pub(super) fn refuse(&mut self, refused: &WriteRefused) {
        self.refused.insert((refused.session, refused.kind.clone()));
    }

    /// Nobody carries the coordination out: the time of its nested sessions stands still. Touches
    /// only what is derived.
    pub(super) fn stop_nested_clocks(&mut self) {
        for binding in self.bound.values().filter(|binding| binding.nested) {
            self.deadlines.remove(&(binding.deadline, binding.session));
        }
    }

    /// Nobody carried the coordination out for so long: what its nested sessions were granted lasts
    /// so much longer. Any other session is lost, or ran meanwhile.
    pub(super) fn be_away(&mut self, ns: u64) {
        self.stop_nested_clocks();
        for binding in self.bound.values_mut().filter(|binding| binding.nested) {
            binding.bound_at = binding.bound_at.after(ns);
            binding.deadline = binding.deadline.after(ns);
            self.deadlines.insert((binding.deadline, binding.session));
        }
    }

    /// Whether a session runs that is no nested coordination.
    pub(super) fn any_runs(&self) -> bool {
        self.bound.values().any(|binding| !binding.nested)
    }

    /// Names the sessions whose time is over since the last call. Touches only what is derived.
    pub(super) fn take_overdue(&mut self, at: LedgerTime) -> Vec<u64> {
        let mut overdue = Vec::new();
        while let Some((_, number)) = self.deadlines.first().filter(|(end, _)| *end <= at).copied()
        {
            self.deadlines.pop_first();
            overdue.push(number);
        }
        overdue
    }

    /// Whether what is stored twice agrees; `state` tells of the item at a position.
    pub(super) fn is_coherent<'a>(&self, state: impl Fn(u32) -> Option<&'a WorkState>) -> bool {
        self.bound.iter().all(|(number, binding)| {
            *number == binding.session
                && *number <= self.last
                && state(binding.item) == Some(&WorkState::Bound(*number))
        }) && self
            .leftovers
            .iter()
            .all(|(number, item)| state(*item) == Some(&WorkState::AwaitingCleanup(*number)))
    }

    /// Builds again what is derived, after a snapshot was read.
    pub(super) fn rebuild(&mut self) {
        (self.reserved, self.deadlines, self.loads) = Default::default();
        for binding in self.bound.values().cloned().collect::<Vec<_>>() {
            self.enter(&binding);
        }
    }
}
