//! One run at a glance.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;

use super::head;
use crate::answer::{Answer, json};
use crate::request::Addressed;
use crate::server::Shared;
use crate::wire::RunLine;

pub(super) async fn status(State(shared): State<Arc<Shared>>, target: Addressed) -> Answer {
    json(StatusCode::OK, &RunLine::of(&head(&shared, &target.id).await?))
}
