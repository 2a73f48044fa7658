//! How items wait for each other: needs, groups, what is ready, and what can never run.

use std::cmp::Reverse;

use super::error::CoordinationError;
use super::index::{Due, Index, ReadyKey};
use super::session::{Coordination, WorkItem};
use super::work::{
    FailurePolicy, Need, SkipReason, WorkItemOutcome, WorkMove, WorkSpec, WorkState,
};
use crate::id::{GroupName, WorkId};
use crate::time::Deadline;

/// How a need stands.
pub(super) enum Standing {
    Open,
    Met,
    Failed(WorkId),
}

impl Coordination {
    pub(super) fn add(&mut self, spec: WorkSpec) {
        let position = self.items.push(WorkItem {
            spec,
            state: WorkState::Waiting(0),
            attempts: 0,
            sessions: Vec::new(),
            changed: self.version,
            tokens: 0,
            output: None,
            recalled: false,
        });
        self.unfinished += 1;
        let unmet = self.link(position);
        self.set_needs(position, unmet);
    }

    /// Enters an item into the index, counts its unmet needs, and finds out whether one of them has
    /// failed already.
    fn link(&mut self, position: u32) -> u32 {
        let spec = &mut self.items[position].spec;
        let (id, group) = (spec.id.clone(), spec.group.clone());
        // Lent for as long as the items that they name are looked at.
        let needs = std::mem::take(&mut spec.needs);
        let waiting = self.index.unresolved.remove(&id).unwrap_or_default();
        self.index.by_id.insert(id, position);
        self.index.dependents.push(waiting);
        let mut unmet = 0;
        for need in &needs {
            match need {
                Need::Work(id) => match self.index.by_id.get(id).copied() {
                    None => {
                        self.index.unresolved.entry(id.clone()).or_default().push(position);
                        unmet += 1;
                    }
                    Some(target) => match self.blocking_root(target) {
                        Standing::Open => {
                            self.index.dependents[target].push(position);
                            unmet += 1;
                        }
                        Standing::Met => {}
                        Standing::Failed(root) => {
                            unmet += 1;
                            self.doomed.push_back((position, root));
                        }
                    },
                },
                Need::Group(name) => {
                    let group = self.index.groups.entry(name.clone()).or_default();
                    group.waiting.push(position);
                    if let Some((_, root)) = group.failed.clone() {
                        unmet += 1;
                        self.doomed.push_back((position, root));
                    } else if group.members == 0 || group.unfinished > 0 {
                        unmet += 1;
                    }
                }
            }
        }
        self.items[position].spec.needs = needs;
        if let Some(name) = group {
            self.join(name);
        }
        unmet
    }

    /// Adds a member to a group; a group that was finished is open again for what never started.
    fn join(&mut self, name: crate::id::GroupName) {
        let group = self.index.groups.entry(name).or_default();
        group.members += 1;
        group.unfinished += 1;
        if group.members > 1 && group.unfinished == 1 && group.failed.is_none() {
            for waiting in group.waiting.clone() {
                if self.items[waiting].can_wait_again() {
                    let unmet = self.unmet(waiting) + 1;
                    self.set_needs(waiting, unmet);
                }
            }
        }
    }

    fn unmet(&self, position: u32) -> u32 {
        match self.items[position].state {
            WorkState::Waiting(unmet) => unmet,
            _ => 0,
        }
    }

    pub(super) fn blocking_root(&self, position: u32) -> Standing {
        let item = &self.items[position];
        match &item.state {
            WorkState::Done(outcome) if outcome.satisfies(item.spec.on_failure) => Standing::Met,
            WorkState::Done(WorkItemOutcome::Skipped(SkipReason::NeedFailed(root))) => {
                Standing::Failed(root.clone())
            }
            WorkState::Done(_) => Standing::Failed(item.spec.id.clone()),
            _ => Standing::Open,
        }
    }

    /// Gives an item its outcome and passes it on to what waits for it.
    pub(super) fn finish(&mut self, position: u32, outcome: WorkItemOutcome) {
        self.unschedule(position);
        if let WorkState::AwaitingCleanup(session) = self.items[position].state {
            self.held.remove(&session);
        }
        self.step(position, WorkMove::Finish(outcome.clone()));
        self.unfinished -= 1;
        let item = &self.items[position];
        let (policy, critical) = (item.spec.on_failure, item.spec.critical);
        self.receipt.record_work_outcome(item.outcome(), critical);
        if outcome == WorkItemOutcome::Failed {
            self.consecutive_failures = self.consecutive_failures.saturating_add(1);
            self.tripped |= self.consecutive_failures >= self.started.policies.breaker;
            if policy == FailurePolicy::Abort && self.fault.is_none() {
                self.fault = Some(CoordinationError::WorkFailed { work_id: item.spec.id.clone() });
            }
        }
        self.retire(position);
        let standing = self.blocking_root(position);
        for dependent in std::mem::take(&mut self.index.dependents[position]) {
            match &standing {
                Standing::Failed(root) => self.doom(dependent, root),
                _ => self.meet(dependent),
            }
        }
        if let Some(name) = self.items[position].spec.group.clone() {
            self.leave(&name, position, &standing);
        }
    }

    /// Takes a finished member out of its group's barrier.
    fn leave(&mut self, name: &crate::id::GroupName, position: u32, standing: &Standing) {
        let group = self.index.groups.get_mut(name).expect("BUG: members have joined their group");
        group.unfinished -= 1;
        match standing {
            Standing::Failed(root) => {
                let first = group.failed.is_none();
                group.fail(position, root);
                if !first {
                    return;
                }
                for waiting in group.waiting.clone() {
                    self.doom(waiting, root);
                }
            }
            _ if group.unfinished == 0 && group.failed.is_none() => {
                for waiting in group.waiting.clone() {
                    self.meet(waiting);
                }
            }
            _ => {}
        }
    }

    fn doom(&mut self, position: u32, root: &WorkId) {
        if let WorkState::Waiting(_) = self.items[position].state {
            self.doomed.push_back((position, root.clone()));
        }
    }

    /// One need of a waiting item is met.
    fn meet(&mut self, position: u32) {
        if let WorkState::Waiting(unmet) = self.items[position].state {
            self.set_needs(position, unmet.saturating_sub(1));
        }
    }

    fn set_needs(&mut self, position: u32, unmet: u32) {
        self.unschedule(position);
        self.step(position, WorkMove::Needs(unmet));
        self.schedule(position);
    }

    pub(super) fn step(&mut self, position: u32, happening: WorkMove) {
        let item = &mut self.items[position];
        item.state = item.state.after(happening).expect("BUG: check admits only legal moves");
        item.changed = self.version;
    }

    /// Enters an item that may start, now or later, where the scheduler looks.
    pub(super) fn schedule(&mut self, position: u32) {
        let item = &self.items[position];
        match item.state {
            WorkState::Ready => self.make_ready(position),
            WorkState::Delayed(Deadline::Ledger(at)) => {
                self.index.due_at.insert((at, Due::Item(position)));
            }
            WorkState::Delayed(Deadline::Wall(wall)) => {
                self.index.due_wall.insert((wall, position));
            }
            _ => {}
        }
    }

    /// Whether an item is among the ready ones.
    pub(super) fn is_listed(&self, item: &WorkItem) -> bool {
        let position = self.index.by_id[&item.spec.id];
        let lane = self
            .index
            .ready
            .get(&item.spec.runner)
            .and_then(|ready| ready.lane(self.narrow_group(item)));
        lane.is_some_and(|lane| lane.contains(&self.ready_key(item, position)))
    }

    fn ready_key(&self, item: &WorkItem, position: u32) -> ReadyKey {
        (Reverse(item.spec.priority), self.score(item), position)
    }

    pub(super) fn make_ready(&mut self, position: u32) {
        let item = &self.items[position];
        let key = self.ready_key(item, position);
        let group = self.narrow_group(item).cloned();
        let runner = &self.items[position].spec.runner;
        match self.index.ready.get_mut(runner) {
            Some(ready) => ready.lane_mut(group.as_ref()).insert(key),
            None => self
                .index
                .ready
                .entry(runner.clone())
                .or_default()
                .lane_mut(group.as_ref())
                .insert(key),
        };
    }

    /// The group of an item, if it is limited in width.
    fn narrow_group<'a>(&self, item: &'a WorkItem) -> Option<&'a GroupName> {
        item.spec.group.as_ref().filter(|group| self.started.widths.contains_key(*group))
    }

    pub(super) fn unschedule(&mut self, position: u32) {
        let item = &self.items[position];
        match item.state {
            WorkState::Ready => {}
            WorkState::Delayed(Deadline::Ledger(at)) => {
                self.index.due_at.remove(&(at, Due::Item(position)));
            }
            WorkState::Delayed(Deadline::Wall(wall)) => {
                self.index.due_wall.remove(&(wall, position));
            }
            _ => return,
        }
        let key = self.ready_key(item, position);
        let group = self.narrow_group(item).cloned();
        if let Some(ready) = self.index.ready.get_mut(&self.items[position].spec.runner) {
            ready.lane_mut(group.as_ref()).remove(&key);
        }
    }

    /// Builds the index anew from the stored state, after a snapshot was read.
    pub(super) fn rebuild_index(&mut self) {
        self.index = Index::default();
        self.index.commands = self.commands.iter().cloned().collect();
        for (name, members) in self.archive.groups() {
            let entry = self.index.groups.entry(name.clone()).or_default();
            entry.members = members.count;
            entry.failed.clone_from(&members.failed);
        }
        // Needs are linked against the final states, so that finished ones do not collect
        // dependents again.
        let positions: Vec<u32> = self.items.iter().map(|(position, _)| position).collect();
        for position in positions.iter().copied() {
            let group =
                self.items[position].spec.group.clone().filter(|_| !self.items[position].recalled);
            self.index.by_id.insert(self.items[position].spec.id.clone(), position);
            self.index.dependents.skip_to(position);
            self.index.dependents.push(Vec::new());
            if let Some(name) = group {
                let standing = self.blocking_root(position);
                let entry = self.index.groups.entry(name).or_default();
                entry.members += 1;
                match standing {
                    Standing::Open => entry.unfinished += 1,
                    Standing::Failed(root) => entry.fail(position, &root),
                    Standing::Met => {}
                }
            }
        }
        self.index.dependents.skip_to(self.items.given());
        for position in positions {
            for need in self.items[position].spec.needs.clone() {
                match need {
                    Need::Work(id) => match self.index.by_id.get(&id).copied() {
                        // What it needed has left memory, so it is met or was the end of this one.
                        None if self.status.is_running() => {}
                        None => self.index.unresolved.entry(id).or_default().push(position),
                        Some(target) if matches!(self.blocking_root(target), Standing::Open) => {
                            self.index.dependents[target].push(position);
                        }
                        Some(_) => {}
                    },
                    Need::Group(name) => {
                        self.index.groups.entry(name).or_default().waiting.push(position)
                    }
                }
            }
            self.schedule(position);
        }
        for binding in self.bound.values() {
            if let Some(group) = &self.items[binding.item].spec.group {
                self.index.groups.entry(group.clone()).or_default().running += 1;
            }
            self.index.reserved_sessions += binding.grant.sessions;
            self.index.reserved_tokens += u128::from(binding.grant.tokens.unwrap_or(0));
            self.index.reserved_cost += u128::from(binding.grant.cost.unwrap_or(0));
            self.index.due_at.insert((binding.deadline, Due::Session(binding.session)));
        }
    }
}
