//! The runs of a directory that nobody carries out, as whoever starts another is told.

use antiphon::coordination::{Counts, Stage};
use antiphon::head::RunSummary;
use antiphon::id::CoordinationId;
use antiphon_server::{Client, ListQuery, RunLine, RunSecrets};

use crate::command_error::CommandError;
use crate::continuation::Lack;
use crate::labels::counted;
use crate::stderr;
use crate::text::printable;
use crate::timestamps;

/// Runs that are told one by one before the rest is left to `list`.
const TOLD: usize = 5;

/// Runs that are looked at: what is nested is listed too, and not told.
const LOOKED_AT: usize = 100;

/// Says which runs nobody carries out, besides one.
pub(super) async fn announce(client: &Client, own: &CoordinationId) -> Result<(), CommandError> {
    let query = ListQuery {
        status: Some(Stage::Interrupted.as_str().to_owned()),
        limit: Some(LOOKED_AT),
        ..ListQuery::default()
    };
    let page = client.list(&query).await?;
    let mut unfinished = page.runs.iter().filter_map(|run| {
        let summary: RunSummary = serde_json::from_value(run.summary.clone()).ok()?;
        (summary.parent.is_none() && run.id != own.as_str()).then_some((run, summary))
    });
    for (run, summary) in unfinished.by_ref().take(TOLD) {
        let Ok(id) = run.id.parse::<CoordinationId>() else { continue };
        // What it needs is told as far as the engine says so.
        let lack = match client.secrets(&id).await {
            Ok(RunSecrets { secrets, .. }) if !secrets.is_empty() => Lack::Secrets(secrets),
            _ => Lack::Engine,
        };
        let pause = client.status(&id).await.ok().and_then(|run| run.pause);
        let advice = lack.advice(&id, pause.map(|pause| pause.continued_by()));
        stderr::say(printable(&told(run, &summary, &advice)));
    }
    if unfinished.next().is_some() {
        stderr::say("more are unfinished; `antiphon list --status interrupted` shows them");
    }
    Ok(())
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
