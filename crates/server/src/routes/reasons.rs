//! Why an item does not run.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;

use super::record::explained;
use crate::answer::{Answer, ask, json};
use crate::api::{Reasons, Why};
use crate::request::Addressed;
use crate::state::Shared;

pub(super) async fn why(State(shared): State<Arc<Shared>>, target: Addressed) -> Answer {
    let (id, work) = (target.id(), target.part("work"));
    match ask(&shared, shared.run(id)?.why(work)).await {
        Ok(blocked) => {
            let reasons = blocked.iter().map(Why::from).collect();
            let (run, work) = (id.to_string(), work.to_owned());
            json(StatusCode::OK, &Reasons { run, work, reasons })
        }
        Err(asked) => Err(explained(&shared, id, asked).await),
    }
}
