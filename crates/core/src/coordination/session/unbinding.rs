//! How a session's end is judged: once, for a decision and for the check of a recorded end.

use std::collections::BTreeMap;
use std::time::Duration;

use super::illegal::IllegalUnbinding;
use super::{
    Binding, Charge, NextStep, Report, SessionEnd, SessionOutcome, StopCause, TreeReport, shortened,
};
use crate::coordination::budget::Usage;
use crate::coordination::error::TerminationError;
use crate::coordination::event::SessionUnbound;
use crate::coordination::limits::{MAX_SCORE_NAME_BYTES, MAX_SCORES, MAX_TEXT_BYTES};
use crate::coordination::state::Coordination;
use crate::coordination::work::{SkipReason, WorkItem, WorkItemOutcome};
use crate::id::WorkId;
use crate::routing::RoutingDecision;
use crate::time::{Deadline, Now, ticks};

/// What follows for the item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sequel {
    Succeed,
    Fail,
    /// It counts as skipped by its own rule.
    LeaveOut,
    /// It waits for a moment that was set from outside.
    Wait(Deadline),
    /// It waits until nothing of the session is left.
    Hold,
    /// It goes back to the ready work, at once or after a while.
    Retry,
}

/// The outcome to be recorded: a session that left something running has not ended well, whatever
/// it says.
fn honest(said: SessionOutcome, clean: bool) -> SessionOutcome {
    match said {
        SessionOutcome::Success | SessionOutcome::Deferred { .. } if !clean => {
            SessionOutcome::Failure
        }
        said => said,
    }
}

/// What an honest outcome means for an item, given whether the session left nothing running, whether
/// it was the item's last attempt, and what was decided to follow it.
fn judge(
    outcome: SessionOutcome,
    clean: bool,
    last: bool,
    decided: Option<RoutingDecision>,
) -> Sequel {
    match decided {
        Some(RoutingDecision::Error) => return Sequel::Fail,
        Some(RoutingDecision::Skip) => return Sequel::LeaveOut,
        // What goes on instead has taken over.
        Some(RoutingDecision::Branch | RoutingDecision::Parallel)
            if outcome.is_failed_attempt() =>
        {
            return Sequel::Fail;
        }
        Some(RoutingDecision::Retry) if last => return Sequel::Fail,
        Some(RoutingDecision::Retry) if !clean => return Sequel::Hold,
        Some(RoutingDecision::Retry) => return Sequel::Retry,
        _ => {}
    }
    match outcome {
        SessionOutcome::Success => Sequel::Succeed,
        SessionOutcome::Deferred { until } => Sequel::Wait(until),
        outcome if outcome.is_failed_attempt() && last => Sequel::Fail,
        _ if !clean => Sequel::Hold,
        _ => Sequel::Retry,
    }
}

impl Sequel {
    fn is(self, then: &NextStep) -> bool {
        match (self, then) {
            (Self::Succeed, NextStep::Done(WorkItemOutcome::Succeeded))
            | (Self::Fail, NextStep::Done(WorkItemOutcome::Failed))
            | (Self::LeaveOut, NextStep::Done(WorkItemOutcome::Skipped(SkipReason::Rule)))
            | (Self::Hold, NextStep::Hold)
            | (Self::Retry, NextStep::Retry(_)) => true,
            (Self::Wait(until), NextStep::Wait(then)) => until == *then,
            _ => false,
        }
    }
}

/// What is recorded of scores that are not.
fn scores_left_out(count: usize) -> String {
    let scores = if count == 1 { "1 score was".to_owned() } else { format!("{count} scores were") };
    format!(
        "{scores} left out: at most {MAX_SCORES} are kept, with names of at most \
         {MAX_SCORE_NAME_BYTES} bytes without control characters"
    )
}

impl Coordination {
    /// A live session and its item.
    ///
    /// # Errors
    /// [`TerminationError::SessionNotBound`].
    fn bound(&self, session: u64) -> Result<(&Binding, &WorkItem), TerminationError> {
        let binding = self.sessions().get(session).ok_or_else(|| {
            TerminationError::SessionNotBound { session_id: self.session_id(session).to_string() }
        })?;
        Ok((binding, self.work().item(binding.item())))
    }

    /// The item of a live session.
    ///
    /// # Errors
    /// [`TerminationError::SessionNotBound`].
    pub(in crate::coordination) fn bound_work(
        &self,
        session: u64,
    ) -> Result<&WorkId, TerminationError> {
        self.bound(session).map(|(_, item)| item.id())
    }

    /// The outcome of a session that would be recorded.
    ///
    /// # Errors
    /// [`TerminationError::SessionNotBound`].
    pub(in crate::coordination) fn outcome_of(
        &self,
        session: u64,
        end: &SessionEnd,
    ) -> Result<SessionOutcome, TerminationError> {
        let (_, item) = self.bound(session)?;
        Ok(self.verdict_of(item, end.outcome, end.tree.as_deref()).0)
    }

    /// The outcome of an item's session to be recorded, and what follows for the item. Deciding and
    /// checking a recorded end both ask here.
    fn verdict_of(
        &self,
        item: &WorkItem,
        said: SessionOutcome,
        tree: Option<&TreeReport>,
    ) -> (SessionOutcome, Sequel) {
        let clean = tree.is_none_or(|tree| tree.clean);
        let last = item.attempts() + 1 >= self.work().max_attempts(item);
        let outcome = honest(said, clean);
        let decided = self.route().map(|routed| routed.decision);
        (outcome, judge(outcome, clean, last, decided))
    }

    /// The outcome of a session that may have been asked to stop: one whose time is over has timed
    /// out, whatever it says, and one that stops when it is asked to has not failed. One that is
    /// known to have ended by itself within its time did so, however late its engine heard of it.
    pub(crate) fn outcome_as_asked(
        &self,
        session: u64,
        end: &SessionEnd,
        asked: Option<StopCause>,
        now: &Now,
    ) -> SessionOutcome {
        use SessionOutcome::{Cancelled, Failure, Success, Timeout};
        let live = || self.sessions().get(session);
        let overdue = || live().is_some_and(|live| live.deadline <= now.at);
        let was_in_time = || {
            let allowed =
                live().map(|live| Duration::from_nanos(live.deadline.since(live.bound_at)));
            end.ran.zip(allowed).is_some_and(|(ran, allowed)| ran < allowed)
        };
        match (asked, end.outcome) {
            (Some(StopCause::Timeout), said @ (Success | Failure)) if was_in_time() => said,
            (Some(StopCause::Timeout), Success | Failure | Cancelled) => Timeout,
            (Some(StopCause::Ending), Failure) => Cancelled,
            // A nested coordination that was cancelled for its time before a restart, which forgets
            // who was asked.
            (None, Cancelled) if overdue() => Timeout,
            (_, said) => said,
        }
    }

    /// The event that ends a session.
    ///
    /// # Errors
    /// [`TerminationError::SessionNotBound`] if it is not bound.
    pub fn decide_unbinding(
        &self,
        session: u64,
        end: SessionEnd,
        now: &Now,
    ) -> Result<SessionUnbound, TerminationError> {
        let (binding, item) = self.bound(session)?;
        let (outcome, sequel) = self.verdict_of(item, end.outcome, end.tree.as_deref());
        let then = match sequel {
            Sequel::Succeed => NextStep::Done(WorkItemOutcome::Succeeded),
            Sequel::Fail => NextStep::Done(WorkItemOutcome::Failed),
            Sequel::LeaveOut => NextStep::Done(WorkItemOutcome::Skipped(SkipReason::Rule)),
            Sequel::Wait(until) => NextStep::Wait(until),
            Sequel::Hold => NextStep::Hold,
            Sequel::Retry if outcome.is_attempt() => {
                NextStep::Retry(now.at.after(back_off(item, session, now)))
            }
            Sequel::Retry => NextStep::Retry(now.at),
        };
        let used = self.used(binding, &end, now);
        let given = end.scores.len();
        let scores: BTreeMap<String, i64> = end
            .scores
            .into_iter()
            .filter(|(name, _)| is_score_name(name))
            .take(MAX_SCORES)
            .collect();
        let left_out = (scores.len() < given).then(|| scores_left_out(given - scores.len()));
        let texts: Vec<String> = left_out.into_iter().chain(end.text).collect();
        Ok(SessionUnbound {
            session,
            work: item.id().clone(),
            outcome,
            text: (!texts.is_empty()).then(|| shortened(texts.join("; "), MAX_TEXT_BYTES)),
            used,
            scores,
            output: end.output,
            then,
            tree: end.tree,
        })
    }

    /// What a session used: as reported, else in proportion to its time, marked as an estimate.
    fn used(&self, binding: &Binding, end: &SessionEnd, now: &Now) -> Usage {
        let spent = ticks(now.at.since(binding.bound_at), self.budget().tick_rate_hz());
        let report = match end.reported {
            Some(report) => report,
            // What never started has used nothing.
            None if end.outcome == SessionOutcome::SpawnFailed => Report::default(),
            None => Report {
                tokens_charge: Charge::ByTime,
                cost_charge: Charge::ByTime,
                ..Report::default()
            },
        };
        let grant = &binding.grant;
        let ran = end.ran.map(|ran| {
            let nanos = u64::try_from(ran.as_nanos()).unwrap_or(u64::MAX);
            ticks(nanos, self.budget().tick_rate_hz())
        });
        let (spent, took) = match (ran, end.outcome) {
            // The time of the ledger stood while it had no engine.
            (Some(ran), SessionOutcome::Lost) => (spent, spent.max(ran)),
            // It had to wait to be started, or its engine was suspended.
            (Some(ran), _) => (spent.min(ran), spent.min(ran)),
            (None, _) => (spent, spent),
        };
        // Against the time of the run and not against its own: one that hung for its whole second
        // has not used up what is left of the run.
        let whole = grant.ticks.max(self.budget().max_duration_ticks());
        let share = |granted: u64| {
            let part = u128::from(granted) * u128::from(took.min(whole));
            u64::try_from(part.div_ceil(u128::from(whole.max(1)))).unwrap_or(u64::MAX)
        };
        let charged = |figure: u64, charge: Charge, granted: Option<u64>| {
            let granted = granted.unwrap_or(0);
            figure.max(match charge {
                Charge::AsReported => 0,
                Charge::ByTime => share(granted),
                Charge::AtLeastGrant => granted,
            })
        };
        let tokens = charged(report.tokens, report.tokens_charge, grant.tokens);
        let cost = charged(report.cost, report.cost_charge, grant.cost);
        Usage {
            sessions: report.sessions.clamp(1, grant.sessions),
            ticks: spent,
            tokens,
            cache_tokens: report.cache_tokens,
            cost,
            estimated: report.estimated || tokens > report.tokens || cost > report.cost,
        }
    }

    /// Whether a recorded end follows on this state.
    pub(in crate::coordination) fn check_unbound(
        &self,
        unbound: &SessionUnbound,
    ) -> Result<(), IllegalUnbinding> {
        let (binding, item) = self.bound(unbound.session)?;
        if *item.id() != unbound.work {
            return Err(IllegalUnbinding::OtherWork {
                session: unbound.session,
                actual: item.id().clone(),
                claimed: unbound.work.clone(),
            });
        }
        let (outcome, sequel) = self.verdict_of(item, unbound.outcome, unbound.tree.as_deref());
        let undecidable = self.route().is_some() && !outcome.is_attempt();
        if undecidable || outcome != unbound.outcome || !sequel.is(&unbound.then) {
            return Err(IllegalUnbinding::NextStep {
                outcome: unbound.outcome,
                then: unbound.then.clone(),
            });
        }
        let (used, granted) = (unbound.used.sessions, binding.grant.sessions);
        if used == 0 || used > granted {
            return Err(IllegalUnbinding::Used { used, granted });
        }
        Ok(())
    }
}

/// How long an item waits after a failed attempt, in nanoseconds.
fn back_off(item: &WorkItem, session: u64, now: &Now) -> u64 {
    let Some(backoff) = &item.spec().backoff else { return 0 };
    let mut chance = [0; 8];
    chance.copy_from_slice(&now.random[..8]);
    // Several sessions may end at one moment; their numbers keep their jitter apart.
    let turn = u32::try_from(session % 64).unwrap_or(0);
    backoff.wait_ns(item.attempts() + 1, u64::from_be_bytes(chance).rotate_left(turn))
}

/// Whether a score may have this name. As JSON a control character takes six bytes, with which the
/// event might not fit its payload.
fn is_score_name(name: &str) -> bool {
    name.len() <= MAX_SCORE_NAME_BYTES && !name.chars().any(char::is_control)
}
