//! A plan that is to be run: compiled and handed to the engine.

use std::collections::BTreeMap;
use std::sync::Arc;

use antiphon::Engine;
use antiphon::coordination::ConfigError;
use antiphon::id::{CommandId, CoordinationId};
use antiphon::plan::Compiled;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;

use super::record::head;
use super::sent_plan::SentPlan;
use crate::answer::{Answer, ask, json};
use crate::api::{Code, Problem, SubmitAnswer};
use crate::path::run_path;
use crate::request::{Fields, IdempotencyKey, JsonBody, Operator};
use crate::state::Shared;

pub(super) async fn submit(
    State(shared): State<Arc<Shared>>,
    _: Operator,
    IdempotencyKey(key): IdempotencyKey,
    JsonBody(body): JsonBody,
) -> Answer {
    let (id, plan) = read(body, key.as_ref())?;
    let is_there = head(&shared, &id).await.is_ok();
    let plan = Arc::new(if is_there { plan.continuing() } else { plan });
    let compiled = {
        // The thread may outlive the server: it holds what it needs, and not the engine.
        let plan = Arc::clone(&plan);
        shared.compilers().run(plan.bytes(), move |wanted| plan.compile(wanted)).await?
    };
    let Compiled { config, blobs, secrets: needed, .. } = compiled;
    // Some of them are not taken for all: what needs secrets waits for the others.
    let some = plan.lacks_secrets(&needed).then(|| plan.given.secrets.clone());
    let all = if some.is_some() { BTreeMap::new() } else { plan.given.secrets.clone() };
    let config = config.with_id(id.as_str()).map_err(refused)?;
    let submitted =
        antiphon::Submission::new(config).with_inputs(blobs).with_secrets(all).with_command(key);
    let submitted = ask(&shared, shared.engine().submit_or_find(submitted)).await;
    // What is not the same as before is quoted from the plan.
    let submitted = submitted.map_err(|error| {
        let problem = Problem::from(error);
        Problem { detail: plan.redacted(problem.detail.clone()), ..problem }
    })?;
    if let Some(some) = some {
        ask(&shared, shared.run(&id)?.hold_secrets(some)).await?;
    }
    let existing = matches!(submitted, antiphon::Submitted::Existing(_));
    let response = json(status(existing), &SubmitAnswer { id: id.to_string(), existing })?;
    Ok(located(response, &id))
}

/// The kernel does not take a configuration.
pub(super) fn refused(error: ConfigError) -> Problem {
    Problem::new(Code::Refused, error.to_string())
}

/// The status of an answer that tells of a run that was submitted.
pub(super) fn status(existing: bool) -> StatusCode {
    if existing { StatusCode::OK } else { StatusCode::CREATED }
}

/// The same answer with where the run is found.
pub(super) fn located(mut response: Response, id: &CoordinationId) -> Response {
    if let Ok(location) = HeaderValue::try_from(run_path(id.as_str(), "")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// The id that a body chooses.
pub(super) fn chosen(body: &mut Fields) -> Option<CoordinationId> {
    let text = body.optional_text("id")?;
    CoordinationId::chosen(&text)
        .map_err(|error| body.fault("/id".to_owned(), error.to_string()))
        .ok()
}

/// The plan with its id: the one that was asked for, else the key, so that the same submission again
/// finds the first, else a new one.
fn read(mut body: Fields, key: Option<&CommandId>) -> Result<(CoordinationId, SentPlan), Problem> {
    let plan = SentPlan::read(&mut body);
    let id = chosen(&mut body);
    body.finish()?;
    let id = match (id, key) {
        (Some(id), _) => id,
        (None, Some(key)) => CoordinationId::chosen(key.as_str()).map_err(|error| {
            let detail = format!("without an `id` the Idempotency-Key is the id, but {error}");
            Problem::new(Code::InvalidRequest, detail)
        })?,
        (None, None) => Engine::mint(),
    };
    Ok((id, plan))
}
