//! `antiphon resume`: runs that an engine left unfinished.

use std::path::Path;
use std::process::ExitCode;

use antiphon::append::HeadRow;
use antiphon::coordination::Stage;
use antiphon::id::{CoordinationId, StreamName};
use antiphon::ledger::{HeadFilter, HeadQuery};

use super::ended::EndedRun;
use super::record::check;
use crate::command_error::{CommandError, Kind};
use crate::connection::{Connection, SessionPolicy, read_again};
use crate::continuation::Lack;
use crate::follow::{Outcome, RunFollower, Runs, names};
use crate::labels::counted;
use crate::ledger::{self, COORDINATIONS, Ledger};
use crate::named;
use crate::options::Options;
use crate::runtime::on_a_runtime;
use crate::stderr;
use crate::text::printable;
use crate::view::View;

/// Runs that are resumed at the same time.
const MOST: usize = 1_000;

/// Resume runs that an engine left unfinished
///
/// Without an ID, resumes all of them, and ends what a crash has left running of their sessions. Time in
/// which nobody carried a run out counts against none of its budgets, timeouts and back-offs. Sessions
/// that were running when their engine died count as lost, and their items are tried again without
/// losing an attempt. Secrets are never stored: those that a run needs are read again, from the variable
/// or command that its plan names; of one that is missing it is said what waits for it. A run that is
/// paused stays so: `antiphon continue` ends the pause.
///
/// If an engine is running in the state directory, it carries the runs out, and Ctrl-C detaches. Else
/// this process does: press Ctrl-C once to let running sessions finish, twice to stop them. One run is
/// shown after the other. A run that has ended is shown with its result, and nothing of it runs.
///
/// Exits like `run`; with several runs, with the code of the first that did not succeed; with 0 where
/// nothing is unfinished.
///
/// Examples:
///   antiphon resume
///   antiphon resume nightly
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// The runs, or the beginnings of their ids; by default all that are unfinished
    #[arg(value_name = "ID", value_parser = ledger::coordination)]
    ids: Vec<CoordinationId>,
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        let ledger = Ledger::find(options)?;
        let are_all = self.ids.is_empty();
        let ids = match are_all {
            true => unfinished(&ledger)?,
            false => {
                let named = self.ids.iter().map(|id| named::existing(&ledger, id));
                named.collect::<Result<_, _>>()?
            }
        };
        let (over, ids) = shown_if_over(&ledger, ids, options.json)?;
        if over.is_some() && ids.is_empty() {
            return Ok(over.flatten().map_or(ExitCode::SUCCESS, ExitCode::from));
        }
        let (cut_off, ids) = divided(&ledger, outermost(ids))?;
        for id in &cut_off {
            let advice = Lack::Items.advice(id, None);
            stderr::say(format!("{id} was only partly submitted; {advice}"));
        }
        let worst = over.flatten().or((!cut_off.is_empty()).then_some(Kind::Usage));
        if ids.is_empty() {
            let ended = end_what_is_left(&ledger.dir)?;
            if worst.is_none() {
                let dir = ledger.dir.display();
                stderr::say(format!("there are no unfinished runs in {dir}{ended}"));
            }
            return Ok(worst.map_or(ExitCode::SUCCESS, ExitCode::from));
        }
        if are_all {
            stderr::say(format!("continuing {}: {}", counted(ids.len(), "run"), names(&ids)));
        }
        on_a_runtime(resume(ledger, options.json, ids, worst))
    }
}

/// Shows how those ended that have, and gives the first kind of error among them, if there are any,
/// and the others.
#[expect(clippy::option_option, reason = "none ended is not the same as none failed")]
fn shown_if_over(
    ledger: &Ledger,
    ids: Vec<CoordinationId>,
    json: bool,
) -> Result<(Option<Option<Kind>>, Vec<CoordinationId>), CommandError> {
    let (mut over, mut others) = (None, Vec::new());
    for id in ids {
        match EndedRun::find(ledger, &id)? {
            Some(ended) => {
                let kind = ended.outcome().kind();
                ended.show(View::choose(id.clone(), json), None)?;
                over = Some(over.flatten().or(kind));
            }
            None => others.push(id),
        }
    }
    Ok((over, others))
}

/// The runs that are resumed: a nested one goes on with the one that it is in, which is said.
fn outermost(ids: Vec<CoordinationId>) -> Vec<CoordinationId> {
    let mut found = Vec::new();
    for id in ids {
        let outermost = id.outermost();
        if outermost != id {
            stderr::say(printable(&format!("{id} is part of {outermost}, which is resumed")));
        }
        if !found.contains(&outermost) {
            found.push(outermost);
        }
    }
    found
}

/// The runs whose start was cut off and which no engine can complete, and the others.
fn divided(
    ledger: &Ledger,
    ids: Vec<CoordinationId>,
) -> Result<(Vec<CoordinationId>, Vec<CoordinationId>), CommandError> {
    // Whoever submits one to an engine that is there may be about to.
    if ledger.is_held()? {
        return Ok((Vec::new(), ids));
    }
    let (mut cut_off, mut others) = (Vec::new(), Vec::new());
    for id in ids {
        let head = ledger.head(&StreamName::Coordination(id.clone()))?;
        let is_cut_off = ledger::stage(&head, false)? == Stage::Starting
            && Lack::of(&ledger.replayed(&id)?, ledger)? == Lack::Items;
        if is_cut_off { cut_off.push(id) } else { others.push(id) }
    }
    Ok((cut_off, others))
}

/// Has an engine end what one that was killed left of sessions, where no run is left to be resumed.
/// Gives what is told of that: nothing where nothing was left.
#[cfg(target_os = "linux")]
fn end_what_is_left(dir: &Path) -> Result<String, CommandError> {
    use antiphon::process::{OrphanState, orphans};
    let left = || -> Result<usize, CommandError> {
        let found = orphans(dir).map_err(CommandError::internal)?;
        Ok(found.iter().filter(|orphan| orphan.known != OrphanState::Stray).count())
    };
    let before = left()?;
    if before == 0 {
        return Ok(String::new());
    }
    on_a_runtime(async { Connection::open(dir, SessionPolicy::Leave).await?.close().await })?;
    let after = left()?;
    let cleared = counted(before.saturating_sub(after), "session");
    Ok(match after {
        0 => format!("; what a crash had left of {cleared} was cleared"),
        _ => format!(
            "; what a crash had left of {cleared} was cleared, and {after} are left: `antiphon doctor` \
             says why"
        ),
    })
}

#[cfg(not(target_os = "linux"))]
fn end_what_is_left(_dir: &Path) -> Result<String, CommandError> {
    Ok(String::new())
}

async fn resume(
    ledger: Ledger,
    json: bool,
    mut ids: Vec<CoordinationId>,
    worst: Option<Kind>,
) -> Result<ExitCode, CommandError> {
    let read = |id: &CoordinationId| Ok((id.clone(), read_again(&ledger, id)?));
    let resumed = ids.iter().map(read).collect::<Result<_, CommandError>>()?;
    let mut follower = RunFollower::connect(&ledger.dir, Runs::Resumed(resumed)).await?;
    let followed = match ids.first() {
        Some(first) => {
            let mut view = View::choose(first.clone(), json);
            follower.sort_running_first(&mut ids, &mut view).await?;
            follow_each(&mut follower, &ledger.dir, json, &ids).await
        }
        None => Ok(None),
    };
    follower.detach(Ok(())).await?;
    Ok(worst.or(followed?).map_or(ExitCode::SUCCESS, ExitCode::from))
}

/// Follows one after the other; all of them run meanwhile. Gives the first kind of error.
async fn follow_each(
    follower: &mut RunFollower,
    dir: &Path,
    json: bool,
    ids: &[CoordinationId],
) -> Result<Option<Kind>, CommandError> {
    let mut worst = None;
    for (place, id) in ids.iter().enumerate() {
        let mut view = View::choose(id.clone(), json);
        let followed = follower.follow(id, &mut view).await;
        let told = match followed {
            Ok(Outcome::Ended(_)) => Ok(()),
            _ => follower.tell_of_the_others(&ids[place + 1..]),
        };
        let outcome = followed?;
        told?;
        match outcome {
            Outcome::Ended(mut outcome) => {
                worst = worst.or(outcome.kind());
                let checked = check(dir, id);
                follower.stands()?;
                outcome.checked(&checked);
                outcome.explain(Ledger::at(dir).store.as_ref(), id);
                view.end(&outcome)?;
                checked?;
            }
            Outcome::Left(_) => return Ok(worst.or(Some(Kind::Aborted))),
        }
    }
    Ok(worst)
}

/// The coordinations that have not ended, the oldest first; nested ones go on with those that they
/// are in, and there is nothing to carry out in what keeps keys for all.
pub(super) fn unfinished(ledger: &Ledger) -> Result<Vec<CoordinationId>, CommandError> {
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
        (!id.is_numbered() && !id.is_shared()).then_some(id)
    };
    let mut ids: Vec<CoordinationId> = heads.iter().filter_map(id).collect();
    ids.reverse();
    Ok(ids)
}
