//! Agents that wait for each other: a wait that would close such a cycle is refused.

use std::collections::{BTreeMap, VecDeque};

use antiphon_core::coordination::{Coordination, Need, NeedStanding, SignalType, WorkState};
use antiphon_core::id::{AgentId, WorkId};

/// Most items that are looked at for one wait. What waits behind more is let in: it times out or
/// ends with its run, as any wait does.
const MAX_STEPS: usize = 10_000;

/// What is known of those that wait.
pub(super) trait Waiting {
    /// What the sessions of an item wait for now.
    fn of_item(&self, item: &WorkId) -> Vec<&Need>;
}

/// The agents of the cycle that a session of an item closes by waiting for this, from its own agent
/// back to it.
pub(super) fn closed_by(
    item: &WorkId,
    needs: &[Need],
    state: &Coordination,
    waiting: &impl Waiting,
) -> Option<Vec<AgentId>> {
    let mut walk = Walk { state, steps: 0, before: BTreeMap::new(), next: VecDeque::new() };
    for need in needs {
        // What an agent sends by itself, another process of its session may.
        let told = |need: &Need| match need {
            Need::Signal(signal) => is_told_by_items(&signal.kind),
            _ => true,
        };
        let targets = walk.targets(need).into_iter().filter(|target| target != item || told(need));
        for target in targets.collect::<Vec<_>>() {
            if walk.enter(target, item, item) {
                return Some(walk.agents(item));
            }
        }
    }
    while let Some(at) = walk.next.pop_front() {
        for need in walk.waits_for(&at, waiting) {
            for target in walk.targets(&need) {
                if walk.enter(target, &at, item) {
                    return Some(walk.agents(item));
                }
            }
        }
        if walk.steps > MAX_STEPS {
            break;
        }
    }
    None
}

fn is_told_by_items(kind: &SignalType) -> bool {
    [SignalType::AGENT_INITIALIZED, SignalType::AGENT_COMPLETED].contains(&kind.as_str())
}

struct Walk<'a> {
    state: &'a Coordination,
    steps: usize,
    /// Which item waits for each that was met.
    before: BTreeMap<WorkId, WorkId>,
    next: VecDeque<WorkId>,
}

impl Walk<'_> {
    /// Goes on to an item. Returns whether the walk is back where it began.
    fn enter(&mut self, target: WorkId, from: &WorkId, began: &WorkId) -> bool {
        self.steps += 1;
        if self.before.contains_key(&target) {
            return false;
        }
        let is_back = target == *began;
        self.before.insert(target.clone(), from.clone());
        if !is_back {
            self.next.push_back(target);
        }
        is_back
    }

    /// What keeps an item from going on.
    fn waits_for(&self, item: &WorkId, waiting: &impl Waiting) -> Vec<Need> {
        let Some(item) = self.state.work_tracking(item.as_str()) else { return Vec::new() };
        match item.state {
            WorkState::Bound(_) => waiting.of_item(&item.spec.id).into_iter().cloned().collect(),
            WorkState::Waiting(_) => item.spec.needs.clone(),
            _ => Vec::new(),
        }
    }

    /// The items without an outcome that alone can meet a need.
    fn targets(&mut self, need: &Need) -> Vec<WorkId> {
        if self.state.standing(need) != NeedStanding::Open {
            return Vec::new();
        }
        match need {
            Need::Work(id) => vec![id.clone()],
            Need::Group(name) => {
                let items =
                    self.state.work_queue().filter_map(|id| self.state.work_tracking(id.as_str()));
                let unfinished = items.filter(|item| {
                    item.spec.group.as_ref() == Some(name)
                        && !matches!(item.state, WorkState::Done(_))
                });
                let found = unfinished.map(|item| item.spec.id.clone()).collect();
                self.steps += self.state.work_queue().count();
                found
            }
            Need::Signal(signal) => {
                let Some(agent) = signal.about.as_ref().or(signal.from.as_ref()) else {
                    return Vec::new();
                };
                let speakers = self.state.speakers(agent);
                let mut unfinished =
                    speakers.filter(|item| !matches!(item.state, WorkState::Done(_)));
                match (unfinished.next(), unfinished.next()) {
                    (Some(only), None) => vec![only.spec.id.clone()],
                    // Where several speak under one name, each of them may send it.
                    _ => Vec::new(),
                }
            }
            _ => Vec::new(),
        }
    }

    /// The names of those on the way back to where the walk began.
    fn agents(&self, began: &WorkId) -> Vec<AgentId> {
        let name = |id: &WorkId| {
            let item = self.state.work_tracking(id.as_str());
            item.map_or_else(|| AgentId::from(id), |item| item.spec.speaks_as())
        };
        let mut agents = vec![name(began)];
        let mut at = began;
        while let Some(before) = self.before.get(at) {
            agents.push(name(before));
            at = before;
            if at == began {
                break;
            }
        }
        agents.reverse();
        agents
    }
}
