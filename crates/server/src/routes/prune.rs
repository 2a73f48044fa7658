//! Pruning: erasing what ended runs have left.

use std::sync::Arc;

use antiphon::prune::PruneError;
use axum::extract::State;
use axum::http::StatusCode;

use crate::answer::{Answer, json};
use crate::api::{Code, Problem, PruneAnswer, PruneRequest};
use crate::request::{Fields, JsonBody, Operator};
use crate::state::Shared;

pub(super) async fn prune(
    State(shared): State<Arc<Shared>>,
    _: Operator,
    JsonBody(body): JsonBody,
) -> Answer {
    let request = read(body)?;
    let engine = shared.engine();
    if !engine.has_room() {
        let detail = "the engine's mailbox is full, so nothing was pruned; repeat it in a moment";
        return Err(Problem::new(Code::Busy, detail));
    }
    // It takes as long as there is to look at, and whoever goes away meanwhile ends it: each
    // portion stands for itself.
    let pruned = match request.dry_run {
        true => engine.would_prune(request.asked()).await,
        false => engine.prune(request.asked()).await,
    };
    json(StatusCode::OK, &PruneAnswer::of(&pruned?, request.dry_run))
}

fn read(mut body: Fields) -> Result<PruneRequest, Problem> {
    let request = PruneRequest {
        older_than_ms: body.number_from(0, "older_than_ms", u64::MAX / 1_000_000),
        keep: body
            .number_from(0, "keep", u32::MAX.into())
            .and_then(|keep| usize::try_from(keep).ok()),
        forerunners: body.flag("forerunners"),
        dry_run: body.flag("dry_run"),
    };
    if !request.asked().is_limited() {
        body.fault(String::new(), "`older_than_ms`, `keep` or both must say which runs may go");
    }
    body.finish()?;
    Ok(request)
}

impl From<PruneError> for Problem {
    fn from(error: PruneError) -> Self {
        match error {
            PruneError::Erase(antiphon::EraseError::Unavailable(unavailable)) => unavailable.into(),
            PruneError::Erase(antiphon::EraseError::Rejected(rejection)) => rejection.into(),
            error @ PruneError::Unlimited => Self::new(Code::InvalidBody, error.to_string()),
            error => Self::new(Code::Internal, error.to_string()),
        }
    }
}
