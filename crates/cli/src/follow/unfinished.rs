//! The runs of a directory that nobody carries out, as whoever starts another is told, and whoever
//! takes an engine's place.

use antiphon::coordination::{Counts, Stage};
use antiphon::head::RunSummary;
use antiphon::id::CoordinationId;
use antiphon_server::{Client, ClientError, ListQuery, RunLine, RunSecrets};
use tokio::time::Instant;

use crate::connection::TAKEN_OVER_WITHIN;
use crate::continuation::Lack;
use crate::labels::counted;
use crate::timestamps;

/// Runs that are told one by one before the rest is left to `list`.
const TOLD: usize = 5;

/// Runs that are looked at: what is nested is listed too, and not told.
const LOOKED_AT: usize = 100;

/// When a process that took an engine's place says what that engine left: others that followed a run
/// there are given the time to come back for it.
#[derive(Debug, Default)]
pub(super) struct Inheritance {
    told_at: Option<Instant>,
}

impl Inheritance {
    /// This process carries the engine from now on.
    pub(super) fn begin(&mut self) {
        self.told_at = Some(Instant::now() + TAKEN_OVER_WITHIN);
    }

    /// When it is to be told, until it is.
    pub(super) fn told_at(&self) -> Option<Instant> {
        self.told_at
    }

    /// Which runs nobody carries out besides its own, if that was not told yet. That this cannot be
    /// looked up is told too: what this process carries out goes on all the same.
    pub(super) async fn take(&mut self, client: &Client, own: &[CoordinationId]) -> Vec<String> {
        match self.told_at.take() {
            Some(_) => notes(client, own).await.unwrap_or_else(|error| {
                vec![format!("cannot tell which other runs are unfinished: {error}")]
            }),
            None => Vec::new(),
        }
    }
}

/// A line for each of the runs that nobody carries out, besides those that are named.
pub(super) async fn notes(
    client: &Client,
    own: &[CoordinationId],
) -> Result<Vec<String>, ClientError> {
    let query = ListQuery {
        status: Some(Stage::Interrupted.as_str().to_owned()),
        limit: Some(LOOKED_AT),
        ..ListQuery::default()
    };
    let page = client.list(&query).await?;
    let mut unfinished = page.runs.iter().filter_map(|run| {
        let summary: RunSummary = serde_json::from_value(run.summary.clone()).ok()?;
        let id = run.id.parse::<CoordinationId>().ok()?;
        let is_other = summary.parent.is_none() && !own.contains(&id);
        is_other.then_some((id, run, summary))
    });
    let mut notes = Vec::new();
    for (id, run, summary) in unfinished.by_ref().take(TOLD) {
        // What it needs is told as far as the engine says so.
        let lack = match client.secrets(&id).await {
            Ok(RunSecrets { secrets, .. }) if !secrets.is_empty() => Lack::Secrets(secrets),
            _ => Lack::Engine,
        };
        let pause = client.status(&id).await.ok().and_then(|run| run.pause);
        let advice = lack.advice(&id, pause.map(|pause| pause.continued_by()));
        notes.push(told(run, &summary, &advice));
    }
    if unfinished.next().is_some() {
        notes.push(
            "more are unfinished; `antiphon list --status interrupted` shows them".to_owned(),
        );
    }
    Ok(notes)
}

fn told(run: &RunLine, summary: &RunSummary, advice: &str) -> String {
    let Counts { work_succeeded, work_failed, work_skipped, work_skipped_by_rule, .. } =
        summary.totals;
    let done = work_succeeded + work_failed + work_skipped + work_skipped_by_rule;
    let RunLine { id, name, changed, .. } = run;
    let name = match name {
        Some(name) if name != id => format!(" ({name})"),
        _ => String::new(),
    };
    let since = match timestamps::of_api(changed) {
        Some(wall) => format!("{} ({} ago)", timestamps::seconds(wall), timestamps::age(wall)),
        None => changed.clone(),
    };
    let done = match (done, summary.work) {
        (0, 1) => "not done".to_owned(),
        (done, work) => format!("{done} of {} done", counted(work, "item")),
    };
    format!("note: {id}{name} is unfinished since {since}, {done}; {advice}")
}
