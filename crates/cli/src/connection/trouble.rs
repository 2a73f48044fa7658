//! What an engine says of its surroundings, and what its sessions wait for because of them: it is
//! in no event, as it is over when the engine is.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use antiphon::coordination::Stage;
use antiphon::id::{CoordinationId, WorkId};
use antiphon_server::{Client, ListQuery, RunLine, Why};
use tokio::time::timeout;

use super::passing;
use crate::ledger;

/// How long an engine may take to say how it is, before it counts as one that says nothing.
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);

/// The reason of an item whose session waits for room on its machine.
const AWAITING_ROOM: &str = "awaiting_room";

/// The reason for which a retry carries an item out.
const RETRIED: &str = "retried";

/// The engine does not say how it is: there is none, or it does not answer in time.
pub(crate) struct Silent;

/// What an engine says of its trouble.
#[derive(Default)]
pub(crate) struct Said {
    /// What keeps it from starting sessions or from recording anything.
    pub(crate) trouble: Option<String>,
    /// What the sessions of items wait for before they are started.
    pub(crate) waits: BTreeMap<WorkId, String>,
    /// Whether the run only waits for secrets.
    pub(crate) is_waiting: bool,
}

/// Runs, or questions, that are asked for at once of those that wait.
const ASKED: usize = 1_000;

/// Whether a run only waits for secrets that its engine does not have.
pub(crate) async fn is_waiting(client: &Client, id: &CoordinationId) -> bool {
    client.status(id).await.is_ok_and(|run| run.status == Stage::Waiting.as_str())
}

/// The runs of a directory that only wait for secrets that its engine does not have.
pub(crate) fn waiting_in(dir: &Path) -> Vec<RunLine> {
    let asked = async {
        let client = ledger::client(dir).await.ok()?;
        let status = Some(Stage::Waiting.as_str().to_owned());
        let query = ListQuery { status, limit: Some(ASKED), ..ListQuery::default() };
        Some(client.list(&query).await.ok()?.runs)
    };
    in_time(asked).unwrap_or_default()
}

/// How many questions of the runs of a directory wait for a person, by run, as its engine says.
pub(crate) fn asking_in(dir: &Path) -> BTreeMap<String, usize> {
    let asked = async {
        let client = ledger::client(dir).await.ok()?;
        Some(client.open_questions(None, ASKED).await.ok()?.questions)
    };
    let mut asking = BTreeMap::new();
    for question in in_time(asked).unwrap_or_default() {
        *asking.entry(question.run).or_default() += 1;
    }
    asking
}

/// What comes of asking, if it comes in time.
fn in_time<T>(asked: impl Future<Output = Option<T>>) -> Option<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    runtime.block_on(async { timeout(ANSWERS_WITHIN, asked).await.ok()? })
}

/// What keeps an engine from going on, if anything does.
pub(crate) async fn trouble(client: &Client) -> Result<Option<String>, Silent> {
    match timeout(ANSWERS_WITHIN, client.health()).await {
        Ok(Ok(health)) => Ok(health.shortage),
        Ok(Err(error)) => passing(&error).map(|problem| Some(problem.to_string())).ok_or(Silent),
        Err(_) => Err(Silent),
    }
}

/// The same of the engine of a directory, for commands that only read its ledger.
pub(crate) async fn trouble_in(dir: &Path) -> Option<String> {
    let client = timeout(ANSWERS_WITHIN, ledger::client(dir)).await.ok()?.ok()?;
    trouble(&client).await.ok()?
}

/// Why items do not run, as the engine says. What it does not answer is not shown.
pub(crate) async fn reasons(
    client: &Client,
    id: &CoordinationId,
    works: &[WorkId],
) -> BTreeMap<WorkId, String> {
    let mut reasons = BTreeMap::new();
    for work in works {
        let Ok(answer) = client.why(id, work.as_str()).await else { continue };
        // Why it is carried out again keeps it from nothing.
        let kept = answer.reasons.into_iter().filter(|why| why.reason != RETRIED);
        let texts: Vec<String> = kept.map(|why| why.text).collect();
        if !texts.is_empty() {
            reasons.insert(work.clone(), texts.join("; "));
        }
    }
    reasons
}

/// What the engine of a directory says of its trouble, of the items of a run that could start and
/// do not, and of those that run and may wait for room.
pub(crate) fn said(dir: &Path, id: &CoordinationId, ready: &[WorkId], running: &[WorkId]) -> Said {
    let asked = async {
        let client = ledger::client(dir).await.ok()?;
        let trouble = trouble(&client).await.ok()?;
        let waits = reasons(&client, id, ready).await;
        let is_waiting = is_waiting(&client, id).await;
        let mut said = Said { trouble, waits, is_waiting };
        if said.trouble.is_none() {
            return Some(said);
        }
        for work in running {
            let Ok(reasons) = client.why(id, work.as_str()).await else { continue };
            let room = |why: &Why| why.reason == AWAITING_ROOM;
            if let Some(why) = reasons.reasons.into_iter().find(room) {
                said.waits.insert(work.clone(), why.text);
            }
        }
        Some(said)
    };
    in_time(asked).unwrap_or_default()
}
