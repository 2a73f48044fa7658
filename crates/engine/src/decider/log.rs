//! What an operator reads in the log of what is recorded: the engine, runs and sessions as they come and
//! go. Texts that sessions or people have written are not in it.

use antiphon_core::envelope::Recorded;
use antiphon_core::event::{AggregateEvent as _, CoordinationEvent, LedgerEvent};
use antiphon_core::id::{CoordinationId, SessionId, StreamName};
use tracing::Level;

/// The events that are logged, of all that a turn records; none where nobody reads them.
pub(super) fn logged(events: &[Recorded]) -> Vec<Recorded> {
    if !tracing::enabled!(Level::INFO) {
        return Vec::new();
    }
    events.iter().filter(|event| is_logged(&event.kind)).cloned().collect()
}

fn is_logged(kind: &str) -> bool {
    !matches!(
        kind,
        "coordination.work_added"
            | "coordination.work_skipped"
            | "coordination.session_cleared"
            | "coordination.signalled"
            | "coordination.key_set"
            | "coordination.routed"
            | "coordination.asked"
            | "coordination.answered"
    )
}

/// Logs events that have become durable.
pub(super) fn log(events: &[Recorded]) {
    for event in events {
        match &event.stream {
            StreamName::Ledger => log_of_ledger(event),
            StreamName::Coordination(run) => log_of_run(run, event),
            _ => {}
        }
    }
}

fn log_of_ledger(event: &Recorded) {
    match LedgerEvent::of(event) {
        Ok(LedgerEvent::Opened(opened)) => {
            let (epoch, engine) = (opened.epoch.0, opened.engine);
            tracing::info!(epoch, engine, "engine opened");
        }
        Ok(LedgerEvent::Closed(_)) => tracing::info!("engine closed"),
        Ok(LedgerEvent::Erased(_)) => tracing::info!("payloads erased"),
        Ok(_) | Err(_) => {}
    }
}

fn log_of_run(run: &CoordinationId, event: &Recorded) {
    let session = |number| SessionId { coordination: run.clone(), number };
    // What cannot be read is told by whoever reads it for more than the log.
    let Ok(read) = CoordinationEvent::of(event) else { return };
    match read {
        CoordinationEvent::Started(_) => tracing::info!(%run, "run started"),
        CoordinationEvent::Resumed(_) => tracing::info!(%run, "run taken up"),
        CoordinationEvent::Interrupted(_) => tracing::info!(%run, "run interrupted"),
        CoordinationEvent::Paused(_) => tracing::info!(%run, "run paused"),
        CoordinationEvent::Continued(_) => tracing::info!(%run, "run continued"),
        CoordinationEvent::BudgetRaised(_) => tracing::info!(%run, "budget raised"),
        CoordinationEvent::StopRequested(_) => tracing::info!(%run, "run asked to end"),
        CoordinationEvent::Completed(completed) => {
            tracing::info!(%run, verdict = %completed.verdict, "run ended");
        }
        CoordinationEvent::Aborted(_) => tracing::info!(%run, verdict = "aborted", "run ended"),
        CoordinationEvent::SessionBound(bound) => {
            let session = session(bound.session);
            let (item, attempt) = (bound.work, bound.attempt);
            tracing::info!(%run, %session, %item, attempt, "session started");
        }
        CoordinationEvent::SessionUnbound(unbound) => {
            let session = session(unbound.session);
            let item = unbound.work;
            let outcome = serde_json::to_value(unbound.outcome).unwrap_or_default();
            let outcome = outcome.as_str();
            tracing::info!(%run, %session, %item, outcome, "session ended");
        }
        CoordinationEvent::WriteRefused(refused) => {
            let session = session(refused.session);
            tracing::warn!(%run, %session, "a session without a valid fence tried to write");
        }
        _ => {}
    }
}
