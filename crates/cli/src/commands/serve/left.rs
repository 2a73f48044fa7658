//! The runs that are left when an engine has nothing more to do: each waits for a person.

use std::collections::BTreeSet;

use antiphon::append::HeadRow;
use antiphon::coordination::{Coordination, Stage};
use antiphon::id::{CoordinationId, StreamName};
use antiphon::ledger::{HeadFilter, HeadQuery};

use crate::command_error::CommandError;
use crate::commands::resume::unfinished;
use crate::continuation::{Lack, pause_ended_by};
use crate::follow::{is_in, names};
use crate::ledger::{COORDINATIONS, Ledger};
use crate::stderr;
use crate::text::printable;

/// Runs that are named one by one before the rest is left to `list`.
const NAMED: usize = 5;

/// Says which runs that somebody carried out are left, what each waits for, and the commands that go on
/// with it once this engine has exited.
pub(super) fn announce(ledger: &Ledger) -> Result<(), CommandError> {
    let mut runs = Vec::new();
    for id in unfinished(ledger)? {
        let run = ledger.replayed(&id)?;
        if run.is_carried() {
            runs.push(run);
        }
    }
    for run in runs.iter().take(NAMED) {
        tracing::info!(run = %run.coordination_id(), "run left: it waits for a person");
        stderr::say(printable(&format!("left: {}", left(run, ledger)?)));
    }
    if runs.len() > NAMED {
        let more = runs.len() - NAMED;
        stderr::say(format!("left: {more} more; `antiphon list` shows them"));
    }
    Ok(())
}

/// Names the runs that have not ended and are gone with a ledger in memory.
pub(super) fn gone(ledger: &Ledger) -> Result<(), CommandError> {
    let unended: BTreeSet<CoordinationId> = unfinished(ledger)?.into_iter().collect();
    if !unended.is_empty() {
        let named = names(&unended);
        stderr::say(format!("gone with the ledger in memory before they had ended: {named}"));
    }
    Ok(())
}

/// What a run waits for, and what goes on with it.
fn left(run: &Coordination, ledger: &Ledger) -> Result<String, CommandError> {
    let id = run.coordination_id();
    let lack = Lack::of(run, ledger)?;
    if let Some(waits) = paused(run) {
        return Ok(format!("{id} is {waits}; {}", lack.advice(id, pause_ended_by(run))));
    }
    if let Some(below) = paused_below(id, ledger)? {
        let waits = paused(&below).unwrap_or_default();
        let advice = lack.advice(id, pause_ended_by(&below));
        return Ok(format!(
            "{id} waits for {}, which is {waits}; {advice}",
            below.coordination_id()
        ));
    }
    let waits = match &lack {
        Lack::Secrets(_) => "waits for its secrets".to_owned(),
        Lack::Items => "was only partly submitted".to_owned(),
        Lack::Engine => format!("cannot continue by itself (`antiphon why {id}` shows why)"),
    };
    Ok(format!("{id} {waits}; {}", lack.advice(id, None)))
}

/// That it is paused, and why, if it is.
fn paused(run: &Coordination) -> Option<String> {
    let pause = run.pause()?;
    Some(match pause.why() {
        "" => "paused".to_owned(),
        why => format!("paused: {why}"),
    })
}

/// A run that is nested in this one and paused, if there is one.
fn paused_below(
    id: &CoordinationId,
    ledger: &Ledger,
) -> Result<Option<Coordination>, CommandError> {
    let filter = HeadFilter {
        prefix: format!("{COORDINATIONS}{id}."),
        status: Some(Stage::Paused.as_str().to_owned()),
        ..HeadFilter::default()
    };
    let heads = ledger.store.heads(&HeadQuery::List(filter))?;
    let below = heads.into_iter().find_map(|HeadRow { stream, .. }| match stream {
        StreamName::Coordination(below) if is_in(&below, id) => Some(below),
        _ => None,
    });
    below.map(|below| ledger.replayed(&below)).transpose()
}
