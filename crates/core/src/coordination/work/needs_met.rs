//! Needs that no outcome of an item meets: signals and keys; and how long needs are waited for.

use std::collections::{BTreeMap, BTreeSet};

use super::need::{KeyNeed, Need, NeedTarget, SignalNeed};
use super::spec::WorkSpec;
use super::state::{SkipReason, WorkItemOutcome, WorkState};
use super::{Work, WorkItem};
use crate::coordination::approval::{Answer, Questions};
use crate::coordination::event::{Signalled, WorkSkipped};
use crate::coordination::key::{KeyChange, KeyValue, Keys, MetElsewhere};
use crate::coordination::limits::MAX_ITEMS_PER_EVENT;
use crate::coordination::signal::{About, SignalType, Signals};
use crate::envelope::MAX_PAYLOAD_BYTES;
use crate::id::{AgentId, QuestionId, Version};

/// Where an event is: its version, and how old the coordination was.
#[derive(Debug, Clone, Copy)]
pub(in crate::coordination) struct Moment {
    version: Version,
    age: u64,
}

impl Moment {
    pub(in crate::coordination) fn new(version: Version, age: u64) -> Self {
        Self { version, age }
    }

    pub(super) fn version(self) -> Version {
        self.version
    }
}

/// What new items find recorded.
#[derive(Clone, Copy)]
pub(in crate::coordination) struct Told<'a> {
    pub(super) signals: &'a Signals,
    pub(super) keys: &'a Keys,
    questions: &'a Questions,
}

impl<'a> Told<'a> {
    pub(in crate::coordination) fn new(
        signals: &'a Signals,
        keys: &'a Keys,
        questions: &'a Questions,
    ) -> Self {
        Self { signals, keys, questions }
    }

    /// How the question that the engine asked for items was answered.
    pub(super) fn answer(self, text: &str) -> Option<(&'a QuestionId, Answer)> {
        let (id, question) = self.questions.of_engine(text)?;
        question.answer.as_ref().map(|given| (id, given.answer))
    }
}

pub(super) fn was_sent(need: &SignalNeed, signals: &Signals) -> bool {
    let latest = signals.latest(&need.kind, &need.subject());
    latest.is_some_and(|latest| !need.success || latest.succeeded.is_some())
}

impl WorkItem {
    /// Whether its need on this has timed out at this age of the run.
    pub(super) fn has_timed_out(&self, target: &NeedTarget, age: u64) -> bool {
        let mut due = self.deadlines().iter().filter(|(_, until)| **until <= age);
        due.any(|(need, _)| self.spec().needs[*need as usize].target() == *target)
    }

    pub(super) fn key_needs(&self) -> impl Iterator<Item = (u32, &KeyNeed)> {
        (0..).zip(&self.spec().needs).filter_map(|(at, need)| match need {
            Need::Key(key) => Some((at, &**key)),
            _ => None,
        })
    }

    fn signal_needs(&self) -> impl Iterator<Item = (u32, &SignalNeed)> {
        (0..).zip(&self.spec().needs).filter_map(|(at, need)| match need {
            Need::Signal(signal) => Some((at, &**signal)),
            _ => None,
        })
    }

    fn speaks_under(&self, agent: &AgentId) -> bool {
        match &self.spec().agent {
            Some(own) => own == agent,
            None => self.id().as_str() == agent.as_str(),
        }
    }
}

impl Work {
    /// Enters the signals and keys that a new item needs, and counts those that are not there.
    pub(super) fn link_told(&mut self, position: u32, told: Told<'_>) -> u32 {
        let item = &self.items[position];
        let mut unmet = 0;
        let mut heard = Vec::new();
        for (at, signal) in item.signal_needs() {
            if was_sent(signal, told.signals) || self.items_have_told(signal) {
                heard.push(at);
            } else {
                self.conditions.await_signal(&signal.kind, signal.subject(), (position, at));
                unmet += 1;
            }
        }
        for (at, key) in item.key_needs() {
            let holds = key.is_met_by(told.keys.get(key.key.as_str()).map(|key| &key.value));
            self.conditions.await_key(&key.key, (position, at), holds);
            unmet += u32::from(!holds);
        }
        self.link_shared(position);
        heard.into_iter().for_each(|at| self.items[position].latch(at));
        unmet
    }

    /// The same after a snapshot was read, where nothing is counted again.
    pub(super) fn link_told_again(&mut self, position: u32, told: Told<'_>) {
        self.note_speaker(position);
        let item = &self.items[position];
        if item.is_done() {
            return;
        }
        for (at, until) in item.deadlines() {
            self.timeouts.insert((*until, position, *at));
        }
        for (at, signal) in item.signal_needs() {
            if !item.is_latched(at) && !item.has_begun() {
                self.conditions.await_signal(&signal.kind, signal.subject(), (position, at));
            }
        }
        for (at, key) in item.key_needs() {
            let holds = key.is_met_by(told.keys.get(key.key.as_str()).map(|key| &key.value));
            self.conditions.await_key(&key.key, (position, at), holds);
        }
        self.link_shared(position);
        self.link_approvals_again(position, told);
    }

    /// An item that has its outcome waits for nothing.
    pub(super) fn forget_needs(&mut self, position: u32, moment: Moment) {
        self.time_needs(position, moment);
        self.forget_approvals(position);
        self.forget_routes(position);
        self.forget_shared(position);
        let Self { items, conditions, .. } = self;
        let item = &items[position];
        for (at, signal) in item.signal_needs().filter(|(at, _)| !item.is_latched(*at)) {
            conditions.forget_signal(&signal.kind, signal.subject(), (position, at));
        }
        for (at, key) in item.key_needs() {
            conditions.forget_key(&key.key, (position, at));
        }
    }

    pub(super) fn note_speaker(&mut self, position: u32) {
        if let Some(agent) = &self.items[position].spec().agent {
            self.by_agent.entry(agent.clone()).or_default().insert(position);
        }
    }

    pub(super) fn forget_speaker(&mut self, spec: &WorkSpec, position: u32) {
        let Some(agent) = &spec.agent else { return };
        if let Some(speakers) = self.by_agent.get_mut(agent) {
            speakers.remove(&position);
            if speakers.is_empty() {
                self.by_agent.remove(agent);
            }
        }
    }

    /// The items in memory that speak under a name.
    pub(in crate::coordination) fn speakers(
        &self,
        agent: &AgentId,
    ) -> impl Iterator<Item = &WorkItem> {
        let by_id = self.by_id.get(agent.as_str());
        let named = self.by_agent.get(agent).into_iter().flatten();
        let all: BTreeSet<u32> = by_id.into_iter().chain(named).copied().collect();
        let agent = agent.clone();
        all.into_iter().map(|at| &self.items[at]).filter(move |item| item.speaks_under(&agent))
    }

    /// Whether items have told already what a signal would tell.
    pub(super) fn items_have_told(&self, need: &SignalNeed) -> bool {
        let is_told: fn(&WorkItem, bool) -> bool = match need.kind.as_str() {
            SignalType::AGENT_INITIALIZED => |item, _| item.has_begun(),
            SignalType::AGENT_COMPLETED => |item, success| match item.state() {
                WorkState::Done(WorkItemOutcome::Succeeded) => true,
                WorkState::Done(WorkItemOutcome::Failed) => !success,
                // What a decision about its session left out.
                WorkState::Done(WorkItemOutcome::Skipped(SkipReason::Rule)) => item.has_begun(),
                _ => false,
            },
            _ => return false,
        };
        match need.agent() {
            Some(agent) => self.speakers(agent).any(|item| is_told(item, need.success)),
            None => self.iter().any(|(_, item)| is_told(item, need.success)),
        }
    }

    /// A signal was recorded.
    pub(in crate::coordination) fn hear(&mut self, sent: &Signalled, moment: Moment) {
        if self.conditions.awaits_signals() {
            let about = sent.about.as_ref().unwrap_or(&sent.from);
            self.heard(&sent.kind, about, &sent.from, sent.failed, moment);
        }
    }

    /// A session of an item began.
    pub(super) fn hear_begun(&mut self, position: u32, moment: Moment) {
        if self.conditions.awaits_signals() {
            let agent = self.items[position].spec().speaks_as();
            self.heard(&SignalType::agent_initialized(), &agent, &agent, false, moment);
        }
    }

    /// A session gave an item its outcome, here or in the run that this one retries.
    pub(super) fn hear_completed(&mut self, position: u32, moment: Moment) {
        if self.conditions.awaits_signals() {
            let item = &self.items[position];
            let failed = *item.state() == WorkState::Done(WorkItemOutcome::Failed);
            let agent = item.spec().speaks_as();
            self.heard(&SignalType::agent_completed(), &agent, &agent, failed, moment);
        }
    }

    fn heard(
        &mut self,
        kind: &SignalType,
        about: &AgentId,
        from: &AgentId,
        failed: bool,
        moment: Moment,
    ) {
        for subject in [About::Any, About::Agent(about.clone()), About::From(from.clone())] {
            for (position, at) in self.conditions.of_signal(kind, subject.clone()) {
                let item = &mut self.items[position];
                let Some(Need::Signal(need)) = item.spec().needs.get(at as usize) else { continue };
                if failed && need.success {
                    continue;
                }
                item.latch(at);
                self.conditions.forget_signal(kind, subject.clone(), (position, at));
                self.meet(position, moment);
            }
        }
    }

    /// Keys were changed.
    pub(in crate::coordination) fn see_keys(&mut self, changes: &[KeyChange], moment: Moment) {
        for change in changes {
            let value = change.value();
            for ((position, at), held) in self.conditions.of_key(&change.key) {
                self.see_key((position, at), held, value.as_ref(), moment);
            }
        }
    }

    fn see_key(
        &mut self,
        (position, at): (u32, u32),
        held: bool,
        value: Option<&KeyValue>,
        moment: Moment,
    ) {
        let item = &self.items[position];
        let Some(Need::Key(need)) = item.spec().needs.get(at as usize) else { return };
        let holds = need.is_met_by(value);
        if holds == held {
            return;
        }
        self.conditions.await_key(&need.key, (position, at), holds);
        match (item.state(), holds) {
            (WorkState::Waiting(unmet), true) => {
                let unmet = unmet.saturating_sub(1);
                self.set_needs(position, unmet, moment);
            }
            (WorkState::Waiting(unmet), false) => {
                let unmet = unmet + 1;
                self.set_needs(position, unmet, moment);
            }
            (WorkState::Ready, false) => self.set_needs(position, 1, moment),
            // One that is to be tried again at a moment looks at its keys then.
            _ => self.time_needs(position, moment),
        }
    }

    /// An item that is to be tried again waits until its keys are as it needs them.
    pub(super) fn wait_for_keys(&mut self, position: u32, moment: Moment) {
        let item = &self.items[position];
        let unmet = item.key_needs().filter(|(at, key)| !self.holds(key, (position, *at))).count();
        match item.state() {
            WorkState::Ready if unmet > 0 => {
                let unmet = u32::try_from(unmet).unwrap_or(u32::MAX);
                self.set_needs(position, unmet, moment);
            }
            _ => self.time_needs(position, moment),
        }
    }

    /// Whether a key keeps an item from starting now, where these meet needs of it elsewhere.
    pub(in crate::coordination) fn waits_for_key(
        &self,
        item: &WorkItem,
        met: &[MetElsewhere],
    ) -> bool {
        let mut needs = item.key_needs().peekable();
        if needs.peek().is_none() {
            return false;
        }
        let Some(position) = self.by_id.get(item.id()) else { return false };
        let is_met = |need: &KeyNeed| {
            need.looks_at_shared() && met.iter().any(|elsewhere| elsewhere.key == need.key)
        };
        needs.any(|(at, key)| !self.holds(key, (*position, at)) && !is_met(key))
    }

    fn holds(&self, need: &KeyNeed, waiter: (u32, u32)) -> bool {
        self.conditions.key_holds(&need.key, waiter)
    }

    /// Whether a need of an item without an outcome is not met.
    pub(in crate::coordination) fn is_unmet(&self, item: &WorkItem, at: u32) -> bool {
        let Some(position) = self.by_id.get(item.id()) else { return false };
        match &item.spec().needs[at as usize] {
            Need::Key(key) => !self.holds(key, (*position, at)),
            _ if item.has_begun() => false,
            Need::Signal(_) | Need::Approval(_) | Need::Routed => !item.is_latched(at),
            Need::Work(id) => match self.find(id.as_str()).map(WorkItem::state) {
                Some(WorkState::Done(outcome)) => {
                    let policy = self.find(id.as_str()).map(|item| item.spec().on_failure);
                    !policy.is_some_and(|policy| outcome.satisfies(policy))
                }
                _ => true,
            },
            Need::Group(name) => self.group_standing(name).is_some(),
        }
    }

    /// Starts and ends the time-outs of an item's needs after one of them was met or is not any more.
    pub(super) fn time_needs(&mut self, position: u32, moment: Moment) {
        let item = &self.items[position];
        let spec = item.spec();
        if spec.need_timeouts.is_empty() {
            return;
        }
        let mut deadlines = BTreeMap::new();
        if matches!(item.state(), WorkState::Waiting(_) | WorkState::Delayed(_)) {
            let unmet = |at: u32| self.is_unmet(item, at);
            let items_open =
                (0..).zip(&spec.needs).any(|(at, need)| need.is_of_items() && unmet(at));
            for (at, ns) in &spec.need_timeouts {
                let runs = spec.needs[*at as usize].is_of_items() || !items_open;
                if runs && unmet(*at) {
                    let begins = moment.age.saturating_add(*ns);
                    deadlines.insert(*at, item.deadlines().get(at).copied().unwrap_or(begins));
                }
            }
        }
        for (at, until) in item.deadlines() {
            self.timeouts.remove(&(*until, position, *at));
        }
        for (at, until) in &deadlines {
            if !self.is_met_by_shared(&self.items[position], *at) {
                self.timeouts.insert((*until, position, *at));
            }
        }
        self.items[position].set_deadlines(deadlines);
    }

    /// The age of the run at which the next need times out.
    pub(in crate::coordination) fn next_timeout(&self) -> Option<u64> {
        self.timeouts.first().map(|(until, _, _)| *until)
    }

    /// The next items that waited too long, all for the same.
    pub(in crate::coordination) fn propose_timed_out(&self, age: u64) -> Option<WorkSkipped> {
        let target = |position: u32, at: u32| {
            let item = &self.items[position];
            (item.id().clone(), item.spec().needs[at as usize].target())
        };
        let due = self.timeouts.range(..=(age, u32::MAX, u32::MAX));
        let mut due = due.map(|(_, position, at)| target(*position, *at)).peekable();
        let wanted = due.peek()?.1.clone();
        let (mut works, mut seen, mut bytes) = (Vec::new(), BTreeSet::new(), 0);
        for (work, _) in due.take_while(|(_, target)| *target == wanted) {
            // Twice its length, as JSON escapes some characters with one more.
            bytes += 2 * work.as_str().len() + 3;
            if works.len() == MAX_ITEMS_PER_EVENT || bytes > MAX_PAYLOAD_BYTES - 2048 {
                break;
            }
            if seen.insert(work.clone()) {
                works.push(work);
            }
        }
        Some(WorkSkipped { works, because: SkipReason::NeedTimedOut(wanted) })
    }
}
