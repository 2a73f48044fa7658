//! Why an item does not run.

use std::sync::Arc;

use antiphon::coordination::Blocked;
use axum::extract::State;
use axum::http::StatusCode;

use super::record::explained;
use super::runs::secrets_of;
use crate::answer::{Answer, ask, json};
use crate::api::{Reasons, RunSecrets, Why};
use crate::request::Addressed;
use crate::state::Shared;

pub(super) async fn why(State(shared): State<Arc<Shared>>, target: Addressed) -> Answer {
    let (id, work) = (target.id(), target.part("work"));
    match ask(&shared, shared.run(id)?.why(work)).await {
        Ok(blocked) => {
            let secrets = match blocked.contains(&Blocked::NoSecrets) {
                true => secrets_of(&shared, id).await?,
                false => RunSecrets::of(id, Vec::new()),
            };
            let reasons = blocked.iter().map(|blocked| Why::of(blocked, &secrets)).collect();
            let (run, work) = (id.to_string(), work.to_owned());
            json(StatusCode::OK, &Reasons { run, work, reasons })
        }
        Err(asked) => Err(explained(&shared, id, asked).await),
    }
}
