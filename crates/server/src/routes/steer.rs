//! Commands to a running coordination: cancel, drain, close, pause, continue.

use std::sync::Arc;

use antiphon::EngineError;
use antiphon::coordination::{ControllerError, CoordinationBudget};
use antiphon::event::StopKind;
use antiphon::id::{CommandId, CoordinationId, Version};
use antiphon::time;
use antiphon::world::{Command, Rejection, Reply};
use axum::extract::State;
use axum::http::StatusCode;

use super::{explained, head};
use crate::answer::{Answer, Asked, ask, json};
use crate::code::Code;
use crate::problem::Problem;
use crate::request::{Addressed, Fields, Key, Object, Operator};
use crate::server::Shared;
use crate::wire::{Accepted, Raise, Steer};

/// Newest events that a command's id is looked for in, once its coordination has ended.
const LOOKED_THROUGH: u64 = 20_000;

/// Events read at a time.
const PAGE: usize = 1_000;

pub(super) async fn cancel(
    state: State<Arc<Shared>>,
    _: Operator,
    target: Addressed,
    key: Key,
    body: Object,
) -> Answer {
    steer(state, Steer::Cancel, target, key, body).await
}

pub(super) async fn drain(
    state: State<Arc<Shared>>,
    _: Operator,
    target: Addressed,
    key: Key,
    body: Object,
) -> Answer {
    steer(state, Steer::Drain, target, key, body).await
}

pub(super) async fn close(
    state: State<Arc<Shared>>,
    _: Operator,
    target: Addressed,
    key: Key,
    body: Object,
) -> Answer {
    steer(state, Steer::Close, target, key, body).await
}

pub(super) async fn pause(
    state: State<Arc<Shared>>,
    _: Operator,
    target: Addressed,
    key: Key,
    body: Object,
) -> Answer {
    steer(state, Steer::Pause, target, key, body).await
}

async fn steer(
    State(shared): State<Arc<Shared>>,
    how: Steer,
    target: Addressed,
    key: Key,
    Object(mut body): Object,
) -> Answer {
    let reason = body.optional_text("reason").unwrap_or_else(|| how.without_reason().to_owned());
    body.finish()?;
    let coordination = target.id.clone();
    let command = match how {
        Steer::Cancel => Command::Stop { coordination, kind: StopKind::Cancel, reason },
        Steer::Drain => Command::Stop { coordination, kind: StopKind::Drain, reason },
        Steer::Close => Command::Stop { coordination, kind: StopKind::Close, reason },
        Steer::Pause => Command::Pause { coordination, reason },
    };
    carry_out(&shared, &target.id, command, key.0).await
}

pub(super) async fn go_on(
    State(shared): State<Arc<Shared>>,
    _: Operator,
    target: Addressed,
    Key(key): Key,
    Object(mut body): Object,
) -> Answer {
    let raise = read(&mut body);
    body.finish()?;
    let raise = match raise == Raise::default() {
        true => None,
        false => match ask(&shared, |engine| engine.budget(&target.id)).await {
            Ok(budget) => Some(raised(&budget, &raise)?),
            Err(asked) => return unless_repeated(&shared, &target.id, key.as_ref(), asked).await,
        },
    };
    let command = Command::Continue { coordination: target.id.clone(), raise };
    carry_out(&shared, &target.id, command, key).await
}

fn read(body: &mut Fields) -> Raise {
    Raise {
        sessions: body
            .number("sessions", u32::MAX.into())
            .and_then(|sessions| u32::try_from(sessions).ok()),
        duration_ms: body.number("duration_ms", u64::MAX / 1_000_000),
        tokens: body.number("tokens", i64::MAX as u64),
        cost: body.number("cost", i64::MAX as u64),
    }
}

/// The budget with the ceilings that were given. The engine refuses one that is lower than it was.
fn raised(budget: &CoordinationBudget, raise: &Raise) -> Result<CoordinationBudget, Problem> {
    let rate = budget.tick_rate_hz();
    let duration = raise
        .duration_ms
        .map_or(budget.max_duration_ticks(), |ms| time::ticks(ms * 1_000_000, rate));
    let sessions = raise.sessions.unwrap_or(budget.max_episodes());
    let refused = |detail: String| Problem::new(Code::Refused, detail);
    let new =
        CoordinationBudget::new(sessions, duration, rate, raise.tokens.or(budget.max_tokens()))
            .map_err(|error| refused(error.to_string()))?;
    match (raise.cost.or(budget.max_cost()), budget.currency()) {
        (Some(cost), Some(currency)) => Ok(new.with_max_cost(cost, currency)),
        (None, _) => Ok(new),
        (Some(_), None) => Err(refused(
            "the budget has no currency, and so no ceiling on cost that could be raised".to_owned(),
        )),
    }
}

async fn carry_out(
    shared: &Shared,
    id: &CoordinationId,
    command: Command,
    key: Option<CommandId>,
) -> Answer {
    match ask(shared, |engine| engine.command(command, key.clone())).await {
        Ok(Reply::Done { version }) => accepted(id, version),
        Ok(Reply::Existing { .. } | Reply::WriteRefused) => {
            Err(Problem::new(Code::Internal, "the engine gave an answer that is none to this"))
        }
        Err(asked) => unless_repeated(shared, id, key.as_ref(), asked).await,
    }
}

fn accepted(id: &CoordinationId, version: Version) -> Answer {
    json(StatusCode::OK, &Accepted { run: id.to_string(), version: version.0 })
}

/// A command that was carried out before its coordination ended gets its answer again; the record
/// has it.
async fn unless_repeated(
    shared: &Shared,
    id: &CoordinationId,
    key: Option<&CommandId>,
    asked: Asked,
) -> Answer {
    let is_over = matches!(
        &asked,
        Asked::Engine(EngineError::Rejected(
            Rejection::UnknownCoordination { .. }
                | Rejection::Refused(ControllerError::CoordinationTerminal { .. })
        ))
    );
    if let Some(key) = key.filter(|_| is_over)
        && let Ok(head) = head(shared, id).await
    {
        let mut after = Version(head.tip.version.0.saturating_sub(LOOKED_THROUGH));
        loop {
            let page = shared.engine.events(id, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.version;
            if let Some(event) = page.iter().find(|event| event.cause.as_ref() == Some(key)) {
                return accepted(id, event.version);
            }
        }
    }
    Err(explained(shared, id, asked).await)
}
