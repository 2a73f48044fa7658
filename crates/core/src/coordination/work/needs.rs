//! How items wait for each other: an item counts its unmet needs, and an outcome is passed on to
//! what waits for it.

use super::Work;
use super::group::Group;
use super::item::{Standing, WorkItem};
use super::need::Need;
use super::needs_met::{Moment, Told};
use super::ready::Rules;
use super::routed::Routers;
use super::spec::{FailurePolicy, WorkSpec};
use super::state::{WorkItemOutcome, WorkMove, WorkState};
use crate::coordination::condition::Conditions;
use crate::coordination::event::{SessionUnbound, Started};
use crate::coordination::receipt::WorkOutcome;
use crate::coordination::session::SessionOutcome;
use crate::id::{GroupName, WorkId};
use crate::time::LedgerTime;

/// An item that got its outcome, for those who count.
#[must_use = "the receipt and the breaker count it"]
pub(in crate::coordination) struct Done {
    pub(in crate::coordination) outcome: WorkOutcome,
    pub(in crate::coordination) critical: bool,
    /// It failed for good, and its failure policy ends the coordination.
    pub(in crate::coordination) aborts: bool,
    /// The session whose leftovers it waited for.
    pub(in crate::coordination) waited_for: Option<u64>,
}

impl Done {
    /// An item that has its outcome, and nothing else follows from it.
    pub(super) fn of(item: &WorkItem) -> Self {
        let critical = item.spec().critical;
        Self { outcome: item.outcome(), critical, aborts: false, waited_for: None }
    }
}

impl Work {
    /// Adds an item; returns its outcome if it has one already, as it is taken over.
    pub(in crate::coordination) fn add(
        &mut self,
        spec: WorkSpec,
        moment: Moment,
        told: Told<'_>,
    ) -> Option<Done> {
        if spec.reused.is_some() {
            return Some(self.add_reused(spec, moment));
        }
        let position = self.items.push(WorkItem::new(spec, moment.version()));
        self.unfinished += 1;
        let of_items = self.link(position) + self.link_routes(position);
        let unmet = of_items + self.link_told(position, told) + self.link_approvals(position, told);
        if let Some(name) = self.items[position].spec().group.clone() {
            self.join(name, moment);
        }
        self.set_needs(position, unmet, moment);
        None
    }

    /// Enters an item into the index, counts its unmet needs, and finds out whether one of them has
    /// failed already.
    fn link(&mut self, position: u32) -> u32 {
        let Self { items, by_id, groups, conditions, to_skip, .. } = self;
        let spec = items[position].spec();
        by_id.insert(spec.id.clone(), position);
        conditions.add(&spec.id);
        let mut unmet = 0;
        for need in &spec.needs {
            match need {
                Need::Work(id) => match by_id.get(id).copied() {
                    None => {
                        conditions.await_unrecorded(id, position);
                        unmet += 1;
                    }
                    Some(target) => match items[target].standing() {
                        Standing::Open => {
                            conditions.await_outcome(target, position);
                            unmet += 1;
                        }
                        Standing::Met => {}
                        Standing::Failed(root) => {
                            unmet += 1;
                            to_skip.push_back((position, root));
                        }
                    },
                },
                Need::Group(name) => {
                    conditions.await_group(name, position);
                    let group = groups.entry(name.clone()).or_default();
                    if let Some(root) = group.failed_root() {
                        unmet += 1;
                        to_skip.push_back((position, root.clone()));
                    } else if group.holds_back() {
                        unmet += 1;
                    }
                }
                Need::Signal(_) | Need::Key(_) | Need::Approval(_) | Need::Routed => {}
            }
        }
        self.note_speaker(position);
        unmet
    }

    /// Adds a member to a group; a group that was finished is open again for what never started.
    fn join(&mut self, name: GroupName, moment: Moment) {
        if !self.groups.entry(name.clone()).or_default().join() {
            return;
        }
        for waiting in self.conditions.of_group(&name).to_vec() {
            if self.items[waiting].can_wait_again() {
                let unmet = match self.items[waiting].state() {
                    WorkState::Waiting(unmet) => *unmet,
                    _ => 0,
                };
                self.set_needs(waiting, unmet + 1, moment);
            }
        }
    }

    /// Binds a session to an item; returns the item's position.
    pub(in crate::coordination) fn bind(
        &mut self,
        work: &WorkId,
        session: u64,
        moment: Moment,
    ) -> u32 {
        let position = self.by_id[work];
        self.unschedule(position);
        let item = &mut self.items[position];
        if let WorkState::Waiting(_) = item.state() {
            // Keys of another stream meet what it waits for.
            item.step(WorkMove::Needs(0), moment.version());
        }
        item.step(WorkMove::Bind(session), moment.version());
        item.note_session(session);
        if let Some(group) = item.spec().group.as_ref() {
            member_of(&mut self.groups, group).begin_session();
        }
        self.time_needs(position, moment);
        self.hear_begun(position, moment);
        position
    }

    /// Ends an item's session; returns its outcome, if it has one now.
    pub(in crate::coordination) fn unbind(
        &mut self,
        position: u32,
        unbound: &SessionUnbound,
        at: LedgerTime,
        moment: Moment,
    ) -> Option<Done> {
        let item = &mut self.items[position];
        item.charge(unbound);
        if let Some(group) = item.spec().group.as_ref() {
            member_of(&mut self.groups, group).end_session();
        }
        if unbound.outcome == SessionOutcome::Success {
            self.failed_in_a_row.end();
        }
        match unbound.work_move(at) {
            happening @ (WorkMove::Finish(_) | WorkMove::LeaveOut) => {
                let done = self.finish(position, happening, moment);
                self.hear_completed(position, moment);
                Some(done)
            }
            happening => {
                item_moves(self, position, happening, moment);
                self.wait_for_keys(position, moment);
                None
            }
        }
    }

    /// Nothing is left of what an item waited for.
    pub(in crate::coordination) fn release(&mut self, position: u32, moment: Moment) {
        item_moves(self, position, WorkMove::Release, moment);
        self.wait_for_keys(position, moment);
    }

    /// Gives an item its outcome and passes it on to what waits for it.
    pub(super) fn finish(&mut self, position: u32, happening: WorkMove, moment: Moment) -> Done {
        self.unschedule(position);
        self.ready.forget_score(position);
        let waited_for = match self.items[position].state() {
            WorkState::AwaitingCleanup(session) => Some(*session),
            _ => None,
        };
        let failed = happening == WorkMove::Finish(WorkItemOutcome::Failed);
        self.items[position].step(happening, moment.version());
        self.forget_needs(position, moment);
        self.unfinished -= 1;
        if failed {
            self.failed_in_a_row.add(self.items[position].id().clone());
        }
        self.retire(position);
        let item = &self.items[position];
        let aborts = failed && item.spec().on_failure == FailurePolicy::Abort;
        let done = Done { aborts, waited_for, ..Done::of(item) };
        let (standing, group) = (item.standing(), item.spec().group.clone());
        for dependent in self.conditions.take_outcome(position) {
            match &standing {
                Standing::Failed(root) => self.give_up(dependent, root),
                _ => self.meet(dependent, moment),
            }
        }
        if let Some(name) = group {
            self.leave(&name, position, &standing, moment);
        }
        done
    }

    /// Takes a finished member out of its group's barrier.
    fn leave(&mut self, name: &GroupName, position: u32, standing: &Standing, moment: Moment) {
        let group = member_of(&mut self.groups, name);
        let opens = group.finish();
        match standing {
            Standing::Failed(root) if group.fail(position, root) => {
                for waiting in self.conditions.of_group(name).to_vec() {
                    self.give_up(waiting, root);
                }
            }
            Standing::Failed(_) => {}
            Standing::Open | Standing::Met if opens => {
                for waiting in self.conditions.of_group(name).to_vec() {
                    self.meet(waiting, moment);
                }
            }
            Standing::Open | Standing::Met => {}
        }
    }

    /// Notes that an item can never run, as this one failed.
    fn give_up(&mut self, position: u32, root: &WorkId) {
        // One that had a session waits for keys alone.
        if let WorkState::Waiting(_) = self.items[position].state()
            && !self.items[position].has_begun()
        {
            self.to_skip.push_back((position, root.clone()));
        }
    }

    /// One need of a waiting item is met.
    pub(super) fn meet(&mut self, position: u32, moment: Moment) {
        if let WorkState::Waiting(unmet) = *self.items[position].state()
            && !self.items[position].has_begun()
        {
            self.set_needs(position, unmet.saturating_sub(1), moment);
        }
    }

    pub(super) fn set_needs(&mut self, position: u32, unmet: u32, moment: Moment) {
        self.unschedule(position);
        item_moves(self, position, WorkMove::Needs(unmet), moment);
        self.time_needs(position, moment);
        self.note_question(position);
    }

    /// Builds again what is derived, after a snapshot was read. While the start is incomplete items
    /// may need what is not recorded yet.
    pub(in crate::coordination) fn rebuild(
        &mut self,
        started: &Started,
        starting: bool,
        told: Told<'_>,
    ) {
        self.rules = Rules::of(started);
        self.groups = self.archive.groups_that_left();
        self.conditions = Conditions::default();
        self.routers = Routers::default();
        // Needs are linked against the final states, so that finished ones do not collect waiters
        // again.
        for (position, item) in self.items.iter() {
            self.by_id.insert(item.id().clone(), position);
            self.conditions.add_at(position);
            let Some(name) = item.spec().group.clone().filter(|_| !item.is_recalled()) else {
                continue;
            };
            let group = self.groups.entry(name).or_default();
            match item.standing() {
                Standing::Open => {
                    group.join();
                }
                Standing::Failed(root) => {
                    group.join_finished();
                    group.fail(position, &root);
                }
                Standing::Met => {
                    group.join_finished();
                }
            }
            if let WorkState::Bound(_) = item.state() {
                group.begin_session();
            }
        }
        self.conditions.skip_to(self.items.given());
        let positions: Vec<u32> = self.items.iter().map(|(position, _)| position).collect();
        for position in positions {
            self.link_again(position, starting);
            self.link_routes(position);
            self.link_told_again(position, told);
            self.schedule(position);
        }
    }

    fn link_again(&mut self, position: u32, starting: bool) {
        let Self { items, by_id, groups, conditions, .. } = self;
        let spec = items[position].spec();
        if spec.reused.is_some() {
            return;
        }
        for need in &spec.needs {
            match need {
                Need::Work(id) => match by_id.get(id).copied() {
                    // What it needed has left memory, so it is met or was the end of this one.
                    None if !starting => {}
                    None => conditions.await_unrecorded(id, position),
                    Some(target) if matches!(items[target].standing(), Standing::Open) => {
                        conditions.await_outcome(target, position);
                    }
                    Some(_) => {}
                },
                Need::Group(name) => {
                    groups.entry(name.clone()).or_default();
                    conditions.await_group(name, position);
                }
                Need::Signal(_) | Need::Key(_) | Need::Approval(_) | Need::Routed => {}
            }
        }
    }
}

/// Moves an item that the scheduler does not list now, and enters it in its new state.
fn item_moves(work: &mut Work, position: u32, happening: WorkMove, moment: Moment) {
    work.items[position].step(happening, moment.version());
    work.schedule(position);
}

fn member_of<'a>(
    groups: &'a mut std::collections::BTreeMap<GroupName, Group>,
    name: &GroupName,
) -> &'a mut Group {
    groups.get_mut(name).expect("BUG: members have joined their group")
}
