//! `antiphon resume`: runs that an engine left unfinished.

use std::path::Path;
use std::process::ExitCode;

use antiphon::append::HeadRow;
use antiphon::id::CoordinationId;
use antiphon::ledger::{HeadFilter, HeadQuery};

use super::run::check;
use crate::command_error::{CommandError, Kind};
use crate::connection::{Connection, SessionPolicy};
use crate::follow::{Outcome, RunFollower};
use crate::ledger::{self, COORDINATIONS, Ledger};
use crate::options::Options;
use crate::runtime::on_a_runtime;
use crate::stderr;
use crate::view::View;

/// Runs that are resumed at the same time.
const MOST: usize = 1_000;

/// Resume runs that an engine left unfinished
///
/// Without an ID, resumes all of them. Secrets are never stored: to continue a run that needs them,
/// use `antiphon run PLAN --id ID` instead. Exits like `run`; with several runs, with the code of
/// the first that did not succeed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The runs
    #[arg(value_name = "ID", value_parser = ledger::coordination)]
    ids: Vec<CoordinationId>,
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        let ledger = Ledger::find(options)?;
        let ids = match self.ids.is_empty() {
            true => unfinished(&ledger)?,
            false => self.ids,
        };
        for id in &ids {
            ledger.head(&antiphon::id::StreamName::Coordination(id.clone()))?;
        }
        if ids.is_empty() {
            end_what_is_left(&ledger.dir)?;
            stderr::say(format!("there are no unfinished runs in {}", ledger.dir.display()));
            return Ok(ExitCode::SUCCESS);
        }
        on_a_runtime(resume(ledger, options.json, ids))
    }
}

/// Has an engine end what one that was killed left of sessions, where no run is left to be resumed.
#[cfg(target_os = "linux")]
fn end_what_is_left(dir: &Path) -> Result<(), CommandError> {
    use antiphon::process::{OrphanState, orphans};
    let found = orphans(dir).map_err(CommandError::internal)?;
    if found.iter().all(|orphan| orphan.known == OrphanState::Stray) {
        return Ok(());
    }
    on_a_runtime(async {
        Connection::open(dir, SessionPolicy::Leave).await?.close().await?;
        Ok(ExitCode::SUCCESS)
    })
    .map(drop)
}

#[cfg(not(target_os = "linux"))]
fn end_what_is_left(_dir: &Path) -> Result<(), CommandError> {
    Ok(())
}

async fn resume(
    ledger: Ledger,
    json: bool,
    mut ids: Vec<CoordinationId>,
) -> Result<ExitCode, CommandError> {
    let mut follower = RunFollower::connect(&ledger.dir).await?;
    follower.sort_running_first(&mut ids).await?;
    let followed = follow_each(&mut follower, &ledger.dir, json, &ids).await;
    let last = followed.as_ref().map_or_else(|_| Outcome::Terminated, |(last, _)| last.clone());
    follower.detach(Ok(last)).await?;
    let (_, worst) = followed?;
    Ok(worst.map_or(ExitCode::SUCCESS, ExitCode::from))
}

/// Follows one after the other; all of them run meanwhile. Gives how the last was left, and the
/// first kind of error.
async fn follow_each(
    follower: &mut RunFollower,
    dir: &Path,
    json: bool,
    ids: &[CoordinationId],
) -> Result<(Outcome, Option<Kind>), CommandError> {
    let (mut last, mut worst) = (Outcome::Terminated, None);
    for id in ids {
        let mut view = View::choose(id.clone(), json);
        last = follower.follow(id, None, &mut view).await?;
        match &mut last {
            Outcome::Ended(outcome) => {
                worst = worst.or(outcome.kind());
                let checked = check(dir, id);
                follower.stands()?;
                outcome.checked(checked.is_ok());
                view.end(outcome)?;
                checked?;
            }
            Outcome::Terminated => return Ok((last, worst.or(Some(Kind::Aborted)))),
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
        let id: CoordinationId =
            head.stream.to_string().strip_prefix(COORDINATIONS)?.parse().ok()?;
        (!id.is_numbered()).then_some(id)
    };
    let mut ids: Vec<CoordinationId> = heads.iter().filter_map(id).collect();
    ids.reverse();
    Ok(ids)
}
