//! Whether an event may follow on the state it meets; a history that was not decided by these rules
//! is refused here.

use super::event::{
    CoordinationEvent, SessionBound, SessionUnbound, Started, StopKind, WorkAdded, WorkSkipped,
};
use super::outcome::{NextStep, SessionOutcome};
use super::receipt::Ending;
use super::session::{Coordination, WorkItem};
use super::stop::{CoordinationStatus, StopCondition};
use super::work::{SkipReason, WorkItemOutcome, WorkMove};
use crate::envelope::Meta;
use crate::id::WorkId;
use crate::time::Deadline;

impl Coordination {
    /// What stands in the way of an event.
    pub(super) fn check(&self, event: &CoordinationEvent, meta: &Meta) -> Result<(), String> {
        if self.status.is_terminal() {
            return Err("the coordination has ended".to_owned());
        }
        let begun = self.status.is_running();
        let demand = |holds: bool, why: &str| if holds { Ok(()) } else { Err(why.to_owned()) };
        match event {
            CoordinationEvent::WorkAdded(added) => self.check_added(added),
            CoordinationEvent::SessionBound(bound) => self.check_bound(bound, meta),
            CoordinationEvent::SessionUnbound(unbound) => self.check_unbound(unbound),
            CoordinationEvent::WorkSkipped(skipped) => self.check_skipped(skipped),
            CoordinationEvent::Paused(_) => {
                demand(begun && self.paused.is_none(), "it is not running")
            }
            CoordinationEvent::Continued(_) => demand(self.paused.is_some(), "it is not paused"),
            CoordinationEvent::BudgetRaised(raised) => demand(
                begun && self.budget().is_raised_by(&raised.budget),
                "the new budget is not higher",
            ),
            CoordinationEvent::StopRequested(request) => {
                let stronger = self.stop.as_ref().is_none_or(|stop| stop.kind < request.kind);
                demand(
                    stronger && (begun || request.kind == StopKind::Cancel),
                    "it is stopping already",
                )
            }
            CoordinationEvent::Resumed(resumed) => demand(
                resumed.swept as usize <= self.bound.len(),
                "it sweeps more sessions than are bound",
            ),
            CoordinationEvent::WriteRefused(refused) => demand(
                refused.session <= self.sessions
                    && !self.refused.contains(&(refused.session, refused.kind.clone()))
                    && self
                        .bound
                        .get(&refused.session)
                        .is_none_or(|binding| binding.fence != refused.fence),
                "the write was valid, or its refusal is recorded already",
            ),
            CoordinationEvent::SessionCleared(cleared) => {
                demand(self.held_by(cleared.session).is_some(), "it holds no item back")
            }
            CoordinationEvent::Completed(completed) => {
                demand(
                    begun && self.bound.is_empty(),
                    "sessions are bound, or the start is incomplete",
                )?;
                let holds = self.stop_condition_at(meta.at);
                let given = matches!(
                    completed.stop,
                    StopCondition::UserRequested
                        | StopCondition::Error(_)
                        | StopCondition::WordedError(_)
                );
                demand(
                    given || holds.as_ref() == Some(&completed.stop),
                    "its stop condition does not hold",
                )?;
                let ending = Ending::Completed(completed.stop.clone());
                self.check_end(ending, meta, &completed.usage, &completed.totals, completed.verdict)
            }
            CoordinationEvent::Aborted(aborted) => {
                demand(self.bound.is_empty(), "sessions are bound")?;
                let ending = Ending::Aborted(aborted.reason.clone());
                self.check_end(ending, meta, &aborted.usage, &aborted.totals, aborted.verdict)
            }
            CoordinationEvent::Started(_) => Err("it was started before".to_owned()),
        }
    }

    fn check_added(&self, added: &WorkAdded) -> Result<(), String> {
        let items = &added.items;
        if let Some(unknown) =
            added.recalled.iter().find(|item| !self.archive.may_hold(item.work.id.as_str()))
        {
            return Err(format!("work {} never left memory", unknown.work.id));
        }
        if (items.is_empty() && added.recalled.is_empty())
            || items.len() + added.recalled.len() > super::MAX_ITEMS_PER_EVENT
        {
            return Err(format!("{} items in one event", items.len()));
        }
        let starting = self.status == CoordinationStatus::Initializing;
        if starting && self.items.len() + items.len() > self.started.items as usize {
            return Err("it adds more items than the start announced".to_owned());
        }
        if let Some(known) = items.iter().find(|item| self.index.by_id.contains_key(&item.id)) {
            return Err(format!("work {} is there already", known.id));
        }
        if self.stop.is_some() && !starting {
            return Err("it is ending and takes no more work".to_owned());
        }
        for item in items {
            super::admission::check_item(item)
                .map_err(|error| format!("work {}: {error}", item.id))?;
        }
        let mut fresh = std::collections::BTreeSet::new();
        if let Some(twice) = items.iter().find(|item| !fresh.insert(&item.id)) {
            return Err(format!("work {} is added twice", twice.id));
        }
        if !starting {
            let away =
                added.recalled.iter().map(|item| (item.work.id.clone(), item.clone())).collect();
            let _order = super::admission::admit(Some(self), &away, items)
                .map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn check_bound(&self, bound: &SessionBound, meta: &Meta) -> Result<(), String> {
        if !self.status.is_running() || self.paused.is_some() {
            return Err("it is not running".to_owned());
        }
        if bound.session != self.sessions + 1 {
            return Err(format!("session {} does not follow {}", bound.session, self.sessions));
        }
        if self.bound.len() >= self.started.concurrency as usize {
            return Err(format!("{} sessions are bound already", self.bound.len()));
        }
        let item = self.item(&bound.work)?;
        if let Some(group) =
            item.spec.group.as_ref().filter(|group| self.is_full(group, &Default::default()))
        {
            return Err(format!("as many of group {group} run as may"));
        }
        if let Some(until) = item.until() {
            let now = crate::time::Now { at: meta.at, wall: meta.wall, random: [0; 32] };
            // Wall time may be set back after the decision; ledger time may not.
            if matches!(until, Deadline::Ledger(_)) && !until.has_come(&now) {
                return Err(format!("work {} must wait", bound.work));
            }
        }
        item.state
            .after(WorkMove::Bind(bound.session))
            .ok_or_else(|| format!("work {} is {}", bound.work, item.state.as_str()))?;
        if bound.attempt != item.attempts + 1 || bound.attempt > self.max_attempts(item) {
            return Err(format!("attempt {} does not follow {}", bound.attempt, item.attempts));
        }
        if bound.looked_at < item.changed || bound.looked_at > self.version {
            return Err(format!("work {} changed after it was looked at", bound.work));
        }
        if bound.deadline < meta.at {
            return Err("its deadline lies in the past".to_owned());
        }
        if let Some(stop) = self.stop_condition_at(meta.at) {
            return Err(format!("nothing new may start: {stop}"));
        }
        let left =
            self.budget().max_duration_ticks().saturating_sub(self.elapsed_ticks_at(meta.at));
        if bound.grant.ticks == 0 || bound.grant.ticks > left {
            return Err(format!("it grants {} ticks of {left}", bound.grant.ticks));
        }
        self.check_grant(&bound.grant)
    }

    /// No grant goes above what is neither consumed nor reserved.
    fn check_grant(&self, grant: &super::Grant) -> Result<(), String> {
        let (budget, usage, index) = (self.budget(), self.budget_usage(), &self.index);
        let fits = |consumed: u64, reserved: u128, granted: u64, max: Option<u64>| {
            // After an overshoot less than nothing may be left; who is granted nothing takes
            // nothing of it.
            granted == 0
                || max.is_none_or(|max| {
                    u128::from(consumed) + reserved + u128::from(granted) <= u128::from(max)
                })
        };
        let meters = [
            (
                "sessions",
                u64::from(usage.consumed_episodes),
                u128::from(index.reserved_sessions),
                u64::from(grant.sessions),
                Some(u64::from(budget.max_episodes())),
            ),
            (
                "tokens",
                usage.consumed_tokens,
                index.reserved_tokens,
                grant.tokens.unwrap_or(0),
                budget.max_tokens(),
            ),
            (
                "cost",
                usage.consumed_cost,
                index.reserved_cost,
                grant.cost.unwrap_or(0),
                budget.max_cost(),
            ),
        ];
        for (meter, consumed, reserved, granted, max) in meters {
            if !fits(consumed, reserved, granted, max) {
                return Err(format!("it grants more {meter} than are left"));
            }
        }
        if grant.sessions == 0 {
            return Err("it grants no session".to_owned());
        }
        Ok(())
    }

    fn check_unbound(&self, unbound: &SessionUnbound) -> Result<(), String> {
        let binding = self
            .bound
            .get(&unbound.session)
            .ok_or_else(|| format!("session {} is not bound", unbound.session))?;
        let item = &self.items[binding.item];
        if item.spec.id != unbound.work {
            return Err(format!(
                "session {} carries out {}, not {}",
                unbound.session, item.spec.id, unbound.work
            ));
        }
        let last = item.attempts + 1 >= self.max_attempts(item);
        let unclean = unbound.tree.as_ref().is_some_and(|tree| !tree.clean);
        let legal = match (&unbound.outcome, &unbound.then) {
            (SessionOutcome::Success | SessionOutcome::Deferred { .. }, _) if unclean => false,
            (outcome, NextStep::Hold) => unclean && !(last && outcome.is_attempt()),
            (SessionOutcome::Success, NextStep::Done(WorkItemOutcome::Succeeded)) => true,
            (SessionOutcome::Deferred { until }, NextStep::Wait(then)) => until == then,
            (SessionOutcome::Lost | SessionOutcome::Cancelled, NextStep::Retry(_)) => true,
            (outcome, NextStep::Done(WorkItemOutcome::Failed)) => {
                outcome.is_failed_attempt() && last
            }
            (outcome, NextStep::Retry(_)) => outcome.is_failed_attempt() && !last,
            _ => false,
        };
        if !legal {
            return Err(format!(
                "{:?} does not follow from {}",
                unbound.then,
                unbound.outcome.as_str()
            ));
        }
        if unbound.used.sessions == 0 || unbound.used.sessions > binding.grant.sessions {
            return Err(format!(
                "it used {} sessions of {}",
                unbound.used.sessions, binding.grant.sessions
            ));
        }
        Ok(())
    }

    fn check_skipped(&self, skipped: &WorkSkipped) -> Result<(), String> {
        if skipped.works.is_empty() || skipped.works.len() > super::MAX_ITEMS_PER_EVENT {
            return Err(format!("{} items in one event", skipped.works.len()));
        }
        // Doomed items are skipped in the order in which they were found, so one walk finds them
        // all.
        let mut doomed = self.doomed.iter();
        let mut seen = std::collections::BTreeSet::new();
        for work in &skipped.works {
            let item = self.item(work)?;
            let outcome = WorkItemOutcome::Skipped(skipped.because.clone());
            if item.state.after(WorkMove::Finish(outcome)).is_none() || !seen.insert(work) {
                return Err(format!("work {work} is {}", item.state.as_str()));
            }
            if let SkipReason::NeedFailed(root) = &skipped.because
                && !doomed.any(|(position, because)| {
                    because == root
                        && self.items.get(*position).is_some_and(|item| item.spec.id == *work)
                })
            {
                return Err(format!("work {work} does not need {root}, or that has not failed"));
            }
        }
        Ok(())
    }

    fn check_end(
        &self,
        ending: Ending,
        meta: &Meta,
        usage: &super::BudgetUsage,
        totals: &super::Counts,
        verdict: super::Verdict,
    ) -> Result<(), String> {
        let expected =
            self.receipt(ending, meta.at, meta.wall, Default::default(), Default::default());
        if (usage, totals, verdict) == (&expected.budget_usage, &expected.totals, expected.verdict)
        {
            Ok(())
        } else {
            Err("its usage, totals or verdict are not those of the stream".to_owned())
        }
    }

    fn item(&self, work: &WorkId) -> Result<&WorkItem, String> {
        let position =
            self.index.by_id.get(work).ok_or_else(|| format!("there is no work {work}"))?;
        Ok(&self.items[*position])
    }
}

/// Whether a first event's numbers are in range.
pub(super) fn check_started(started: &Started) -> Result<(), String> {
    let in_range = |what: &str, value: u32, max: u32| {
        if (1..=max).contains(&value) {
            Ok(())
        } else {
            Err(format!("{what} is {value}; it must be between 1 and {max}"))
        }
    };
    in_range("max_attempts", started.policies.max_attempts, super::MAX_ATTEMPTS_LIMIT)?;
    in_range("breaker", started.policies.breaker, u32::MAX)?;
    in_range("concurrency", started.concurrency, super::MAX_CONCURRENCY)?;
    for (group, width) in &started.widths {
        in_range(&format!("the width of group {group}"), *width, super::MAX_CONCURRENCY)?;
    }
    if started.depth > super::MAX_DEPTH {
        return Err(format!("it is nested {} deep", started.depth));
    }
    Ok(())
}
