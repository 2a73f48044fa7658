//! Nested coordinations: started with their parent's binding, cancelled with it, and reported to
//! it.

use super::World;
use super::command::Rejection;
use super::{engine, stamp};
use crate::coordination::event::{CoordinationEvent, StopKind, StopRequested};
use crate::coordination::{
    AbortReason, ControllerError, Coordination, CoordinationBudget, CoordinationConfig, End,
    Ending, MAX_DEPTH, ParentStop, Report, SessionEnd, SessionOutcome, StopCause, Verdict,
};
use crate::id::{CoordinationId, SessionId, WorkId};
use crate::time::Now;

/// Answers an expansion: binds the parent's item and starts the child, in one turn.
pub(super) fn expanded(
    world: &mut World,
    parent: &CoordinationId,
    work: &WorkId,
    config: Result<CoordinationConfig, String>,
    now: &Now,
) -> Result<(), Rejection> {
    let runners = world.runners.clone();
    let member = world.member(parent)?;
    if !member.is_expanding(work.as_str()) {
        let state = member.state().known_work(work.as_str())?.state.as_str();
        let instead = "nobody asked for its configuration";
        return Err(
            ControllerError::WorkNotClaimable { work_id: work.clone(), state, instead }.into()
        );
    }
    member.live.refuse_regression(now)?;
    member.expanded(work);
    world.restless.insert(parent.clone());
    let member = world.member(parent)?;
    // The item may have been skipped, or the coordination paused or ended, while its configuration
    // was fetched.
    let Ok(bound) = member.state().decide_nested(work.as_str(), &runners, now) else {
        return Ok(());
    };
    let session = member.state();
    let (number, grant) = (bound.session, bound.grant);
    let (depth, rate) = (session.started().depth, session.budget().tick_rate_hz());
    let (child_session, secrets) = (session.session_id(number), session.has_secrets());
    member.live.record(&CoordinationEvent::SessionBound(bound), stamp(now, &engine()))?;
    world.collect(parent);
    let started = config.and_then(|config| {
        if depth >= MAX_DEPTH {
            return Err(
                ControllerError::TooDeep { work_id: work.clone(), max: MAX_DEPTH }.to_string()
            );
        }
        let id = child_session.nested_coordination().map_err(|error| error.to_string())?;
        let config = config.within(&grant, rate);
        let begun = world.begin(
            id.clone(),
            config,
            Some((child_session.clone(), depth + 1)),
            &engine(),
            None,
            now,
        );
        if secrets {
            world.hold_secrets(&id);
        }
        begun.map_err(|error| error.to_string())
    });
    if let Err(reason) = started {
        let end = SessionEnd::new(SessionOutcome::SpawnFailed).with_text(reason);
        let member = world.member(parent)?;
        member.unbind(number, end, None, stamp(now, &engine()))?;
        world.collect(parent);
    }
    Ok(())
}

/// Nobody raises a nested coordination above what its session was granted.
pub(super) fn refuse_above_grant(
    world: &World,
    session: &Coordination,
    budget: &CoordinationBudget,
) -> Result<(), ControllerError> {
    let Some(parent) = &session.started().parent else { return Ok(()) };
    let granted = world.coordination(&parent.coordination).and_then(|above| {
        let (binding, _) = above.binding(parent.number)?;
        Some(budget.within(&binding.grant, above.budget().tick_rate_hz()))
    });
    if granted.as_ref() == Some(budget) {
        Ok(())
    } else {
        Err(ControllerError::AboveGrant { session_id: parent.clone() })
    }
}

/// Cancels the coordination that carries out a session.
pub(super) fn cancel(world: &mut World, session: &SessionId, cause: StopCause, now: &Now) {
    let Ok(child) = session.nested_coordination() else { return };
    let Some(member) = world.members.get_mut(&child) else { return };
    let already = member.state().stop_request();
    if already.is_some_and(|stop| stop.kind == StopKind::Cancel) {
        return;
    }
    let parent = Some(match cause {
        StopCause::Timeout => ParentStop::TimedOut,
        StopCause::Ending => ParentStop::Ending,
    });
    let request =
        StopRequested { kind: StopKind::Cancel, by: engine(), reason: String::new(), parent };
    if member.live.record(&CoordinationEvent::StopRequested(request), stamp(now, &engine())).is_ok()
    {
        world.draft.collect(&mut member.live);
        world.restless.insert(child);
    }
}

/// Ends the parent's session as the child ended, and charges the parent what the child used.
pub(super) fn child_ended(world: &mut World, parent: &SessionId, end: &End, now: &Now) {
    let Some(member) = world.members.get_mut(&parent.coordination) else { return };
    let usage = &end.receipt.budget_usage;
    let outcome = match (end.receipt.verdict, &end.receipt.ending) {
        (Verdict::Succeeded, _) => SessionOutcome::Success,
        (
            Verdict::Aborted,
            Ending::Aborted(AbortReason::Error { .. } | AbortReason::StartCutOff),
        ) => SessionOutcome::Lost,
        (Verdict::Aborted, _) => SessionOutcome::Cancelled,
        (Verdict::Partial | Verdict::Failed, _) => SessionOutcome::Failure,
    };
    let ended = SessionEnd {
        outcome,
        text: Some(format!("{}: {}", end.receipt.coordination_id, end.receipt.verdict)),
        reported: Some(Report {
            sessions: usage.consumed_episodes(),
            tokens: usage.consumed_tokens(),
            cache_tokens: usage.consumed_cache_tokens(),
            cost: usage.consumed_cost(),
            estimated: usage.is_estimated(),
        }),
        output: Some(end.receipt_hash),
        scores: std::collections::BTreeMap::new(),
        tree: None,
    };
    if member.unbind(parent.number, ended, None, stamp(now, &engine())).is_ok() {
        world.draft.collect(&mut member.live);
        world.restless.insert(parent.coordination.clone());
    }
}
