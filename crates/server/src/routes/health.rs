//! Whether the engine takes commands in.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;

use crate::answer::{Answer, ask, json};
use crate::api::Health;
use crate::state::Shared;

pub(super) async fn health(State(shared): State<Arc<Shared>>) -> Answer {
    ask(&shared, shared.engine().health()).await?;
    let (status, engine) = ("ok".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    let shortage = shared.engine().shortage();
    json(StatusCode::OK, &Health { status, engine, pid: std::process::id(), shortage })
}
