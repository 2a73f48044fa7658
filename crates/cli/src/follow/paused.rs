//! Nested runs that are paused: what they are in waits for them, and only a person can end that.

use antiphon::coordination::Stage;
use antiphon::id::{CoordinationId, SessionId};
use antiphon_server::{Client, ListQuery};

use crate::continuation::continued_by;

/// The runs in this one that are paused, as far as the engine says.
pub(crate) async fn paused_below(client: &Client, id: &CoordinationId) -> Vec<CoordinationId> {
    let query =
        ListQuery { status: Some(Stage::Paused.as_str().to_owned()), ..ListQuery::default() };
    let Ok(page) = client.list(&query).await else { return Vec::new() };
    let ids = page.runs.iter().filter_map(|run| run.id.parse::<CoordinationId>().ok());
    ids.filter(|below| below != id && is_in(below, id)).collect()
}

/// What a person is told of one: why it is paused and what continues it, as far as the engine says.
pub(crate) async fn waits_for(
    client: &Client,
    id: &CoordinationId,
    paused: &CoordinationId,
) -> String {
    let found = client.status(paused).await.ok();
    let (why, pause) = found.map_or((None, None), |run| (run.why, run.pause));
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    let continued = continued_by(paused, pause.as_ref());
    format!(
        "{id} waits for {paused}, which is paused{why}; {continued} continues it; \
         `antiphon cancel {id}` ends both"
    )
}

/// Whether a coordination is another one, or carries out a session of it, however deep.
pub(crate) fn is_in(id: &CoordinationId, outer: &CoordinationId) -> bool {
    let above = id.as_str().parse::<SessionId>().map(|session| session.coordination);
    id == outer || above.is_ok_and(|above| is_in(&above, outer))
}
