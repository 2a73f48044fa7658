//! What a run came to: the receipt for people, or with its evidence for `antiphon verify`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use crate::answer::{Answer, bytes_of, json};
use crate::code::Code;
use crate::problem::Problem;
use crate::request::{Addressed, Parameters};
use crate::server::Shared;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Query {
    /// The export instead of the rendering.
    #[serde(default)]
    evidence: bool,
}

pub(super) async fn receipt(
    State(shared): State<Arc<Shared>>,
    target: Addressed,
    query: Parameters<Query>,
) -> Answer {
    // Evidence is as large as its run, so only a few are read at a time.
    let stopping = |_| Problem::new(Code::Stopping, "the engine is stopping");
    let _turn = shared.exporting.acquire().await.map_err(stopping)?;
    let export = shared.engine.export(&target.id).await??;
    if query.0.evidence {
        return Ok(bytes_of(StatusCode::OK, export.to_bytes()));
    }
    json(StatusCode::OK, &json!({ "hash": export.receipt, "receipt": export.rendering }))
}
