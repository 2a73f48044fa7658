//! Items that a route makes start, visits of them, and those that nothing can route to any more.
//!
//! An item and its further visits have one name here, that of the first visit. What a route may lead to
//! is known from the descriptions of the items, so that it can be told when none can be taken any more.

use std::collections::{BTreeMap, BTreeSet};

use super::Work;
use super::item::WorkItem;
use super::need::Need;
use super::needs_met::Moment;
use super::spec::WorkSpec;
use super::state::{SkipReason, WorkState};
use crate::coordination::event::{Routed, WorkSkipped};
use crate::coordination::limits::{DEFAULT_VISITS, MAX_ITEMS_PER_EVENT};
use crate::digest::Digest;
use crate::id::WorkId;

/// Who can route to whom.
#[derive(Debug, Clone, Default)]
pub(super) struct Routers {
    /// The names of the items in memory that can, or could, route to an item of this name.
    sources: BTreeMap<WorkId, BTreeSet<WorkId>>,
    /// The items that wait for a route.
    waiting: BTreeSet<u32>,
    /// Those of them that nothing can route to any more.
    passed_by: BTreeSet<u32>,
}

/// Where a route leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::coordination) enum Destination {
    /// To an item that has no outcome yet.
    Item(WorkId),
    /// Back to one that has: to another visit of it.
    Visit(Box<WorkSpec>),
}

impl WorkItem {
    /// The place of its need of a route, if it waits for one.
    fn awaited_route(&self) -> Option<u32> {
        let needs = (0..).zip(&self.spec().needs);
        let routed = needs.filter(|(_, need)| matches!(need, Need::Routed));
        routed.map(|(at, _)| at).find(|at| !self.is_done() && !self.is_latched(*at))
    }

    /// Whether it was carried out, here or in the run that this one retries.
    fn was_carried_out(&self) -> bool {
        self.has_begun() || self.spec().reused.is_some()
    }

    fn most_visits(&self) -> u32 {
        self.spec().visits.unwrap_or(DEFAULT_VISITS)
    }
}

impl Work {
    /// Enters an item among those that can route and those that are routed to; counts its need of a
    /// route.
    pub(super) fn link_routes(&mut self, position: u32) -> u32 {
        let Self { items, routers, .. } = self;
        let item = &items[position];
        for target in &item.spec().routes_to {
            let source = named(item.id()).parse().unwrap_or_else(|_| item.id().clone());
            routers.sources.entry(target.clone()).or_default().insert(source);
        }
        let waits = item.awaited_route().is_some();
        if waits {
            routers.waiting.insert(position);
        }
        self.look_again();
        u32::from(waits)
    }

    /// An item that has its outcome waits for no route, and can route nowhere but where that was decided
    /// with its end: what it could have routed to, directly or through further visits, may wait in vain.
    pub(super) fn forget_routes(&mut self, position: u32) {
        self.routers.waiting.remove(&position);
        self.routers.passed_by.remove(&position);
        let mut seen = BTreeSet::new();
        let mut left = self.items[position].spec().routes_to.clone();
        while let Some(target) = left.pop() {
            if self.routers.waiting.is_empty() || !seen.insert(target.clone()) {
                continue;
            }
            let last = self.visits(target.as_str()).last();
            if let Some(last) = last.and_then(|item| self.by_id.get(item.id())).copied() {
                if self.waits_in_vain(last) {
                    self.routers.passed_by.insert(last);
                }
                left.extend(self.items[last].spec().routes_to.iter().cloned());
            }
        }
    }

    /// What can route where has changed: not all that waited in vain does so any more.
    fn look_again(&mut self) {
        if !self.routers.passed_by.is_empty() {
            let passed_by = std::mem::take(&mut self.routers.passed_by);
            self.routers.passed_by =
                passed_by.into_iter().filter(|at| self.waits_in_vain(*at)).collect();
        }
    }

    /// Whether an item waits for a route that nothing can take any more: all that might lead to it has
    /// its outcome, or waits for a route itself, and nothing leads there either.
    fn waits_in_vain(&self, position: u32) -> bool {
        if !self.routers.waiting.contains(&position) {
            return false;
        }
        let target = named(self.items[position].id());
        let mut seen = BTreeSet::from([target]);
        let mut left = vec![target];
        while let Some(target) = left.pop() {
            for source in self.routers.sources.get(target).into_iter().flatten() {
                let Some(last) = self.visits(source.as_str()).last() else { continue };
                match last.is_done() {
                    false if last.awaited_route().is_none() => return false,
                    true if !self.may_be_visited_again(source) => continue,
                    _ => {}
                }
                if seen.insert(source.as_str()) {
                    left.push(source.as_str());
                }
            }
        }
        true
    }

    /// The visits of an item, the first one first.
    fn visits<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a WorkItem> {
        let first = self.find(name);
        let others = first.into_iter().flat_map(move |first| {
            let others = 2..=first.most_visits();
            others.map_while(|visit| self.find(first.id().visit(visit).ok()?.as_str()))
        });
        first.into_iter().chain(others)
    }

    fn may_be_visited_again(&self, name: &WorkId) -> bool {
        self.find(name.as_str()).is_some_and(|first| {
            let visits = self.visits(name.as_str()).count();
            first.was_carried_out() && visits < first.most_visits() as usize
        })
    }

    /// Where a route from an item, whose session ends with it, to another leads; or why it cannot be
    /// taken.
    pub(in crate::coordination) fn destination(
        &self,
        from: &WorkId,
        target: &WorkId,
    ) -> Result<Destination, String> {
        let Some(first) = self.find(target.as_str()) else {
            return Err(format!("{target} is not there, or was finished too long ago"));
        };
        let is_open = |item: &&WorkItem| !item.is_done() && item.id() != from;
        if let Some(open) = self.visits(target.as_str()).find(is_open) {
            return Ok(Destination::Item(open.id().clone()));
        }
        let (visits, most) = (self.visits(target.as_str()).count(), first.most_visits());
        if !first.was_carried_out() {
            return Err(format!("{target} was skipped"));
        }
        let next = u32::try_from(visits + 1).unwrap_or(u32::MAX);
        if next > most {
            return Err(format!("{target} was visited {most} times, and more are not allowed"));
        }
        let id = target.visit(next).map_err(|error| error.to_string())?;
        Ok(Destination::Visit(Box::new(first.spec().clone().visited_as(id))))
    }

    /// It was decided what follows an attempt at an item.
    pub(in crate::coordination) fn note_decision(&mut self, routed: &Routed) {
        if let Some(position) = self.by_id.get(&routed.work).copied() {
            self.items[position].note_decision(Routed { votes: Vec::new(), ..routed.clone() });
        }
    }

    /// An item was routed to.
    pub(in crate::coordination) fn route_to(&mut self, target: &WorkId, moment: Moment) {
        let Some(position) = self.by_id.get(target).copied() else { return };
        let Some(at) = self.items[position].awaited_route() else { return };
        self.routers.waiting.remove(&position);
        self.items[position].latch(at);
        self.look_again();
        self.meet(position, moment);
    }

    /// An item leaves memory.
    pub(super) fn forget_source(&mut self, spec: &WorkSpec) {
        for target in &spec.routes_to {
            if let Some(sources) = self.routers.sources.get_mut(target) {
                sources.remove(&spec.id);
                if sources.is_empty() {
                    self.routers.sources.remove(target);
                }
            }
        }
    }

    /// The outputs that a session of an item may go by, by the names of the items whose they are.
    pub(in crate::coordination) fn outputs_for(&self, spec: &WorkSpec) -> Vec<(WorkId, Digest)> {
        let spec = self.find(named(&spec.id)).map_or(spec, WorkItem::spec);
        let needed = spec.needs.iter().filter_map(|need| match need {
            Need::Work(id) => Some(id),
            _ => None,
        });
        let sources = self.routers.sources.get(&spec.id).into_iter().flatten();
        let sources = sources.filter(|id| !spec.needs.iter().any(|need| need.is_of(id)));
        let latest = |id: &WorkId| {
            let done = self.visits(id.as_str()).filter(|item| item.is_done());
            Some((id.clone(), done.last()?.tracking().output?))
        };
        needed.chain(sources).filter_map(latest).collect()
    }

    /// Whether an item waits for a route.
    pub(in crate::coordination) fn awaits_route(&self, item: &WorkItem) -> bool {
        item.awaited_route().is_some()
    }

    /// The items that can route to one, each with the state of its last visit.
    pub(in crate::coordination) fn routers_of(
        &self,
        target: &WorkId,
    ) -> Vec<(WorkId, &'static str)> {
        let sources = self.routers.sources.get(named(target)).into_iter().flatten();
        let last = sources.filter_map(|source| self.visits(source.as_str()).last());
        last.map(|item| (item.id().clone(), item.state().as_str())).collect()
    }

    /// The next items that nothing can route to any more.
    pub(in crate::coordination) fn propose_passed_by(&self) -> Option<WorkSkipped> {
        self.not_routed(self.routers.passed_by.iter().copied())
    }

    /// An item that waits for a route where nothing runs and nothing can start: what could route to it
    /// needs it.
    pub(in crate::coordination) fn propose_unreachable(&self) -> Option<WorkSkipped> {
        self.not_routed(self.routers.waiting.first().copied().into_iter())
    }

    /// Whether all of its work without an outcome waits for other work, some of it for a route.
    pub(in crate::coordination) fn is_at_rest(&self) -> bool {
        let waits_for_work = |item: &WorkItem| {
            let mut needs = (0..).zip(&item.spec().needs);
            matches!(item.state(), WorkState::Waiting(_))
                && !needs.any(|(at, need)| !need.is_of_items() && self.is_unmet(item, at))
        };
        !self.routers.waiting.is_empty() && self.iter_unfinished().all(waits_for_work)
    }

    fn not_routed(&self, positions: impl Iterator<Item = u32>) -> Option<WorkSkipped> {
        // The longest ids of so many fit an event.
        let positions = positions.take(MAX_ITEMS_PER_EVENT / 10);
        let works: Vec<WorkId> =
            positions.map(|position| self.items[position].id().clone()).collect();
        (!works.is_empty()).then_some(WorkSkipped { works, because: SkipReason::NotRouted })
    }
}

/// The name that an item has with all of its visits.
fn named(id: &WorkId) -> &str {
    id.first_visit().unwrap_or(id.as_str())
}
