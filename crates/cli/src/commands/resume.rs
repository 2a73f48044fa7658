//! `antiphon resume`: what an engine has left unfinished goes on.

use std::path::Path;
use std::process::ExitCode;

use antiphon::append::HeadRow;
use antiphon::id::CoordinationId;
use antiphon::ledger::{HeadFilter, HeadQuery, Store as _};

use super::Global;
use super::run::{check, on_a_runtime};
use crate::attendance::{Attendant, Parted};
use crate::command_error::{CommandError, Kind};
use crate::ledger::{self, COORDINATIONS, Ledger};
use crate::view::View;

/// Coordinations that are taken up at a time.
const MOST: usize = 1_000;

/// Take up coordinations that an engine has left unfinished
///
/// Without an ID, all of them; those that wait for somebody come last. The secrets of a
/// coordination went with the engine that had them: items that need some are started again by
/// `antiphon run PLAN --id ID`. Exits like `run`; of several coordinations, with the code of the
/// first that did not succeed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The coordinations
    #[arg(value_name = "ID", value_parser = ledger::coordination)]
    ids: Vec<CoordinationId>,
}

impl Args {
    pub(crate) fn run(self, global: &Global) -> Result<ExitCode, CommandError> {
        let ledger = Ledger::find(global)?;
        let ids = match self.ids.is_empty() {
            true => unfinished(&ledger)?,
            false => self.ids,
        };
        for id in &ids {
            ledger.head(&antiphon::id::StreamName::Coordination(id.clone()))?;
        }
        if ids.is_empty() {
            anstream::eprintln!("nothing is unfinished in {}", ledger.dir.display());
            return Ok(ExitCode::SUCCESS);
        }
        on_a_runtime(resume(ledger, global.json, ids))
    }
}

async fn resume(
    ledger: Ledger,
    json: bool,
    mut ids: Vec<CoordinationId>,
) -> Result<ExitCode, CommandError> {
    let mut attendant = Attendant::arrive(&ledger.dir).await?;
    attendant.at_work_first(&mut ids).await?;
    let seen = see(&mut attendant, &ledger.dir, json, &ids).await;
    let parted = seen.as_ref().map_or_else(|_| Parted::Told, |(parted, _)| parted.clone());
    attendant.leave(Ok(parted)).await?;
    let (_, worst) = seen?;
    Ok(worst.map_or(ExitCode::SUCCESS, ExitCode::from))
}

/// Sees one after the other; they all go on meanwhile. Gives how the last was left, and the first
/// kind of error.
async fn see(
    attendant: &mut Attendant,
    dir: &Path,
    json: bool,
    ids: &[CoordinationId],
) -> Result<(Parted, Option<Kind>), CommandError> {
    let (mut last, mut worst) = (Parted::Told, None);
    for id in ids {
        let mut view = View::choose(id.clone(), json);
        last = attendant.see(id, None, &mut view).await?;
        match &mut last {
            Parted::Ended(ending) => {
                worst = worst.or(ending.kind());
                let checked = check(dir, id);
                ending.verified = checked.is_ok();
                view.end(ending)?;
                checked?;
            }
            Parted::Told => return Ok((last, worst.or(Some(Kind::Aborted)))),
        }
    }
    Ok((last, worst))
}

/// The coordinations that have not ended, the oldest first; nested ones go on with those that they
/// are in.
fn unfinished(ledger: &Ledger) -> Result<Vec<CoordinationId>, CommandError> {
    let filter = HeadFilter {
        prefix: COORDINATIONS.to_owned(),
        ended: Some(false),
        limit: MOST,
        ..HeadFilter::default()
    };
    let heads = ledger.store.heads(&HeadQuery::List(filter))?;
    let id = |head: &HeadRow| {
        CoordinationId::chosen(head.stream.to_string().strip_prefix(COORDINATIONS)?).ok()
    };
    let mut ids: Vec<CoordinationId> = heads.iter().filter_map(id).collect();
    ids.reverse();
    Ok(ids)
}
