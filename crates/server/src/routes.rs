//! Every request that is answered: one file for each kind.

mod events;
mod health;
mod list;
mod receipt;
mod status;
mod steer;
mod submit;
mod why;

use std::sync::Arc;

use antiphon::id::{CoordinationId, StreamName};
use antiphon::ledger::HeadQuery;
use antiphon::world::Rejection;
use antiphon::{EngineError, append::HeadRow};
use axum::Router;
use axum::extract::Request;
use axum::routing::{get, post};

use crate::answer::Asked;
use crate::code::Code;
use crate::problem::Problem;
use crate::server::Shared;
use crate::wire::Steer;

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/v1/health", get(health::health))
        .route("/v1/runs", get(list::list).post(submit::submit))
        .route("/v1/runs/{id}", get(status::status))
        .route("/v1/runs/{id}/events", get(events::events))
        .route("/v1/runs/{id}/work/{work}/why", get(why::why))
        .route("/v1/runs/{id}/cancel", post(steer::cancel))
        .route("/v1/runs/{id}/drain", post(steer::drain))
        .route("/v1/runs/{id}/close", post(steer::close))
        .route("/v1/runs/{id}/pause", post(steer::pause))
        .route("/v1/runs/{id}/continue", post(steer::go_on))
        .route("/v1/runs/{id}/receipt", get(receipt::receipt))
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .with_state(shared)
}

async fn unknown_path() -> Problem {
    Problem::new(
        Code::UnknownPath,
        "there is nothing under this path; docs/api.md lists what there is",
    )
}

async fn wrong_method(request: Request) -> Problem {
    Problem::new(Code::WrongMethod, format!("the path does not take {}", request.method()))
}

/// The head row of a run.
async fn head(shared: &Shared, id: &CoordinationId) -> Result<HeadRow, Problem> {
    let heads =
        shared.engine.heads(HeadQuery::Stream(StreamName::Coordination(id.clone()))).await?;
    let unknown = || Problem::from(EngineError::UnknownCoordination { coordination: id.clone() });
    heads.into_iter().next().ok_or_else(unknown)
}

/// What the engine's refusal means: a run that is not running may have ended, or may never
/// have been.
async fn explained(shared: &Shared, id: &CoordinationId, asked: Asked) -> Problem {
    match asked {
        Asked::Engine(EngineError::Rejected(Rejection::UnknownCoordination { .. })) => {
            match head(shared, id).await {
                Ok(head) if head.ended => {
                    let status = head.status;
                    let detail = format!(
                        "run {id} has ended ({status}); its receipt says what became of everything"
                    );
                    Problem::new(Code::RunEnded, detail)
                }
                Ok(_) => Problem::new(
                    Code::WrongState,
                    format!("run {id} has just begun or ended; repeat the request"),
                ),
                Err(problem) => problem,
            }
        }
        asked => asked.into(),
    }
}

impl Steer {
    /// What the record says where no reason was given.
    fn without_reason(self) -> &'static str {
        match self {
            Self::Cancel => "cancelled",
            Self::Drain => "drained",
            Self::Close => "closed",
            Self::Pause => "paused",
        }
    }
}
