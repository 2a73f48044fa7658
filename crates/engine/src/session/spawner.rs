//! The seed's blocking spawner as a runner of the engine.

use std::collections::BTreeMap;
use std::sync::Arc;

use antiphon_core::coordination::{Report, SessionOutcome, SessionSpawner, SpawnError};

use super::context::{Failed, Output, RunnerFn, SessionContext, SessionResult, boxed};

/// Carries sessions out by a spawner, on threads that may block.
pub(crate) fn adapted(spawner: Arc<dyn SessionSpawner>) -> RunnerFn {
    boxed(move |session: SessionContext| {
        let spawner = Arc::clone(&spawner);
        async move {
            let (id, work) = (session.session().to_string(), session.work().to_string());
            match tokio::task::spawn_blocking(move || carry_out(spawner.as_ref(), &id, &work)).await
            {
                Ok(result) => result,
                Err(_) => Err(Failed::because("the spawner panicked")),
            }
        }
    })
}

fn carry_out(spawner: &dyn SessionSpawner, session_id: &str, work_id: &str) -> SessionResult {
    if let Err(error) = spawner.spawn(session_id, work_id) {
        return Err(Failed::of(SessionOutcome::SpawnFailed, error.to_string()));
    }
    match spawner.observe_termination(session_id) {
        Ok(ended) => {
            let report = Some(Report { tokens: ended.tokens_consumed, ..Report::default() });
            match ended.outcome {
                SessionOutcome::Success => {
                    Ok(Output::recorded(None, None, report, BTreeMap::new()))
                }
                outcome => Err(Failed::of(outcome, "").with_report(report)),
            }
        }
        Err(error @ SpawnError::ObservationTimeout { .. }) => {
            Err(Failed::of(SessionOutcome::Timeout, error.to_string()))
        }
        Err(error) => Err(Failed::because(error.to_string())),
    }
}
