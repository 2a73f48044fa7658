//! What a coordination does next, as a proposal: nothing here changes its state.

use std::collections::BTreeSet;

use super::event::{CoordinationEvent, Mode, Paused, StopKind};
use super::limits::MAX_TEXT_BYTES;
use super::receipt::Ending;
use super::runners::{Capability, Runners};
use super::session::shortened;
use super::state::Coordination;
use super::stop::{AbortReason, StopCondition};
use super::work::{ReadyKey, Runner, WorkItem, WorkState};
use crate::id::{Actor, WorkId};
use crate::time::Now;

/// What a coordination would do next.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of its variants say it")]
pub enum Proposal {
    Event(CoordinationEvent),
    /// Fetch the configuration of this nested item, then bind it.
    Expand(WorkId),
    End(Ending),
}

impl Coordination {
    /// What to do next. `None`: nothing until something happens or the next deadline comes.
    ///
    /// Items in `expanding` have been proposed for expansion and are waited for.
    #[must_use]
    pub fn propose(
        &self,
        now: &Now,
        runners: &Runners,
        expanding: &BTreeSet<WorkId>,
    ) -> Option<Proposal> {
        if self.life().is_ended() {
            return None;
        }
        if let Some(stop) = self.stop_request().filter(|stop| stop.kind == StopKind::Cancel) {
            let reason = match stop.parent {
                Some(parent) => AbortReason::ParentStopped(parent),
                None => AbortReason::Cancelled { reason: stop.reason.clone() },
            };
            return self.sessions().is_empty().then_some(Proposal::End(Ending::Aborted(reason)));
        }
        if self.life().is_starting() {
            return None;
        }
        let hopeless = self.work().propose_skip().or_else(|| self.work().propose_denied());
        if let Some(skip) = hopeless.or_else(|| self.work().propose_passed_by()) {
            return Some(Proposal::Event(CoordinationEvent::WorkSkipped(skip)));
        }
        if self.is_carried()
            && let Some(answered) = self.expired_question(now.at).or_else(|| self.moot_question())
        {
            return Some(Proposal::Event(CoordinationEvent::Answered(answered)));
        }
        if let Some(stop) = self.stop_condition_at(now.at) {
            // No ceiling or breaker ends what nobody carries out; whoever resumes it meets them.
            let is_done =
                matches!(stop, StopCondition::AllWorkCompleted | StopCondition::UserRequested);
            if self.is_carried() || is_done {
                return self.propose_stop(stop, runners);
            }
        }
        if !self.is_carried() {
            return None;
        }
        if self.pause_reason().is_none()
            && let Some(skip) = self.work().propose_timed_out(self.age_at(now.at))
        {
            return Some(Proposal::Event(CoordinationEvent::WorkSkipped(skip)));
        }
        if let Some(asked) = self.question_to_ask(now.at) {
            return Some(Proposal::Event(CoordinationEvent::Asked(asked)));
        }
        if self.is_at_rest()
            && let Some(skip) = self.work().propose_unreachable()
        {
            return Some(Proposal::Event(CoordinationEvent::WorkSkipped(skip)));
        }
        // What is being expanded keeps its slot, so that nothing behind it overtakes it meanwhile.
        if self.pause_reason().is_some() || !self.has_slot(expanding.len()) {
            return None;
        }
        self.propose_binding(now, runners, expanding)
    }

    /// Whether nothing but a route can make any of its work start, and none can be taken.
    fn is_at_rest(&self) -> bool {
        self.started().mode == Mode::Closed
            && self.sessions().is_empty()
            && self.holding().next().is_none()
            && self.work().is_at_rest()
    }

    /// What a stop condition leads to once no session is bound.
    fn propose_stop(&self, stop: StopCondition, runners: &Runners) -> Option<Proposal> {
        if !self.sessions().is_empty() || self.is_held_by_pause(&stop) {
            return None;
        }
        if !self.pauses_on(&stop) {
            let is_there = |runner: &Runner| self.capability_of(runner, runners).is_some();
            return Some(Proposal::End(self.ending_on(stop, is_there)));
        };
        let by = Actor::engine().clone();
        // A long list of long names is cut.
        let reason = match self.tripped().filter(|_| stop == StopCondition::CircuitBreakerTripped) {
            Some(streak) => shortened(streak.to_string(), MAX_TEXT_BYTES),
            None => stop.describe(),
        };
        Some(Proposal::Event(CoordinationEvent::Paused(Paused { by, reason })))
    }

    /// The first ready item, in order, that has a runner and is granted something.
    fn propose_binding(
        &self,
        now: &Now,
        runners: &Runners,
        expanding: &BTreeSet<WorkId>,
    ) -> Option<Proposal> {
        let mut best: Option<(ReadyKey, Proposal)> = None;
        for (runner, ready) in self.work().ready() {
            let Some(capability) = self.capability_of(runner, runners) else { continue };
            for lane in ready.open(|group| self.is_full(group, expanding)) {
                for key in lane {
                    if best.as_ref().is_some_and(|(first, _)| first < key) {
                        break;
                    }
                    let item = self.work().item(key.2);
                    let met = self.work().met_elsewhere(item);
                    if expanding.contains(item.id())
                        || self.may_bind_item(item, now.at, &met).is_err()
                    {
                        continue;
                    }
                    let Ok(grant) = self.grant(item, now.at, capability) else { break };
                    let proposal = if runner.is_plan() {
                        Proposal::Expand(item.id().clone())
                    } else {
                        let bound = self.binding_of(item, self.version(), grant, now);
                        Proposal::Event(CoordinationEvent::SessionBound(bound))
                    };
                    best = Some((*key, proposal));
                    break;
                }
            }
        }
        best.map(|(_, proposal)| proposal)
    }

    /// What a runner can do, if it is there with the secrets that it needs.
    fn capability_of(&self, runner: &Runner, runners: &Runners) -> Option<Capability> {
        runners.get(runner).filter(|_| self.has_secrets_for(runner))
    }

    /// Whether the secrets that a runner needs are here.
    pub(super) fn has_secrets_for(&self, runner: &Runner) -> bool {
        self.has_secrets() || !runner.needs_secrets()
    }

    /// Whether it is carried out and something of it that could start lacks secrets.
    pub(crate) fn lacks_secrets(&self) -> bool {
        let lacks = |item: &WorkItem| {
            let is_next = match item.state() {
                WorkState::Ready | WorkState::Delayed(_) => true,
                WorkState::Waiting(_) => self.work().is_listed(item),
                _ => false,
            };
            is_next && !self.has_secrets_for(&item.spec().runner)
        };
        self.is_carried()
            && self.pause_reason().is_none()
            && !self.has_secrets()
            && self.work().iter_unfinished().any(lacks)
    }

    /// The item that a session would be bound to next, if a slot is free.
    pub(super) fn first_to_bind(&self, now: &Now, runners: &Runners) -> Option<&WorkId> {
        let proposal = self.propose_binding(now, runners, &BTreeSet::new())?;
        let first = match &proposal {
            Proposal::Expand(work) => work,
            Proposal::Event(CoordinationEvent::SessionBound(bound)) => &bound.work,
            _ => return None,
        };
        self.work().find(first.as_str()).map(WorkItem::id)
    }

    /// Whether something runs here or will by itself: a session, an item that waits for a moment,
    /// one that could be bound now. Sessions of nested plans do not count, as what runs below them
    /// does.
    pub(crate) fn is_at_work(&self, now: &Now, runners: &Runners) -> bool {
        let runs = self
            .sessions()
            .iter()
            .any(|live| !self.work().item(live.item()).spec().runner.is_plan());
        if !self.is_carried() {
            return runs;
        }
        let is_paused = self.pause_reason().is_some();
        // What is due in a paused run becomes ready, and starts only once a person continues it.
        let is_due_later =
            self.work().next_due() != (None, None) || self.work().next_timeout().is_some();
        let waits = !is_paused && is_due_later;
        let may_bind =
            !self.is_starting() && !is_paused && self.stop_condition_at(now.at).is_none();
        runs || waits
            || self.awaits_expiry()
            || self.holding().next().is_some()
            || (may_bind && self.first_to_bind(now, runners).is_some())
    }
}
