//! What a coordination does next, as a proposal: nothing here changes its state.

use super::error::ControllerError;
use super::event::{
    CoordinationEvent, OnExhausted, Paused, SessionBound, SessionUnbound, StopKind, WorkSkipped,
};
use super::index::Due;
use super::outcome::{NextStep, SessionEnd, SessionOutcome};
use super::receipt::Ending;
use super::runners::{Capability, Runners};
use super::session::{Coordination, WorkItem};
use super::stop::{AbortReason, BudgetType, CoordinationStatus, StopCondition};
use super::work::{Runner, SkipReason, WorkItemOutcome, WorkState};
use super::{Grant, MAX_ITEMS_PER_EVENT, MAX_SCORE_NAME_BYTES, MAX_SCORES, MAX_TEXT_BYTES, Usage};
use crate::digest::{Canonical, Digest};
use crate::envelope::MAX_PAYLOAD_BYTES;
use crate::id::{Actor, GroupName, Version, WorkId};
use crate::time::{Now, nanos, ticks};

/// What a coordination would do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proposal {
    /// Record this.
    Event(CoordinationEvent),
    /// Fetch the configuration of this nested item, then bind it.
    Expand(WorkId),
    /// End.
    End(Ending),
}

/// Why a running session is asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StopCause {
    /// Its time is over.
    Timeout,
    /// Its coordination is ending.
    Ending,
}

impl Coordination {
    /// Makes work ready whose moment has come, and names the sessions whose time is over since the
    /// last call.
    ///
    /// Touches only what is derived; the record says nothing of it.
    pub fn wake(&mut self, now: &Now) -> Vec<u64> {
        let mut overdue = Vec::new();
        while let Some((at, due)) = self.index.due_at.first().copied() {
            if at > now.at {
                break;
            }
            self.index.due_at.remove(&(at, due));
            match due {
                Due::Session(session) => overdue.push(session),
                Due::Item(position) => self.make_ready(position),
            }
        }
        while let Some((wall, position)) = self.index.due_wall.first().copied() {
            if wall > now.wall {
                break;
            }
            self.index.due_wall.remove(&(wall, position));
            self.make_ready(position);
        }
        overdue
    }

    /// Whether running sessions must be asked to stop because the coordination ends.
    #[must_use]
    pub fn must_stop_sessions(&self) -> bool {
        let cancelled = self.stop.as_ref().is_some_and(|stop| stop.kind == StopKind::Cancel);
        cancelled || ((self.tripped || self.fault.is_some()) && self.unfinished > 0)
    }

    /// What to do next. `None`: nothing until something happens or the next deadline comes.
    ///
    /// Items in `expanding` have been proposed for expansion and are waited for.
    #[must_use]
    pub fn propose(
        &self,
        now: &Now,
        runners: &Runners,
        expanding: &std::collections::BTreeSet<WorkId>,
    ) -> Option<Proposal> {
        if self.status.is_terminal() {
            return None;
        }
        if let Some(stop) = self.stop.as_ref().filter(|stop| stop.kind == StopKind::Cancel) {
            let reason = match stop.parent {
                Some(parent) => AbortReason::ParentStopped(parent),
                None => AbortReason::Cancelled { reason: stop.reason.clone() },
            };
            return self.bound.is_empty().then_some(Proposal::End(Ending::Aborted(reason)));
        }
        if self.status == CoordinationStatus::Initializing {
            return None;
        }
        if let Some(skip) = self.propose_skip() {
            return Some(Proposal::Event(CoordinationEvent::WorkSkipped(skip)));
        }
        if let Some(stop) = self.stop_condition_at(now.at) {
            return self.propose_stop(stop);
        }
        // What is being expanded keeps its slot, so that nothing behind it overtakes it meanwhile.
        if self.paused.is_some()
            || self.bound.len() + expanding.len() >= self.started.concurrency as usize
        {
            return None;
        }
        self.propose_binding(now, runners, expanding)
    }

    /// The next items that can never run, all of one root.
    pub(crate) fn propose_skip(&self) -> Option<WorkSkipped> {
        let mut left =
            self.doomed.iter().filter(|(position, _)| self.is_undone(*position)).peekable();
        let root = left.peek()?.1.clone();
        let mut works: Vec<WorkId> = Vec::new();
        let mut seen = std::collections::BTreeSet::new();
        let mut bytes = 0;
        for (position, other) in left {
            let id = &self.items[*position].spec.id;
            // Twice its length, as JSON escapes some characters with one more.
            bytes += 2 * id.as_str().len() + 3;
            if *other != root
                || works.len() == MAX_ITEMS_PER_EVENT
                || bytes > MAX_PAYLOAD_BYTES - 1024
            {
                break;
            }
            if seen.insert(*position) {
                works.push(id.clone());
            }
        }
        Some(WorkSkipped { works, because: SkipReason::NeedFailed(root) })
    }

    /// Whether an item has no outcome yet; one that has left memory has.
    pub(super) fn is_undone(&self, position: u32) -> bool {
        self.items.get(position).is_some_and(|item| !matches!(item.state, WorkState::Done(_)))
    }

    fn propose_stop(&self, stop: StopCondition) -> Option<Proposal> {
        if !self.bound.is_empty() {
            return None;
        }
        if let StopCondition::BudgetExhausted(meter) = &stop {
            if self.paused.is_some() {
                return None;
            }
            if self.started.policies.on_exhausted == OnExhausted::Pause {
                let by = Actor::new("engine").expect("BUG: a constant name");
                let meter = match meter {
                    BudgetType::Duration => "time",
                    BudgetType::Tokens => "tokens",
                    BudgetType::Cost => "cost",
                    BudgetType::Episodes => "sessions",
                };
                let reason = format!("its budget of {meter} is spent");
                return Some(Proposal::Event(CoordinationEvent::Paused(Paused { by, reason })));
            }
        }
        Some(Proposal::End(Ending::Completed(stop)))
    }

    /// The first ready item, in order, that has a runner and is granted something.
    fn propose_binding(
        &self,
        now: &Now,
        runners: &Runners,
        expanding: &std::collections::BTreeSet<WorkId>,
    ) -> Option<Proposal> {
        let mut best: Option<(super::index::ReadyKey, Proposal)> = None;
        for (runner, ready) in &self.index.ready {
            let Some(capability) = runners.get(runner).filter(|_| self.has_secrets_for(runner))
            else {
                continue;
            };
            let narrow = ready
                .narrow
                .iter()
                .filter(|(group, _)| !self.is_full(group, expanding))
                .map(|(_, lane)| lane);
            for lane in narrow.chain([&ready.free]) {
                for key in lane {
                    if best.as_ref().is_some_and(|(first, _)| first < key) {
                        break;
                    }
                    let item = &self.items[key.2];
                    if expanding.contains(&item.spec.id) {
                        continue;
                    }
                    let Ok(grant) = self.grant(item, now, capability) else { break };
                    let proposal = match runner {
                        runner if runner.is_plan() => Proposal::Expand(item.spec.id.clone()),
                        _ => Proposal::Event(CoordinationEvent::SessionBound(
                            self.binding_of(item, grant, now),
                        )),
                    };
                    best = Some((*key, proposal));
                    break;
                }
            }
        }
        best.map(|(_, proposal)| proposal)
    }

    /// Whether as many members of a group run as may, those counted whose plan is being fetched.
    pub(super) fn is_full(
        &self,
        group: &GroupName,
        expanding: &std::collections::BTreeSet<WorkId>,
    ) -> bool {
        let Some(width) = self.started.widths.get(group) else { return false };
        let coming = expanding.iter().filter(|work| {
            let position = self.index.by_id.get(*work);
            position
                .is_some_and(|position| self.items[*position].spec.group.as_ref() == Some(group))
        });
        let running = self.index.groups.get(group).map_or(0, |group| group.running);
        running as usize + coming.count() >= *width as usize
    }

    /// Whether the secrets that a runner needs are here.
    pub(super) fn has_secrets_for(&self, runner: &Runner) -> bool {
        self.index.secrets || !runner.needs_secrets()
    }

    pub(crate) fn has_secrets(&self) -> bool {
        self.index.secrets
    }

    /// Says that the coordination's secrets are here. Touches only what is derived; the record says
    /// nothing of it.
    pub(crate) fn hold_secrets(&mut self) {
        self.index.secrets = true;
    }

    /// The item that a session would be bound to next, if a slot is free.
    pub(super) fn first_to_bind(&self, now: &Now, runners: &Runners) -> Option<&WorkId> {
        let proposal = self.propose_binding(now, runners, &std::collections::BTreeSet::new())?;
        let first = match &proposal {
            Proposal::Expand(work) => work,
            Proposal::Event(CoordinationEvent::SessionBound(bound)) => &bound.work,
            _ => return None,
        };
        self.known_item(first.as_str()).ok().map(|item| &item.spec.id)
    }

    /// Whether something runs here or will of itself: a session, an item that waits for a moment,
    /// one that could be bound now. Sessions of nested plans do not count, as what runs below them
    /// does.
    pub(crate) fn is_at_work(&self, now: &Now, runners: &Runners) -> bool {
        let carries_out =
            |binding: &super::Binding| !self.items[binding.item].spec.runner.is_plan();
        let waits =
            self.index.due_at.iter().any(|(_, due)| matches!(due, super::index::Due::Item(_)));
        let may_bind = self.paused.is_none() && self.stop_condition_at(now.at).is_none();
        self.bound.values().any(carries_out)
            || self.holding().next().is_some()
            || waits
            || !self.index.due_wall.is_empty()
            || (may_bind && self.first_to_bind(now, runners).is_some())
    }

    /// What a session of this item would be granted now.
    pub(super) fn grant(
        &self,
        item: &WorkItem,
        now: &Now,
        capability: Capability,
    ) -> Result<Grant, ControllerError> {
        let (budget, usage, index) = (self.budget(), self.budget_usage(), &self.index);
        let slots =
            u64::from(self.started.concurrency).saturating_sub(self.bound.len() as u64).max(1);
        let rest = budget
            .max_episodes()
            .saturating_sub(usage.consumed_episodes)
            .saturating_sub(index.reserved_sessions);
        let sessions = capability.sessions.map_or(1, |ceiling| ceiling.max(1)).min(rest);
        if sessions == 0 {
            return Err(ControllerError::NothingToGrant { meter: "sessions" });
        }
        let left = budget.max_duration_ticks().saturating_sub(self.elapsed_ticks_at(now.at));
        let ticks = item.spec.timeout_ticks.unwrap_or(u64::MAX).min(left);
        if ticks == 0 {
            return Err(ControllerError::NothingToGrant { meter: "time" });
        }
        let share =
            |reports: bool, own: Option<u64>, max: Option<u64>, used: u64, meter: &'static str| {
                if !reports {
                    return Ok(None);
                }
                let Some(max) = max else { return Ok(own) };
                let free = max.saturating_sub(used);
                let granted = own.unwrap_or_else(|| free.div_ceil(slots)).min(free);
                if granted == 0 {
                    Err(ControllerError::NothingToGrant { meter })
                } else {
                    Ok(Some(granted))
                }
            };
        let tokens = usage
            .consumed_tokens
            .saturating_add(u64::try_from(index.reserved_tokens).unwrap_or(u64::MAX));
        let cost = usage
            .consumed_cost
            .saturating_add(u64::try_from(index.reserved_cost).unwrap_or(u64::MAX));
        Ok(Grant {
            sessions,
            ticks,
            tokens: share(
                capability.reports_tokens,
                item.spec.max_tokens,
                budget.max_tokens(),
                tokens,
                "tokens",
            )?,
            cost: share(
                capability.reports_cost,
                item.spec.max_cost,
                budget.max_cost(),
                cost,
                "cost",
            )?,
        })
    }

    /// The event that binds the next session to an item.
    pub(super) fn binding_of(&self, item: &WorkItem, grant: Grant, now: &Now) -> SessionBound {
        let session = self.sessions + 1;
        SessionBound {
            session,
            work: item.spec.id.clone(),
            attempt: item.attempts + 1,
            looked_at: self.version,
            grant,
            deadline: now.at.after(nanos(grant.ticks, self.budget().tick_rate_hz())),
            token: Digest::of(self.token(session, now).as_bytes()),
            nested: item.spec.runner.is_plan(),
            leases: Vec::new(),
            context: None,
        }
    }

    /// The secret that a session shows; the record holds only its digest.
    #[must_use]
    pub fn token(&self, session: u64, now: &Now) -> Digest {
        let mut bytes = Canonical::new("antiphon.token.1");
        bytes.digest(&Digest(now.random)).text(self.coordination_id.as_str()).u64(session);
        bytes.hash()
    }

    /// The event that binds a session to this item now, whoever wants it.
    ///
    /// # Errors
    /// A [`ControllerError`] says what is in the way.
    pub(crate) fn decide_binding(
        &self,
        work: &str,
        looked_at: Option<Version>,
        capability: Capability,
        now: &Now,
    ) -> Result<SessionBound, ControllerError> {
        let item = self.known_item(work)?;
        if self.status == CoordinationStatus::Initializing {
            return Err(self.not_in_state("is still being started"));
        }
        if !self.status.is_running() {
            return Err(ControllerError::CoordinationTerminal {
                coordination_id: self.coordination_id.clone(),
            });
        }
        if self.paused.is_some() {
            return Err(self.not_in_state("is paused; continue it first"));
        }
        if let Some(session) = self
            .bound
            .keys()
            .next()
            .filter(|_| self.bound.len() >= self.started.concurrency as usize)
        {
            return Err(ControllerError::SessionAlreadyBound {
                session_id: self.session_id(*session),
                concurrency: self.started.concurrency,
            });
        }
        if let Some(stop) = self.stop_condition_at(now.at) {
            return Err(ControllerError::MustStop { stop });
        }
        if let Some(looked_at) = looked_at.filter(|seen| *seen < item.changed) {
            return Err(ControllerError::WorkFreshnessViolation {
                work_id: item.spec.id.clone(),
                looked_at,
                current: item.changed,
            });
        }
        if !self.is_claimable(item, now) {
            return Err(ControllerError::WorkNotClaimable {
                work_id: item.spec.id.clone(),
                state: item.state.as_str(),
                instead: "only work that is ready can be bound",
            });
        }
        if let Some(group) = item
            .spec
            .group
            .as_ref()
            .filter(|group| self.is_full(group, &std::collections::BTreeSet::new()))
        {
            let width = self.started.widths[group];
            return Err(ControllerError::GroupFull {
                work_id: item.spec.id.clone(),
                group: group.clone(),
                width,
            });
        }
        let grant = self.grant(item, now, capability)?;
        Ok(self.binding_of(item, grant, now))
    }

    /// Whether an item may be bound: its moment has come now, or had come before wall time was set
    /// back.
    pub(super) fn is_claimable(&self, item: &WorkItem, now: &Now) -> bool {
        match &item.state {
            WorkState::Ready => true,
            WorkState::Delayed(deadline) => deadline.has_come(now) || self.is_listed(item),
            _ => false,
        }
    }

    /// The event that ends a session.
    ///
    /// # Errors
    /// [`ControllerError::SessionNotBound`] if it is not bound.
    pub fn decide_unbinding(
        &self,
        session: u64,
        end: SessionEnd,
        now: &Now,
    ) -> Result<SessionUnbound, ControllerError> {
        let binding = self.bound.get(&session).ok_or_else(|| ControllerError::SessionNotBound {
            session_id: self.session_id(session).to_string(),
        })?;
        let item = &self.items[binding.item];
        let unclean = end.tree.as_ref().is_some_and(|tree| !tree.clean);
        let outcome = match end.outcome {
            // What leaves something running has not ended well, whatever it says.
            SessionOutcome::Success | SessionOutcome::Deferred { .. } if unclean => {
                SessionOutcome::Failure
            }
            outcome => outcome,
        };
        let attempts = item.attempts + u32::from(outcome.is_attempt());
        let then = match outcome {
            SessionOutcome::Success => NextStep::Done(WorkItemOutcome::Succeeded),
            SessionOutcome::Deferred { until } => NextStep::Wait(until),
            outcome if outcome.is_attempt() && attempts >= self.max_attempts(item) => {
                NextStep::Done(WorkItemOutcome::Failed)
            }
            _ if unclean => NextStep::Hold,
            SessionOutcome::Lost | SessionOutcome::Cancelled => NextStep::Retry(now.at),
            _ => NextStep::Retry(now.at.after(item.spec.backoff.map_or(0, |backoff| {
                let mut chance = [0; 8];
                chance.copy_from_slice(&now.random[..8]);
                // Several sessions may end at one moment; their numbers keep their jitter apart.
                backoff.wait_ns(
                    attempts,
                    u64::from_be_bytes(chance)
                        .rotate_left(u32::try_from(session % 64).unwrap_or(0)),
                )
            }))),
        };
        let used = self.used(binding, &end, now);
        Ok(SessionUnbound {
            session,
            work: item.spec.id.clone(),
            outcome,
            text: end.text.map(|text| shortened(text, MAX_TEXT_BYTES)),
            used,
            scores: end
                .scores
                .into_iter()
                .filter(|(name, _)| is_score_name(name))
                .take(MAX_SCORES)
                .collect(),
            output: end.output,
            then,
            tree: end.tree,
        })
    }

    /// What a session used: as reported, else in proportion to its time, marked as an estimate.
    fn used(&self, binding: &super::Binding, end: &SessionEnd, now: &Now) -> Usage {
        let spent = ticks(now.at.since(binding.bound_at), self.budget().tick_rate_hz());
        let Some(report) = end.reported else {
            // What never started has used nothing.
            if end.outcome == SessionOutcome::SpawnFailed {
                return Usage { sessions: 1, ticks: spent, ..Usage::default() };
            }
            let share = |granted: Option<u64>| {
                let whole = u128::from(binding.grant.ticks.max(1));
                let part =
                    u128::from(granted.unwrap_or(0)) * u128::from(spent.min(binding.grant.ticks));
                u64::try_from(part.div_ceil(whole)).unwrap_or(u64::MAX)
            };
            let (tokens, cost) = (share(binding.grant.tokens), share(binding.grant.cost));
            let estimated = tokens > 0 || cost > 0;
            return Usage {
                sessions: 1,
                ticks: spent,
                tokens,
                cost,
                estimated,
                ..Usage::default()
            };
        };
        Usage {
            sessions: report.sessions.clamp(1, binding.grant.sessions),
            ticks: spent,
            tokens: report.tokens,
            cache_tokens: report.cache_tokens,
            cost: report.cost,
            estimated: report.estimated,
        }
    }

    pub(super) fn known_item(&self, work: &str) -> Result<&WorkItem, ControllerError> {
        match self.index.by_id.get(work) {
            Some(position) => Ok(&self.items[*position]),
            None if self.archive.may_hold(work) => {
                Err(ControllerError::WorkLeftMemory { work_id: work.to_owned() })
            }
            None => Err(ControllerError::WorkNotFound { work_id: work.to_owned() }),
        }
    }

    /// One word for the state of an item.
    pub(crate) fn known_state(&self, work: &str) -> Result<&'static str, ControllerError> {
        Ok(self.known_item(work)?.state.as_str())
    }

    pub(crate) fn not_in_state(&self, state: &'static str) -> ControllerError {
        ControllerError::NotInState { coordination_id: self.coordination_id.clone(), state }
    }

    /// The ready item that goes first, whatever its runner; what a serial caller takes next.
    #[must_use]
    pub fn current_work_id(&self) -> Option<&WorkId> {
        let first = self.index.ready.values().filter_map(|ready| ready.first()).min()?;
        Some(&self.items[first.2].spec.id)
    }
}

/// Whether a score may have this name. As JSON a control character takes six bytes, with which the
/// event might not fit its payload.
fn is_score_name(name: &str) -> bool {
    name.len() <= MAX_SCORE_NAME_BYTES && !name.chars().any(char::is_control)
}

/// Cuts a text at a character boundary and says so.
pub(crate) fn shortened(mut text: String, max: usize) -> String {
    const MARK: &str = " [cut]";
    if text.len() > max {
        let mut end = max - MARK.len();
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str(MARK);
    }
    text
}
