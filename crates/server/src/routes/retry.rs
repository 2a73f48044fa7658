//! A run that has ended and is to be carried out again: decided on the threads of the compilers,
//! once, and submitted as a run of its own.

use std::sync::Arc;

use antiphon::id::{CommandId, CoordinationId, StreamName, Version};
use antiphon::plan::Environment;
use antiphon::retry::{Prepared, Retried, RetryRequest};
use antiphon::world::Rejection;
use antiphon::{SubmitError, Submitted, Unavailable};
use axum::extract::State;

use super::record::head;
use super::sent_plan::{Given, SentPlan};
use super::submission::{chosen, located, refused, status};
use crate::answer::{Answer, ask, json};
use crate::api::{Code, Problem, RetryAnswer};
use crate::request::{Addressed, Fields, IdempotencyKey, JsonBody, Operator};
use crate::state::Shared;

/// How often the next free id is looked for again where another run has just taken it.
const TRIES: usize = 8;

/// What deciding about an item takes, by what a plan of so many bytes takes.
const ITEM_BYTES: usize = 64;

struct Wanted {
    plan: Result<SentPlan, Given>,
    items: Vec<String>,
    failed: bool,
    id: Option<CoordinationId>,
}

pub(super) async fn retry(
    State(shared): State<Arc<Shared>>,
    _: Operator,
    target: Addressed,
    IdempotencyKey(key): IdempotencyKey,
    JsonBody(body): JsonBody,
) -> Answer {
    let wanted = Arc::new(Wanted::read(body)?);
    let retried = Arc::new(retried(&shared, target.id()).await?);
    let prepared = {
        let (wanted, retried) = (Arc::clone(&wanted), Arc::clone(&retried));
        let bytes = match &wanted.plan {
            Ok(plan) => plan.bytes(),
            Err(_) => retried.run().items.len() * ITEM_BYTES,
        };
        let prepare = move |compile: &antiphon::plan::Wanted| wanted.prepare(&retried, compile);
        shared.compilers().run(bytes, prepare).await?
    };
    let (id, existing) = submit(&shared, target.id(), &wanted, &prepared, key).await?;
    let forerunner = target.id().to_string();
    let answer = RetryAnswer::new(id.to_string(), forerunner, existing, &prepared);
    Ok(located(json(status(existing), &answer)?, &id))
}

/// What the decision rests on, if the run can be retried.
async fn retried(shared: &Shared, id: &CoordinationId) -> Result<Retried, Problem> {
    if let Some(parent) = head(shared, id).await?.run_summary()?.parent {
        let above = parent.coordination;
        let detail = format!(
            "run {id} carries out an item of {above}; retry {above}, which goes into its nested plans"
        );
        return Err(Problem::new(Code::WrongState, detail));
    }
    let detail = || {
        format!(
            "run {id} has not ended; `antiphon resume {id}` continues it, and `antiphon cancel \
                 {id}` ends it"
        )
    };
    shared.run(id)?.retried().await?.ok_or_else(|| Problem::new(Code::NotEnded, detail()))
}

/// Submits it under the id that was asked for, else under the one that an earlier request with the
/// same key has, else under the next free one.
async fn submit(
    shared: &Shared,
    forerunner: &CoordinationId,
    wanted: &Wanted,
    prepared: &Prepared,
    key: Option<CommandId>,
) -> Result<(CoordinationId, bool), Problem> {
    let mut tries = 0;
    loop {
        tries += 1;
        let id = match &wanted.id {
            Some(id) => id.clone(),
            None => next(shared, forerunner, key.as_ref()).await?,
        };
        let config = prepared.config.clone().with_id(id.as_str()).map_err(refused)?;
        let submission = antiphon::Submission::new(config)
            .with_inputs(prepared.inputs.iter().cloned())
            .with_command(key.clone());
        match timely(shared, submission).await? {
            Err(SubmitError::Rejected(Rejection::Conflict { .. }))
                if wanted.id.is_none() && tries < TRIES => {}
            Err(error) => return Err(error.into()),
            Ok(submitted) => {
                // Some of them are not taken for all: what needs secrets waits for the others.
                let secrets = wanted.secrets().clone();
                ask(shared, shared.run(&id)?.hold_secrets(secrets)).await?;
                return Ok((id, matches!(submitted, Submitted::Existing(_))));
            }
        }
    }
}

/// Submits within the time that a client is given, and tells a refusal apart from no answer.
async fn timely(
    shared: &Shared,
    submission: antiphon::Submission,
) -> Result<Result<Submitted, SubmitError>, Problem> {
    let submitted =
        async { Ok::<_, Unavailable>(shared.engine().submit_or_find(submission).await) };
    Ok(ask(shared, submitted).await?)
}

/// The next free id after that of a run, unless a request with this key has started a retry of it
/// before.
async fn next(
    shared: &Shared,
    forerunner: &CoordinationId,
    key: Option<&CommandId>,
) -> Result<CoordinationId, Problem> {
    let found = shared.engine().repetition(forerunner).await??;
    let Some(key) = key else { return Ok(found.next) };
    for head in found.before.into_iter().rev() {
        let StreamName::Coordination(id) = head.stream else { continue };
        let first = shared.run(&id)?.events(Version(0), 1).await?;
        if first.first().is_some_and(|event| event.cause.as_ref() == Some(key)) {
            return Ok(id);
        }
    }
    Ok(found.next)
}

impl Wanted {
    fn read(mut body: Fields) -> Result<Self, Problem> {
        let plan = SentPlan::read_for_retry(&mut body);
        let (items, failed) = (body.list("items"), body.flag("failed"));
        if failed && !items.is_empty() {
            body.fault("/items".to_owned(), "`items` and `failed` exclude each other");
        }
        let id = chosen(&mut body);
        body.finish()?;
        Ok(Self { plan, items, failed, id })
    }

    fn secrets(&self) -> &std::collections::BTreeMap<String, String> {
        match &self.plan {
            Ok(plan) => &plan.given.secrets,
            Err(given) => &given.secrets,
        }
    }

    fn prepare(
        &self,
        retried: &Retried,
        wanted: &antiphon::plan::Wanted,
    ) -> Result<Prepared, Problem> {
        let compiled = self.plan.as_ref().ok().map(|plan| plan.compile(wanted)).transpose()?;
        let (items, only_failed) = (self.items.as_slice(), self.failed);
        let environment = match &self.plan {
            Err(given) if !given.environment.is_empty() => {
                Some(Environment::Of(given.environment.clone()))
            }
            _ => None,
        };
        let environment = environment.as_ref();
        let request = RetryRequest { plan: compiled.as_ref(), environment, items, only_failed };
        Ok(retried.prepare(&request)?)
    }
}
