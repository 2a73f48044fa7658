//! The result of a run: the receipt for people, or with its evidence for `antiphon verify`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use crate::answer::{Answer, bytes_of, json};
use crate::api::{Code, Problem};
use crate::request::{Addressed, Parameters};
use crate::state::Shared;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReceiptQuery {
    /// The export instead of the rendering.
    #[serde(default)]
    evidence: bool,
}

pub(super) async fn receipt(
    State(shared): State<Arc<Shared>>,
    target: Addressed,
    query: Parameters<ReceiptQuery>,
) -> Answer {
    let _place = shared.place_to_export().await?;
    let export = shared.run(target.id())?.export().await?;
    if query.0.evidence {
        return Ok(bytes_of(StatusCode::OK, export.to_bytes()));
    }
    let receipt =
        export.recorded().map_err(|error| Problem::new(Code::Internal, error.to_string()))?;
    json(StatusCode::OK, &json!({ "hash": export.receipt, "receipt": receipt }))
}
