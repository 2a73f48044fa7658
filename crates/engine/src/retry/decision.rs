//! The decision: what is not as it was runs again, and what needs that, through any number of
//! needs.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use antiphon_core::coordination::{Need, SkipReason, WorkItemOutcome, WorkSpec};
use antiphon_core::id::{AgentId, GroupName, KeyName, WorkId};

use super::change::{Change, Comparison, Makers};
use super::matching::matched;
use super::{Decision, EarlierItem, Reason, Retry};

impl Retry<'_, '_> {
    /// What is done with each item, in the order of the plan.
    #[must_use]
    pub fn decide(&self) -> Vec<Decision> {
        let earlier = matched(&self.earlier.items, self.work);
        let needs = Needs::of(self.work);
        let then = Then::of(&self.earlier.items, self.work, &earlier);
        let mut comparison = Comparison::new(self.blob);
        let makers = comparison.makers(self.work);
        let mut decided: Vec<Decision> = Vec::with_capacity(self.work.len());
        for (item, before) in self.work.iter().zip(&earlier) {
            let reason = match before {
                _ if self.asked.items.contains(&item.id) => Some(Reason::Asked),
                _ if self.asked.below.contains_key(&item.id) => Some(Reason::AskedBelow),
                None => Some(Reason::New),
                Some(before) => changed(before, item, &then, &makers, &mut comparison),
            };
            let take_over = |before: &EarlierItem, changed: Option<Change>| {
                let (work, output) = (before.spec.id.clone(), before.output);
                Decision::TakeOver { work, output, changed }
            };
            decided.push(match (reason, before) {
                (None, Some(before)) => take_over(before, None),
                (Some(Reason::Changed(change)), Some(before)) if self.only_failed => {
                    take_over(before, Some(change))
                }
                (reason, _) => Decision::Run(reason.unwrap_or(Reason::New)),
            });
        }
        self.spread(&needs, &mut decided);
        decided
    }

    /// Carries on from what runs again to what needs it, nearest first.
    fn spread(&self, needs: &Needs<'_>, decided: &mut [Decision]) {
        let runs = |decision: &Decision| matches!(decision, Decision::Run(_));
        let mut left: VecDeque<usize> =
            (0..decided.len()).filter(|at| runs(&decided[*at])).collect();
        while let Some(at) = left.pop_front() {
            let item = &self.work[at];
            for dependent in needs.of_work.get(&item.id).into_iter().flatten() {
                if !runs(&decided[*dependent]) {
                    decided[*dependent] = Decision::Run(Reason::Needs(item.id.clone()));
                    left.push_back(*dependent);
                }
            }
            for target in &item.routes_to {
                let Some(target) = needs.at.get(target).copied() else { continue };
                if !runs(&decided[target]) {
                    decided[target] = Decision::Run(Reason::Needs(item.id.clone()));
                    left.push_back(target);
                }
            }
            let by_rule =
                Reason::NotSucceeded(Some(WorkItemOutcome::Skipped(SkipReason::NotRouted)));
            // What nobody routed to is no reason to ask again who does.
            let gives = decided[at] != Decision::Run(by_rule);
            let givers = if gives { needs.givers(self.work, item) } else { Vec::new() };
            for giver in givers {
                if !runs(&decided[giver]) {
                    decided[giver] = Decision::Run(Reason::GivesTo(item.id.clone()));
                    left.push_back(giver);
                }
            }
            let Some(group) = &item.group else { continue };
            for dependent in needs.of_group.get(group).into_iter().flatten() {
                if !runs(&decided[*dependent]) {
                    let (group, work) = (group.clone(), item.id.clone());
                    decided[*dependent] = Decision::Run(Reason::NeedsGroup { group, work });
                    left.push_back(*dependent);
                }
            }
        }
    }
}

/// Why an item runs again that was there before, but for what it needs.
fn changed(
    before: &EarlierItem,
    item: &WorkSpec,
    then: &Then<'_>,
    makers: &Makers<'_>,
    comparison: &mut Comparison<'_, '_>,
) -> Option<Reason> {
    if before.outcome != Some(WorkItemOutcome::Succeeded) {
        return Some(Reason::NotSucceeded(before.outcome.clone()));
    }
    if let Some(change) = comparison.description(&before.spec, item, makers) {
        return Some(Reason::Changed(change));
    }
    if !then.needed_the_same(&before.spec, item) {
        return Some(Reason::Changed(Change::Needs));
    }
    comparison.files(before).map(Reason::Changed)
}

/// Who needs what, by position.
struct Needs<'a> {
    of_work: BTreeMap<&'a WorkId, Vec<usize>>,
    of_group: BTreeMap<&'a GroupName, Vec<usize>>,
    /// Where an item is.
    at: BTreeMap<&'a WorkId, usize>,
    /// Who can route to an item.
    routes: BTreeMap<&'a WorkId, Vec<usize>>,
    /// Who scores a gate.
    scores: BTreeMap<&'a KeyName, Vec<usize>>,
    /// Who speaks under a name.
    speaks: BTreeMap<AgentId, Vec<usize>>,
}

impl<'a> Needs<'a> {
    fn of(work: &'a [WorkSpec]) -> Self {
        let mut needs = Self {
            of_work: BTreeMap::new(),
            of_group: BTreeMap::new(),
            at: BTreeMap::new(),
            routes: BTreeMap::new(),
            scores: BTreeMap::new(),
            speaks: BTreeMap::new(),
        };
        for (at, item) in work.iter().enumerate() {
            needs.at.insert(&item.id, at);
            for target in &item.routes_to {
                needs.routes.entry(target).or_default().push(at);
            }
            for gate in &item.scores {
                needs.scores.entry(gate).or_default().push(at);
            }
            needs.speaks.entry(item.speaks_as()).or_default().push(at);
            for need in &item.needs {
                match need {
                    Need::Work(id) => needs.of_work.entry(id).or_default().push(at),
                    Need::Group(group) => needs.of_group.entry(group).or_default().push(at),
                    _ => {}
                }
            }
        }
        needs
    }

    /// The items whose sessions give what an item waits for besides outcomes: signals, scores of gates
    /// and routes are not taken over.
    fn givers(&self, work: &[WorkSpec], item: &WorkSpec) -> Vec<usize> {
        let of = |need: &Need| match need {
            Need::Routed => self.routes.get(&item.id),
            Need::Key(key) => self.scores.get(&key.key),
            Need::Signal(signal) => signal.agent().and_then(|agent| self.speaks.get(agent)),
            _ => None,
        };
        let found = item.needs.iter().filter_map(of).flatten().copied();
        found.filter(|at| work[*at].id != item.id).collect()
    }
}

/// How the items of the earlier run are found in the plan as it is now.
struct Then<'a> {
    /// The ids that items have now, by those that they had.
    now: BTreeMap<&'a WorkId, &'a WorkId>,
    /// Groups that have lost a member, which therefore nothing can say of that it runs again. One
    /// that was gained does.
    smaller: BTreeSet<&'a GroupName>,
}

impl<'a> Then<'a> {
    fn of(
        earlier: &'a [EarlierItem],
        work: &'a [WorkSpec],
        matched: &[Option<&'a EarlierItem>],
    ) -> Self {
        let (mut now, mut groups) = (BTreeMap::new(), BTreeMap::new());
        for (before, item) in matched.iter().zip(work) {
            if let Some(before) = before {
                now.insert(&before.spec.id, &item.id);
                groups.insert(&before.spec.id, item.group.as_ref());
            }
        }
        let smaller = earlier.iter().filter_map(|item| {
            let group = item.spec.group.as_ref()?;
            (groups.get(&item.spec.id) != Some(&Some(group))).then_some(group)
        });
        Self { now, smaller: smaller.collect() }
    }

    fn needed_the_same(&self, before: &WorkSpec, item: &WorkSpec) -> bool {
        let then = before.needs.iter().map(|need| match need {
            Need::Work(id) => self.now.get(id).map(|id| Need::Work((*id).clone())),
            other => Some(other.clone()),
        });
        let then: BTreeSet<Option<Need>> = then.collect();
        let now: BTreeSet<Option<Need>> = item.needs.iter().cloned().map(Some).collect();
        let is_smaller = |need: &Need| match need {
            Need::Group(group) => self.smaller.contains(group),
            _ => false,
        };
        then == now && !item.needs.iter().any(is_smaller)
    }
}
