//! What became of the command for the end of a run.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use tokio::time::timeout;

use super::record::head;
use crate::answer::{Answer, json};
use crate::api::OnEndAnswer;
use crate::request::Addressed;
use crate::state::Shared;

/// How long an answer waits for the end of a command that is being carried out.
const WAIT: Duration = Duration::from_secs(20);

pub(super) async fn on_end(State(shared): State<Arc<Shared>>, target: Addressed) -> Answer {
    let id = target.id();
    head(&shared, id).await?;
    let run = shared.run(id)?;
    let seen = tokio::select! {
        seen = timeout(WAIT, run.on_end()) => seen.ok().transpose()?,
        () = shared.stopping().cancelled() => None,
    };
    json(StatusCode::OK, &OnEndAnswer::of(id.to_string(), seen))
}
