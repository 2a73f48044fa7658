//! How a run ended, for people.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;

use crate::answer::{Answer, json};
use crate::api::{Code, Problem, RunEnd};
use crate::request::Addressed;
use crate::state::Shared;

pub(super) async fn end(State(shared): State<Arc<Shared>>, target: Addressed) -> Answer {
    let _place = shared.place_to_export().await?;
    match shared.run(target.id())?.report().await? {
        Some(report) => json(StatusCode::OK, &RunEnd::from(&report)),
        None => {
            let detail =
                format!("run {} has not ended; `why` tells what it waits for", target.id());
            Err(Problem::new(Code::NotEnded, detail))
        }
    }
}
