//! Commands to a run in progress: cancel, drain, close, pause, continue, interrupt, resume.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use antiphon::coordination::Raise;
use axum::extract::State;
use axum::routing::{MethodRouter, post};

use super::accepted::accepted;
use super::sent_plan::secrets;
use crate::answer::{Answer, ask};
use crate::api::{self, Steer};
use crate::request::{Addressed, Fields, IdempotencyKey, JsonBody, Operator};
use crate::state::Shared;

/// Takes a command that needs nothing but a reason.
pub(super) fn steered(how: Steer) -> MethodRouter<Arc<Shared>> {
    post(
        move |state: State<Arc<Shared>>,
              _: Operator,
              target: Addressed,
              key: IdempotencyKey,
              body: JsonBody| steer(state, how, target, key, body),
    )
}

async fn steer(
    State(shared): State<Arc<Shared>>,
    how: Steer,
    target: Addressed,
    key: IdempotencyKey,
    JsonBody(mut body): JsonBody,
) -> Answer {
    let reason = body.optional_text("reason").unwrap_or_else(|| without_reason(how).to_owned());
    let secrets = match how {
        Steer::Resume => secrets(&mut body),
        _ => BTreeMap::new(),
    };
    body.finish()?;
    let command = shared.run(target.id())?.command(key.0);
    let answer = match how {
        Steer::Cancel => ask(&shared, command.cancel(reason)).await,
        Steer::Drain => ask(&shared, command.drain(reason)).await,
        Steer::Close => ask(&shared, command.close(reason)).await,
        Steer::Pause => ask(&shared, command.pause(reason)).await,
        Steer::Interrupt => ask(&shared, command.interrupt(reason)).await,
        Steer::InterruptNow => ask(&shared, command.interrupt_now(reason)).await,
        Steer::Resume => ask(&shared, command.resume_with(secrets)).await,
    };
    accepted(&shared, target.id(), answer).await
}

pub(super) async fn go_on(
    State(shared): State<Arc<Shared>>,
    _: Operator,
    target: Addressed,
    IdempotencyKey(key): IdempotencyKey,
    JsonBody(mut body): JsonBody,
) -> Answer {
    let raise = asked(&read(&mut body));
    body.finish()?;
    let command = shared.run(target.id())?.command(key);
    let answer = ask(&shared, command.unpause_with(raise)).await;
    accepted(&shared, target.id(), answer).await
}

fn read(body: &mut Fields) -> api::RaiseRequest {
    api::RaiseRequest {
        sessions: body
            .number("sessions", u32::MAX.into())
            .and_then(|sessions| u32::try_from(sessions).ok()),
        duration_ms: body.number("duration_ms", u64::MAX / 1_000_000),
        tokens: body.number("tokens", i64::MAX as u64),
        cost: body.number("cost", i64::MAX as u64),
    }
}

/// What the engine is asked to raise.
fn asked(raise: &api::RaiseRequest) -> Raise {
    let mut asked = Raise::new();
    if let Some(total) = raise.sessions {
        asked = asked.sessions(total);
    }
    if let Some(ms) = raise.duration_ms {
        asked = asked.within(Duration::from_millis(ms));
    }
    if let Some(total) = raise.tokens {
        asked = asked.tokens(total);
    }
    if let Some(total) = raise.cost {
        asked = asked.cost(total);
    }
    asked
}

/// What the record says where no reason was given.
fn without_reason(how: Steer) -> &'static str {
    match how {
        Steer::Cancel => "cancelled",
        Steer::Drain => "drained",
        Steer::Close => "closed",
        Steer::Pause => "paused",
        Steer::Interrupt | Steer::InterruptNow => "interrupted",
        // Nothing is recorded of it.
        Steer::Resume => "",
    }
}
