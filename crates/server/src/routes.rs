//! Every request that is answered: one file for each noun. A handler reads the request, asks the
//! engine and writes the answer; it never decides what the engine could.

mod accepted;
mod approvals;
mod commands;
mod contexts;
mod end;
mod events;
mod health;
mod items;
mod keys;
mod ledger;
mod listening;
mod on_end;
mod printed;
mod prune;
mod reasons;
mod receipt;
mod record;
mod retry;
mod runs;
mod sent_plan;
mod signals;
mod submission;
mod unfolded;
mod waits;
mod work;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::routing::{get, post};

use crate::api::{Code, Problem, Steer};
use crate::state::Shared;

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/v1/health", get(health::health))
        .route("/v1/approvals", get(approvals::open))
        .route("/v1/ledger/heads", get(ledger::heads))
        .route("/v1/ledger/events", get(ledger::events))
        .route("/v1/ledger/commits", get(ledger::commits))
        .route("/v1/ledger/blobs/{digest}", get(ledger::blob))
        .route("/v1/prune", post(prune::prune))
        .route("/v1/runs", get(runs::list).post(submission::submit))
        .route("/v1/runs/{id}", get(runs::status))
        .route("/v1/runs/{id}/secrets", get(runs::secrets))
        .route("/v1/runs/{id}/events", get(events::events))
        .route("/v1/runs/{id}/keys", get(keys::list).post(keys::change))
        .route("/v1/runs/{id}/keys/history", get(keys::history))
        .route("/v1/runs/{id}/approvals", get(approvals::list).post(approvals::ask))
        .route("/v1/runs/{id}/approvals/{question}", get(approvals::one))
        .route("/v1/runs/{id}/approvals/{question}/answer", post(approvals::answer))
        .route("/v1/runs/{id}/contexts", get(contexts::list).post(contexts::distribute))
        .route("/v1/runs/{id}/contexts/update", post(contexts::update))
        .route("/v1/runs/{id}/contexts/delete", post(contexts::delete))
        .route("/v1/runs/{id}/contexts/{agent}", get(contexts::context))
        .route("/v1/runs/{id}/signals", get(signals::signals).post(signals::send))
        .route("/v1/runs/{id}/waits", post(waits::wait))
        .route("/v1/runs/{id}/items", get(items::list))
        .route("/v1/runs/{id}/items/{item}", get(items::item))
        .route("/v1/runs/{id}/items/{item}/output", get(items::output))
        .route("/v1/runs/{id}/items/{item}/logs", get(printed::of_item))
        .route("/v1/runs/{id}/logs", get(printed::of_run))
        .route("/v1/runs/{id}/on_end", get(on_end::on_end))
        .route("/v1/runs/{id}/work", post(work::add))
        .route("/v1/runs/{id}/work/{work}/why", get(reasons::why))
        .route("/v1/runs/{id}/cancel", commands::steered(Steer::Cancel))
        .route("/v1/runs/{id}/drain", commands::steered(Steer::Drain))
        .route("/v1/runs/{id}/close", commands::steered(Steer::Close))
        .route("/v1/runs/{id}/pause", commands::steered(Steer::Pause))
        .route("/v1/runs/{id}/interrupt", commands::steered(Steer::Interrupt))
        .route("/v1/runs/{id}/interrupt-now", commands::steered(Steer::InterruptNow))
        .route("/v1/runs/{id}/resume", commands::steered(Steer::Resume))
        .route("/v1/runs/{id}/continue", post(commands::go_on))
        .route("/v1/runs/{id}/retry", post(retry::retry))
        .route("/v1/runs/{id}/end", get(end::end))
        .route("/v1/runs/{id}/receipt", get(receipt::receipt))
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .with_state(shared)
}

async fn unknown_path() -> Problem {
    Problem::new(Code::UnknownPath, "there is nothing under this path; docs/api.md lists the paths")
}

async fn wrong_method(request: Request) -> Problem {
    Problem::new(Code::WrongMethod, format!("the path does not take {}", request.method()))
}
