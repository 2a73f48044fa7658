//! Items that are added to a run, in the words of a plan.

use std::sync::Arc;

use antiphon::Addition;
use antiphon::plan::CompiledWork;
use axum::extract::State;

use super::accepted::{accepted, by_session};
use super::sent_plan::SentPlan;
use crate::answer::{Answer, ask};
use crate::request::{Addressed, IdempotencyKey, JsonBody, Reader};
use crate::state::Shared;

pub(super) async fn add(
    State(shared): State<Arc<Shared>>,
    caller: Reader,
    target: Addressed,
    IdempotencyKey(key): IdempotencyKey,
    JsonBody(mut body): JsonBody,
) -> Answer {
    let sent = Arc::new(SentPlan::read_added(&mut body));
    body.finish()?;
    let compiled = {
        // The thread may outlive the server: it holds what it needs, and not the engine.
        let sent = Arc::clone(&sent);
        shared.compilers().run(sent.bytes(), move |wanted| sent.compile_added(wanted)).await?
    };
    let CompiledWork { items, blobs } = compiled;
    let work = blobs.into_iter().fold(Addition::new(items), Addition::with_input);
    let command = shared.run(target.id())?.command(key);
    let answer = match caller {
        Reader::Operator => ask(&shared, command.add_work(work)).await,
        Reader::Session(session) => {
            by_session(&session, ask(&shared, command.add_work_from(&session, work)).await)
        }
    };
    accepted(&shared, target.id(), answer).await
}
