//! Runs at a glance, one or a page of them, from head rows alone.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use antiphon::coordination::Stage;
use antiphon::id::{CoordinationId, StreamName};
use antiphon::ledger::{HeadFilter, HeadQuery};
use axum::extract::State;
use axum::http::StatusCode;
use tokio::time::timeout;

use super::record::head;
use crate::answer::{Answer, json};
use crate::api::{Code, ListPage, ListQuery, Pause, Problem, RunLine, RunSecrets};
use crate::request::{Addressed, Operator, Parameters, limited};
use crate::state::Shared;

/// Runs on a page, unless the query says otherwise.
const DEFAULT_PAGE: usize = 50;

/// How long the engine may take to say which runs wait.
const SAID_WITHIN: Duration = Duration::from_millis(250);

/// Most runs on a page.
const MAX_PAGE: usize = 1_000;

pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    _: Operator,
    Parameters(query): Parameters<ListQuery>,
) -> Answer {
    let invalid = |detail: String| Problem::new(Code::InvalidRequest, detail);
    let ListQuery { status, running, ended, limit, cursor } = query;
    if let Some(Err(unknown)) = status.as_deref().map(str::parse::<Stage>) {
        return Err(invalid(unknown.to_string()));
    }
    let ended = match (running, ended) {
        (true, true) => {
            return Err(invalid("`running` and `ended` exclude each other".to_owned()));
        }
        (false, false) => None,
        (_, ended) => Some(ended),
    };
    let limit = limited(limit, DEFAULT_PAGE, MAX_PAGE)?;
    let older_than = match cursor {
        None => None,
        Some(cursor) => {
            let unknown =
                || invalid(format!("{cursor:?} is not a cursor; give `next` of the previous page"));
            let id = CoordinationId::new(&cursor).map_err(|_| unknown())?;
            let found = head(&shared, &id).await.map_err(|problem| match problem.known_code() {
                Some(Code::UnknownRun) => unknown(),
                _ => problem,
            })?;
            Some(found.stream)
        }
    };
    // One more is read to know whether another page follows.
    // Those that wait are running as far as the record says.
    let is_waiting = status.as_deref() == Some(Stage::Waiting.as_str());
    let recorded = match is_waiting {
        true => Some(Stage::Running.as_str().to_owned()),
        false => status.clone(),
    };
    let filter = HeadFilter {
        prefix: StreamName::COORDINATIONS.to_owned(),
        status: recorded,
        ended,
        older_than,
        limit: limit + 1,
    };
    let mut heads = shared.engine().heads(HeadQuery::List(filter)).await?;
    let more = heads.len() > limit;
    heads.truncate(limit);
    let next = match heads.last().map(|head| &head.stream) {
        Some(StreamName::Coordination(id)) if more => Some(id.to_string()),
        _ => None,
    };
    let waiting = waiting(&shared).await;
    let lines = heads.iter().map(|head| Ok(RunLine::try_from(head)?.waiting_for_secrets(&waiting)));
    let mut runs = lines.collect::<Result<Vec<_>, Problem>>()?;
    runs.retain(|run| status.as_ref().is_none_or(|status| *status == run.status));
    json(StatusCode::OK, &ListPage { runs, next })
}

/// The runs that only secrets keep from going on; none where the engine does not say so at once, as
/// reading waits for no disk that it waits for.
async fn waiting(shared: &Shared) -> BTreeSet<CoordinationId> {
    let answer = timeout(SAID_WITHIN, shared.engine().waiting_for_secrets()).await;
    answer.ok().and_then(Result::ok).unwrap_or_default()
}

/// The names of the secrets that a run needs, and where their values come from.
pub(super) async fn secrets(
    State(shared): State<Arc<Shared>>,
    _: Operator,
    target: Addressed,
) -> Answer {
    head(&shared, target.id()).await?;
    json(StatusCode::OK, &secrets_of(&shared, target.id()).await?)
}

/// The same for what waits for them.
pub(super) async fn secrets_of(
    shared: &Shared,
    id: &CoordinationId,
) -> Result<RunSecrets, Problem> {
    let origin = shared.run(&id.outermost())?.origin().await?;
    Ok(RunSecrets::of(id, origin.map(|origin| origin.secrets).unwrap_or_default()))
}

pub(super) async fn status(State(shared): State<Arc<Shared>>, target: Addressed) -> Answer {
    let id = target.id();
    let line = RunLine::try_from(&head(&shared, id).await?)?;
    let mut line = line.waiting_for_secrets(&waiting(&shared).await);
    // A run that ended in between is as its head row was.
    if let Some(pause) = shared.run(id)?.pause_now().await? {
        line.why = Some(pause.why().to_owned()).filter(|why| !why.is_empty());
        line.pause = Some(Pause::of(id, &pause));
    }
    json(StatusCode::OK, &line)
}
