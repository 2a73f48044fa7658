//! `antiphon run`: a plan, from its file to a receipt.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use antiphon::Engine;
use antiphon::id::{CoordinationId, StreamName};
use antiphon::ledger::{ReadError, Repetition};
use antiphon_server::{Code, Problem, SubmitRequest};
use serde_json::json;

use super::ended::EndedRun;
use super::record::check;
use crate::command_error::{CommandError, Kind};
use crate::connection::{Unsent, request, serving};
use crate::continuation::advice;
use crate::diagnostics::refused;
use crate::earlier_run::refuse_interrupted;
use crate::follow::{Outcome, RunFollower, Runs, hand_over};
use crate::ledger::Ledger;
use crate::options::Options;
use crate::run_outcome::Record;
use crate::runtime::on_a_runtime;
use crate::state_dir;
use crate::stdout::Stdout;
use crate::view::View;

/// What starts a run anew whose id has ended.
const AGAIN: &str = "the same command with --again runs all of it again";

/// What carries out something else under an id that has ended.
pub(super) const UNDER_ANOTHER: &str =
    "the same command with --again runs all of it, under the next free id";

/// Run a plan within its budget, and leave a receipt
///
/// If an engine is already running in the state directory, the plan is submitted to it and followed
/// here; Ctrl-C detaches then, and the run goes on. Else this process carries it out: press Ctrl-C once
/// to finish running sessions and start nothing new, twice to stop them. SIGTERM and SIGHUP stop them
/// at once. The run is left unfinished: `antiphon resume` continues it, `antiphon cancel` ends it. If
/// others have submitted runs to this process meanwhile, it stays until these have ended, too, or the
/// next Ctrl-C.
///
/// A run is its plan, parameters and inputs under one id. The same command with the same --id continues
/// a run that is unfinished; of one that has ended it shows the result, and --again starts it anew. Without
/// an id, a plan of which a run was interrupted is refused, unless --new is given. Other unfinished runs
/// of the directory are named and left alone.
///
/// With --detach the run is handed to an engine that stays (`antiphon serve`; one is started if there is
/// none, and exits when nothing is left to do), the id is printed, and the command returns: `antiphon
/// attach` shows the run, `antiphon wait` has its exit code.
///
/// With --json, prints the events, one on a line. Exits with 0 if the run succeeded or was handed over
/// (--detach), 2 if the id is used by something else or a secret is missing, 3 if the state directory
/// cannot be used, 5 if the plan cannot be run, 6 if only part of it was done, 7 if it failed, 8 if it was
/// left unfinished, cancelled or aborted, 9 if its budget was spent, 10 if its breaker tripped, 11 if the
/// engine of the directory does not answer. docs/exit-codes.md says what to do about each.
///
/// Examples:
///   antiphon run plan.yaml
///   antiphon run nightly.yaml --id "nightly-$(date +%F)"
///   antiphon run plan.yaml --id build --detach
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// The plan file; `-` reads it from standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Id of the run; the same plan under the same id continues where it stopped
    #[arg(long, value_name = "ID", value_parser = chosen)]
    id: Option<CoordinationId>,
    /// If the run of this id has ended, start the plan anew under the next free id: ID@2, ID@3, ...
    #[arg(long, requires = "id")]
    again: bool,
    /// Start another run of a plan of which one is unfinished
    #[arg(long, conflicts_with = "id")]
    new: bool,
    /// Hand the run to an engine that stays, print its id and return
    #[arg(long)]
    detach: bool,
}

/// Reads an id that a user chooses.
pub(crate) fn chosen(text: &str) -> Result<CoordinationId, String> {
    CoordinationId::chosen(text).map_err(|error| error.to_string())
}

/// The id of a run that is to be started: one that was chosen, or the next free one after it if what
/// ended under it is to be done again, or a new one.
pub(super) fn id_of(
    options: &Options,
    id: Option<CoordinationId>,
    again: bool,
) -> Result<CoordinationId, CommandError> {
    match id {
        Some(id) if again => next_free(&Ledger::at(&state_dir::find(options)), &id),
        id => Ok(id.unwrap_or_else(Engine::mint)),
    }
}

/// The id under which what this names is done again: the next free one. What was done so before must
/// have ended.
fn next_free(ledger: &Ledger, id: &CoordinationId) -> Result<CoordinationId, CommandError> {
    let found = match Repetition::of(ledger.store.as_ref(), id) {
        Err(ReadError::Absent { .. }) => return Ok(id.clone()),
        found => found??,
    };
    let unfinished = found.before.last().filter(|head| !head.ended);
    match unfinished.map(|head| &head.stream) {
        Some(StreamName::Coordination(id)) => {
            let hint = format!("{}; `antiphon cancel {id}` ends it", advice(ledger, id));
            Err(CommandError::new(Kind::Usage, format!("{id} is unfinished")).with_hint(hint))
        }
        _ => Ok(found.next),
    }
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        let is_named = self.id.is_some();
        let id = id_of(options, self.id, self.again)?;
        let sent = super::plan::read(&self.file).map_err(Unsent::Plan).and_then(|plan| {
            if !is_named && !self.new {
                refuse_interrupted(&state_dir::find(options), &plan).map_err(Unsent::Command)?;
            }
            let ledger = Ledger::at(&state_dir::find(options));
            request(&plan, &self.file, &id, &ledger)
        });
        match sent {
            Ok(request) if self.detach => on_a_runtime(detach(options, id, request)),
            Ok(request) => {
                let view = View::choose(id.clone(), options.json);
                on_a_runtime(run(options, id, request, view))
            }
            Err(Unsent::Plan(problems)) => refused(&problems, options),
            Err(Unsent::Command(error)) => Err(error),
        }
    }
}

/// Hands a plan to an engine that stays, and prints the id of its run.
async fn detach(
    options: &Options,
    id: CoordinationId,
    request: SubmitRequest,
) -> Result<ExitCode, CommandError> {
    let dir = state_dir::find(options);
    let client = serving(&dir).await?;
    let name = request.name.clone();
    let was_over = client.status(&id).await.is_ok_and(|run| run.ended);
    match hand_over(&client, &id, request).await {
        Ok(true) => {}
        Ok(false) => return Ok(Kind::Aborted.into()),
        Err(error) => {
            let error = if was_over { taken(error, &other_plan(&id)) } else { error };
            return refused_by_the_engine(error, &name, options);
        }
    }
    let mut output = Stdout::open();
    match options.json {
        true => output.json(&json!({ "run": id }))?,
        false => output.line(id.as_str())?,
    }
    output.finish()?;
    let ledger = Ledger::at(&dir);
    match EndedRun::find(&ledger, &id)?.filter(|_| was_over) {
        Some(ended) => {
            ended.say(Some(AGAIN))?;
            Ok(ended.outcome().exit_code())
        }
        None => Ok(ExitCode::SUCCESS),
    }
}

/// What carries out a plan whose id another one has, whose run has ended.
fn other_plan(id: &CoordinationId) -> String {
    format!("`antiphon retry {id} FILE` carries out what has changed since; {UNDER_ANOTHER}")
}

/// The same error with what carries out something else than the run that has ended under its id.
fn taken(error: CommandError, other: &str) -> CommandError {
    match error.problem().and_then(Problem::known_code) {
        Some(Code::IdTaken) => error.with_hint(format!("it has ended: {other}")),
        _ => error,
    }
}

/// Only the engine compiles; what is wrong with the plan then is reported like what the parser
/// found.
pub(crate) fn refused_by_the_engine(
    error: CommandError,
    name: &str,
    options: &Options,
) -> Result<ExitCode, CommandError> {
    match error.problem().and_then(|problem| problem.plan_error(name)) {
        Some(problems) => refused(&problems, options),
        None => Err(error),
    }
}

/// Submits a plan, sees it through and gives its exit code.
async fn run(
    options: &Options,
    id: CoordinationId,
    request: SubmitRequest,
    view: View,
) -> Result<ExitCode, CommandError> {
    let name = request.name.clone();
    let other = other_plan(&id);
    match see_through(&state_dir::find(options), id, request, &other, view).await {
        Ok(Outcome::Ended(outcome)) => Ok(outcome.exit_code()),
        Ok(Outcome::Left(_)) => Ok(Kind::Aborted.into()),
        Err(error) => refused_by_the_engine(error, &name, options),
    }
}

/// Submits a plan and sees it through. Where a run of something else has ended under its id, `other`
/// says what carries it out all the same.
pub(crate) async fn see_through(
    dir: &Path,
    id: CoordinationId,
    request: SubmitRequest,
    other: &str,
    mut view: View,
) -> Result<Outcome, CommandError> {
    let mut follower = RunFollower::connect(dir, Runs::Submitted(Box::new(request))).await?;
    if follower.is_over(&id).await {
        let submitted = follower.submit(&mut view).await;
        let submitted = follower.detach(submitted).await.map_err(|error| taken(error, other));
        if let Some(interrupt) = submitted? {
            return Ok(Outcome::Left(interrupt));
        }
        let ledger = Ledger::at(dir);
        return match EndedRun::find(&ledger, &id)? {
            Some(ended) => ended.show(view, Some(AGAIN)).map(Outcome::Ended),
            None => Err(CommandError::internal(format!("{id} had ended and has not any more"))),
        };
    }
    carried_out(follower, dir, &id, view).await
}

/// Sees a run through that an engine has carried out for this command.
pub(super) async fn carried_out(
    mut follower: RunFollower,
    dir: &Path,
    id: &CoordinationId,
    mut view: View,
) -> Result<Outcome, CommandError> {
    let followed = match follower.announce_unfinished(id).await {
        Ok(()) => follower.follow(id, &mut view).await,
        Err(error) => Err(error),
    };
    let mut checked = Ok(Record::Unchecked);
    let followed = followed.and_then(|mut end| {
        if let Outcome::Ended(outcome) = &mut end {
            checked = check(dir, id);
            // No verdict is told of a record that is not there.
            follower.stands()?;
            outcome.checked(&checked);
            outcome.explain(Ledger::at(dir).store.as_ref(), id);
            view.end(outcome)?;
        }
        Ok(end)
    });
    let end = follower.detach(followed).await?;
    checked?;
    Ok(end)
}
