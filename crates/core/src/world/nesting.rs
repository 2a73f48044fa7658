//! Nested coordinations: kept below what their session was granted, cancelled with it, and reported
//! to their parent.

use super::World;
use crate::coordination::event::{CoordinationEvent, StopKind, StopRequested};
use crate::coordination::{
    AbortReason, Coordination, CoordinationBudget, End, Ending, ParentStop, RaiseError, Report,
    SessionEnd, SessionOutcome, StopCause, Verdict,
};
use crate::id::{Actor, SessionId};
use crate::live::Stamp;
use crate::time::Now;

impl World {
    /// A nested coordination is never raised above what its session was granted.
    ///
    /// This guard is asked when a raise is decided and never again: the grant is in the parent's
    /// stream, and a recorded event is checked against its own stream alone.
    pub(super) fn refuse_above_grant(
        &self,
        state: &Coordination,
        budget: &CoordinationBudget,
    ) -> Result<(), RaiseError> {
        let Some(parent) = &state.started().parent else { return Ok(()) };
        let granted = self.coordination(&parent.coordination).and_then(|above| {
            let (binding, _) = above.binding(parent.number)?;
            budget.within(&binding.grant, above.budget().tick_rate_hz()).ok()
        });
        if granted.as_ref() == Some(budget) {
            Ok(())
        } else {
            Err(RaiseError::AboveGrant { session_id: parent.clone() })
        }
    }

    /// Cancels the coordination that carries out a session.
    pub(super) fn cancel_nested(&mut self, session: &SessionId, cause: StopCause, now: &Now) {
        let Ok(child) = session.nested_coordination() else { return };
        // Time that went back refuses it for now, like everything else.
        if self.note_who_carries(&child, now).is_err() {
            return;
        }
        let Some(member) = self.members.get_mut(&child) else { return };
        let already = member.state().stop_request();
        if already.is_some_and(|stop| stop.kind == StopKind::Cancel) {
            return;
        }
        let parent = Some(match cause {
            StopCause::Timeout => ParentStop::TimedOut,
            StopCause::Ending => ParentStop::Ending,
        });
        let request = StopRequested {
            kind: StopKind::Cancel,
            by: Actor::engine().clone(),
            reason: String::new(),
            parent,
        };
        if member.record(&CoordinationEvent::StopRequested(request), Stamp::by_engine(now)).is_ok()
        {
            member.hand_over(&mut self.draft);
            self.runnable.insert(child);
        }
    }

    /// Ends the parent's session as the child ended, and charges the parent what the child used.
    pub(super) fn child_ended(&mut self, parent: &SessionId, end: &End, now: &Now) {
        if self.note_who_carries(&parent.coordination, now).is_err() {
            return;
        }
        let Some(member) = self.members.get_mut(&parent.coordination) else { return };
        let usage = &end.receipt.budget_usage;
        let outcome = match (end.receipt.verdict, &end.receipt.ending) {
            (Verdict::Succeeded, _) => SessionOutcome::Success,
            (
                Verdict::Aborted,
                Ending::Aborted(AbortReason::Error { .. } | AbortReason::StartCutOff),
            ) => SessionOutcome::Lost,
            // Another attempt would find as little; each must count, or there would be no end of them.
            (Verdict::Aborted, Ending::Aborted(AbortReason::NoEligibleWork)) => {
                SessionOutcome::Failure
            }
            (Verdict::Aborted, _) => SessionOutcome::Cancelled,
            (Verdict::Partial | Verdict::Failed, _) => SessionOutcome::Failure,
        };
        let ended = SessionEnd {
            text: Some(format!("{}: {}", end.receipt.coordination_id, end.receipt.verdict)),
            reported: Some(Report {
                sessions: usage.consumed_episodes(),
                tokens: usage.consumed_tokens(),
                cache_tokens: usage.consumed_cache_tokens(),
                cost: usage.consumed_cost(),
                estimated: usage.is_estimated(),
                ..Report::default()
            }),
            output: Some(end.receipt_hash),
            ..SessionEnd::new(outcome)
        };
        if member.unbind(parent.number, ended, None, Stamp::by_engine(now)).is_ok() {
            member.hand_over(&mut self.draft);
            self.runnable.insert(parent.coordination.clone());
        }
    }
}
