//! Contexts of the agents of a run: distributed, updated together, deleted and read.

use std::collections::BTreeMap;
use std::sync::Arc;

use antiphon::contexts::{ContextError, IntelligenceUpdate};
use antiphon::id::AgentId;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Map, Value};

use super::accepted::accepted;
use crate::answer::{Answer, Unanswered, ask, json};
use crate::api::{BodyError, Code, Context, ContextList, Problem};
use crate::request::{Addressed, Fields, IdempotencyKey, JsonBody, Operator, pointer};
use crate::state::Shared;

pub(super) async fn distribute(
    State(shared): State<Arc<Shared>>,
    _: Operator,
    target: Addressed,
    IdempotencyKey(key): IdempotencyKey,
    JsonBody(mut body): JsonBody,
) -> Answer {
    let given: Option<BTreeMap<String, Value>> = object(&mut body, "contexts");
    let mut contexts = Vec::new();
    for (name, context) in given.unwrap_or_default() {
        let agent = agent(&mut body, pointer("contexts", &name), &name);
        contexts.extend(agent.map(|agent| (agent, context)));
    }
    body.finish()?;
    let distributed = shared.run(target.id())?.command(key).contexts();
    let answer = ask(&shared, distributed.distribute(contexts)).await;
    accepted(&shared, target.id(), answer).await
}

pub(super) async fn update(
    State(shared): State<Arc<Shared>>,
    _: Operator,
    target: Addressed,
    IdempotencyKey(key): IdempotencyKey,
    JsonBody(mut body): JsonBody,
) -> Answer {
    let field = body.text("field");
    let data: Option<Map<String, Value>> = object(&mut body, "data");
    let agents = agents(&mut body);
    let counts = !body.flag("same_version");
    body.finish()?;
    let update = IntelligenceUpdate { field, data: data.unwrap_or_default(), agents, counts };
    let contexts = shared.run(target.id())?.command(key).contexts();
    let answer = ask(&shared, contexts.update(&update)).await;
    accepted(&shared, target.id(), answer).await
}

pub(super) async fn delete(
    State(shared): State<Arc<Shared>>,
    _: Operator,
    target: Addressed,
    IdempotencyKey(key): IdempotencyKey,
    JsonBody(mut body): JsonBody,
) -> Answer {
    let agents = agents(&mut body);
    body.finish()?;
    let contexts = shared.run(target.id())?.command(key).contexts();
    let answer = ask(&shared, contexts.delete(agents.as_deref())).await;
    accepted(&shared, target.id(), answer).await
}

pub(super) async fn list(State(shared): State<Arc<Shared>>, target: Addressed) -> Answer {
    let contexts = shared.run(target.id())?.contexts();
    let agents = ask(&shared, contexts.agents()).await?;
    let agents = agents.iter().map(ToString::to_string).collect();
    json(StatusCode::OK, &ContextList { run: target.id().to_string(), agents })
}

pub(super) async fn context(State(shared): State<Arc<Shared>>, target: Addressed) -> Answer {
    let agent = AgentId::new(target.part("agent"))
        .map_err(|error| Problem::new(Code::InvalidRequest, error.to_string()))?;
    let contexts = shared.run(target.id())?.contexts();
    let Some(found) = ask(&shared, contexts.get(&agent)).await? else {
        return Err(ContextError::UnknownAgent { agent }.into());
    };
    let (run, agent) = (target.id().to_string(), agent.to_string());
    json(StatusCode::OK, &Context { run, agent, context: found.members().clone() })
}

/// An object that must be there.
fn object<T: serde::de::DeserializeOwned>(body: &mut Fields, field: &str) -> Option<T> {
    let read = body.raw(field).and_then(|raw| serde_json::from_str(raw.get()).ok());
    if read.is_none() {
        body.fault(format!("/{field}"), format!("`{field}` must be an object"));
    }
    read
}

/// The agents that are meant, if not all.
fn agents(body: &mut Fields) -> Option<Vec<AgentId>> {
    let named: Vec<String> = match serde_json::from_str(body.raw("agents")?.get()) {
        Ok(named) => named,
        Err(_) => {
            body.fault("/agents".to_owned(), "`agents` must be a list of strings");
            return None;
        }
    };
    let named = named.iter().enumerate();
    Some(named.filter_map(|(at, name)| agent(body, format!("/agents/{at}"), name)).collect())
}

fn agent(body: &mut Fields, pointer: String, name: &str) -> Option<AgentId> {
    AgentId::new(name).map_err(|error| body.fault(pointer, error.to_string())).ok()
}

impl From<ContextError> for Unanswered {
    fn from(error: ContextError) -> Self {
        match error {
            ContextError::Ask(error) => error.into(),
            ContextError::Query(error) => error.into(),
            error => Self::Problem(error.into()),
        }
    }
}

impl From<ContextError> for Problem {
    fn from(error: ContextError) -> Self {
        let detail = error.to_string();
        match error {
            ContextError::UnknownAgent { .. } => Self::new(Code::UnknownContext, detail),
            ContextError::NotAContext { agent, faults } => {
                let at = pointer("contexts", agent.as_str());
                let errors = faults.into_iter().map(|fault| BodyError {
                    detail: fault.detail,
                    pointer: Some(format!("{at}{}", fault.pointer)),
                    ..BodyError::default()
                });
                let detail = format!("what agent {agent} is given is no context");
                Self::new(Code::InvalidBody, detail).with_errors(errors.collect())
            }
            ContextError::UnknownField { .. } => Self::new(Code::InvalidBody, detail),
            _ => Self::new(Code::Internal, detail),
        }
    }
}
