//! What may start now or at a known moment, in the order in which it is taken.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::item::WorkItem;
use super::spec::Runner;
use crate::coordination::event::{Mode, Started};
use crate::coordination::planner::{EfeComponents, EfeWeights};
use crate::id::GroupName;
use crate::time::{Deadline, LedgerTime, Now, WallTime};

/// Order of ready work: higher priority, lower planner score, earlier addition. The last is total,
/// so ids never have to decide.
pub(in crate::coordination) type ReadyKey = (Reverse<i32>, u32, u32);

/// What items go by that holds for all of them: it is in the first event and never changes.
#[derive(Debug, Clone, Default)]
pub(in crate::coordination) struct Rules {
    max_attempts: u32,
    planner: Option<EfeWeights>,
    max_tokens: Option<u64>,
    widths: BTreeMap<GroupName, u32>,
    archives: bool,
}

impl Rules {
    pub(super) fn of(started: &Started) -> Self {
        Self {
            max_attempts: started.policies.max_attempts,
            planner: started.policies.planner,
            max_tokens: started.budget.max_tokens(),
            widths: started.widths.clone(),
            archives: started.mode == Mode::Open,
        }
    }

    pub(super) fn max_attempts(&self, item: &WorkItem) -> u32 {
        item.spec().attempts.unwrap_or(self.max_attempts)
    }

    /// Whether finished items may leave memory: only where work may come without end.
    pub(super) fn archives(&self) -> bool {
        self.archives
    }

    /// How many members of a group may run at a time, if that is limited.
    pub(super) fn width(&self, group: &GroupName) -> Option<u32> {
        self.widths.get(group).copied()
    }

    /// The planner's score of an item, 0 if the planner is off: as it was recorded, else from what
    /// is known of it.
    fn score(&self, item: &WorkItem, recorded: Option<u32>) -> u32 {
        let Some(weights) = &self.planner else { return 0 };
        recorded.unwrap_or_else(|| {
            EfeComponents::observed(
                item.attempts(),
                self.max_attempts(item),
                item.has_output(),
                item.tokens(),
                self.max_tokens,
            )
            .compute_efe(weights)
        })
    }

    /// The group of an item, if it is limited in width.
    fn narrow<'a>(&self, item: &'a WorkItem) -> Option<&'a GroupName> {
        item.spec().group.as_ref().filter(|group| self.widths.contains_key(*group))
    }
}

/// Ready work of one runner, apart where a group is limited in width: a full group is passed over
/// whole.
#[derive(Debug, Clone, Default)]
pub(in crate::coordination) struct Lanes {
    free: BTreeSet<ReadyKey>,
    narrow: BTreeMap<GroupName, BTreeSet<ReadyKey>>,
}

impl Lanes {
    /// The lanes of what no group holds back.
    pub(in crate::coordination) fn open(
        &self,
        is_full: impl Fn(&GroupName) -> bool,
    ) -> impl Iterator<Item = &BTreeSet<ReadyKey>> {
        let narrow = self.narrow.iter().filter(move |(group, _)| !is_full(group));
        narrow.map(|(_, lane)| lane).chain([&self.free])
    }

    pub(in crate::coordination) fn is_empty(&self) -> bool {
        self.first().is_none()
    }

    fn first(&self) -> Option<&ReadyKey> {
        self.narrow.values().filter_map(BTreeSet::first).chain(self.free.first()).min()
    }

    /// The items among which one of this group is, if it is in a limited one.
    fn lane(&self, group: Option<&GroupName>) -> Option<&BTreeSet<ReadyKey>> {
        match group {
            None => Some(&self.free),
            Some(group) => self.narrow.get(group),
        }
    }

    fn lane_mut(&mut self, group: Option<&GroupName>) -> &mut BTreeSet<ReadyKey> {
        match group {
            None => &mut self.free,
            Some(group) if self.narrow.contains_key(group) => {
                self.narrow.get_mut(group).expect("BUG: it was just found")
            }
            Some(group) => self.narrow.entry(group.clone()).or_default(),
        }
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Ready {
    lanes: BTreeMap<Runner, Lanes>,
    due_at: BTreeSet<(LedgerTime, u32)>,
    due_wall: BTreeSet<(WallTime, u32)>,
    /// Scores that were recorded for the planner.
    recorded: BTreeMap<u32, u32>,
}

impl Ready {
    fn key(&self, rules: &Rules, item: &WorkItem, position: u32) -> ReadyKey {
        let score = rules.score(item, self.recorded.get(&position).copied());
        (Reverse(item.spec().priority), score, position)
    }

    pub(super) fn insert(&mut self, rules: &Rules, item: &WorkItem, position: u32) {
        let (key, group) = (self.key(rules, item, position), rules.narrow(item));
        let runner = &item.spec().runner;
        // Runners are few and their names long: one is copied only where it is new.
        match self.lanes.get_mut(runner) {
            Some(lanes) => lanes.lane_mut(group).insert(key),
            None => self.lanes.entry(runner.clone()).or_default().lane_mut(group).insert(key),
        };
    }

    /// Takes an item out; returns whether it was there.
    pub(super) fn remove(&mut self, rules: &Rules, item: &WorkItem, position: u32) -> bool {
        let key = self.key(rules, item, position);
        let lanes = self.lanes.get_mut(&item.spec().runner);
        lanes.is_some_and(|lanes| lanes.lane_mut(rules.narrow(item)).remove(&key))
    }

    pub(super) fn contains(&self, rules: &Rules, item: &WorkItem, position: u32) -> bool {
        let lanes = self.lanes.get(&item.spec().runner);
        let lane = lanes.and_then(|lanes| lanes.lane(rules.narrow(item)));
        lane.is_some_and(|lane| lane.contains(&self.key(rules, item, position)))
    }

    /// Remembers the score of an item. It must not be among the ready ones meanwhile.
    pub(super) fn record_score(&mut self, position: u32, score: u32) {
        self.recorded.insert(position, score);
    }

    pub(super) fn forget_score(&mut self, position: u32) {
        self.recorded.remove(&position);
    }

    pub(super) fn by_runner(&self) -> impl Iterator<Item = (&Runner, &Lanes)> {
        self.lanes.iter()
    }

    /// The one that goes first, whatever its runner.
    pub(super) fn first(&self) -> Option<&ReadyKey> {
        self.lanes.values().filter_map(Lanes::first).min()
    }

    pub(super) fn wait(&mut self, until: Deadline, position: u32) {
        match until {
            Deadline::Ledger(at) => self.due_at.insert((at, position)),
            Deadline::Wall(wall) => self.due_wall.insert((wall, position)),
        };
    }

    pub(super) fn stop_waiting(&mut self, until: Deadline, position: u32) {
        match until {
            Deadline::Ledger(at) => self.due_at.remove(&(at, position)),
            Deadline::Wall(wall) => self.due_wall.remove(&(wall, position)),
        };
    }

    /// What waits for a moment of ledger time.
    pub(super) fn waiting(&self) -> Vec<(LedgerTime, u32)> {
        self.due_at.iter().copied().collect()
    }

    /// Takes out the next item whose moment has come.
    pub(super) fn take_due(&mut self, now: &Now) -> Option<u32> {
        if self.due_at.first().is_some_and(|(at, _)| *at <= now.at) {
            return self.due_at.pop_first().map(|(_, position)| position);
        }
        if self.due_wall.first().is_some_and(|(wall, _)| *wall <= now.wall) {
            return self.due_wall.pop_first().map(|(_, position)| position);
        }
        None
    }

    /// The earliest moments on the two clocks at which an item may start.
    pub(super) fn next_due(&self) -> (Option<LedgerTime>, Option<WallTime>) {
        (self.due_at.first().map(|(at, _)| *at), self.due_wall.first().map(|(wall, _)| *wall))
    }
}
