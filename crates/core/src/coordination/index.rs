//! What follows from the items' states and is kept for speed; never stored, always rebuildable.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::paged::Paged;
use super::work::Runner;
use crate::id::{GroupName, WorkId};
use crate::time::{LedgerTime, WallTime};

/// Order of ready work: higher priority, lower planner score, earlier addition. The last is total,
/// so ids never have to decide.
pub(super) type ReadyKey = (Reverse<i32>, u32, u32);

/// What a ledger-time deadline is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    /// A session's time is over.
    Session(u64),
    /// An item may start again.
    Item(u32),
}

/// A group as its members stand.
#[derive(Debug, Clone, Default)]
pub(super) struct Group {
    pub(super) members: u32,
    pub(super) unfinished: u32,
    /// The failed member that was added first, and the root of its failure.
    pub(super) failed: Option<(u32, WorkId)>,
    pub(super) waiting: Vec<u32>,
    /// Members that a session is bound to.
    pub(super) running: u32,
}

impl Group {
    /// Notes a failed member. Which one is kept depends on the order of addition alone, so that a
    /// rebuilt index is the same.
    pub(super) fn fail(&mut self, position: u32, root: &WorkId) {
        if self.failed.as_ref().is_none_or(|(first, _)| position < *first) {
            self.failed = Some((position, root.clone()));
        }
    }
}

/// Ready work of one runner, apart where a group is limited in width: a full group is passed over
/// whole.
#[derive(Debug, Clone, Default)]
pub(super) struct Ready {
    pub(super) free: BTreeSet<ReadyKey>,
    pub(super) narrow: BTreeMap<GroupName, BTreeSet<ReadyKey>>,
}

impl Ready {
    pub(super) fn first(&self) -> Option<&ReadyKey> {
        self.narrow.values().filter_map(BTreeSet::first).chain(self.free.first()).min()
    }

    /// The items among which one of this group is, if it is in a limited one.
    pub(super) fn lane(&self, group: Option<&GroupName>) -> Option<&BTreeSet<ReadyKey>> {
        match group {
            None => Some(&self.free),
            Some(group) => self.narrow.get(group),
        }
    }

    pub(super) fn lane_mut(&mut self, group: Option<&GroupName>) -> &mut BTreeSet<ReadyKey> {
        match group {
            None => &mut self.free,
            Some(group) => self.narrow.entry(group.clone()).or_default(),
        }
    }
}

/// Look-ups over the items of one coordination.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    pub(super) by_id: BTreeMap<WorkId, u32>,
    pub(super) groups: BTreeMap<GroupName, Group>,
    /// Items that need something not yet recorded, while the start is incomplete.
    pub(super) unresolved: BTreeMap<WorkId, Vec<u32>>,
    /// For each item, the items that wait for its outcome.
    pub(super) dependents: Paged<Vec<u32>>,
    pub(super) ready: BTreeMap<Runner, Ready>,
    pub(super) due_at: BTreeSet<(LedgerTime, Due)>,
    pub(super) due_wall: BTreeSet<(WallTime, u32)>,
    /// Whether this engine holds the coordination's secrets.
    pub(super) secrets: bool,
    pub(super) reserved_sessions: u32,
    /// Wide enough for any number of grants: without a ceiling they have no bound.
    pub(super) reserved_tokens: u128,
    pub(super) reserved_cost: u128,
    /// Commands that were accepted, by their ids.
    pub(super) commands: BTreeMap<crate::id::CommandId, crate::id::Version>,
}
