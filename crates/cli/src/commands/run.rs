//! `antiphon run`: a plan, from its file to a receipt.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use antiphon::Engine;
use antiphon::id::CoordinationId;
use antiphon::ledger::Location;
use antiphon::ledger::verify::Scope;
use antiphon_server::SubmitRequest;
use serde_json::json;

use crate::command_error::{CommandError, Kind};
use crate::connection::{Unsent, request, serving};
use crate::diagnostics::refused;
use crate::follow::{Outcome, RunFollower, Runs, hand_over};
use crate::options::Options;
use crate::runtime::on_a_runtime;
use crate::state_dir;
use crate::stdout::Stdout;
use crate::view::View;

/// Run a plan within its budget, and leave a receipt
///
/// If an engine is already running in the state directory, the plan is submitted to it and followed
/// here; Ctrl-C detaches then. Else press Ctrl-C once to finish running sessions and start nothing
/// new, twice to stop them: the run is left unfinished, and `antiphon resume` continues it. Exits with 0 if the run succeeded, 5 if the plan cannot be run, 6 if only part of it was done, 7
/// if it failed, 8 if it was left unfinished, stopped or aborted, 9 if its budget was spent, 10 if its breaker
/// tripped. With --json, prints the events, one per line.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The plan file; `-` reads it from standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Id of the run; the same plan under the same id continues where it stopped
    #[arg(long, value_name = "ID", value_parser = chosen)]
    id: Option<CoordinationId>,
    /// Hand the run to an engine that stays, print its id and return
    #[arg(long)]
    detach: bool,
}

/// Reads an id that a user chooses.
pub(crate) fn chosen(text: &str) -> Result<CoordinationId, String> {
    CoordinationId::chosen(text).map_err(|error| error.to_string())
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        let id = self.id.unwrap_or_else(Engine::mint);
        let sent = super::plan::read(&self.file)
            .map_err(Unsent::Plan)
            .and_then(|plan| request(&plan, &self.file, Some(&id)));
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
    let client = serving(&state_dir::find(options)).await?;
    let name = request.name.clone();
    match hand_over(&client, &id, request).await {
        Ok(true) => {}
        Ok(false) => return Ok(Kind::Aborted.into()),
        Err(error) => return refused_by_the_engine(error, &name, options),
    }
    let mut output = Stdout::open();
    match options.json {
        true => output.json(&json!({ "run": id }))?,
        false => output.line(id.as_str())?,
    }
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

/// Only the engine compiles; what is wrong with the plan then is reported like what the parser
/// found.
fn refused_by_the_engine(
    error: CommandError,
    name: &str,
    options: &Options,
) -> Result<ExitCode, CommandError> {
    match error.problem().and_then(|problem| problem.plan_error(name)) {
        Some(problems) => refused(&problems, options),
        None => Err(error),
    }
}

/// Submits a plan and sees it through.
pub(crate) async fn run(
    options: &Options,
    id: CoordinationId,
    request: SubmitRequest,
    mut view: View,
) -> Result<ExitCode, CommandError> {
    let dir = state_dir::find(options);
    let name = request.name.clone();
    let mut follower = RunFollower::connect(&dir, Runs::Submitted(Box::new(request))).await?;
    let followed = match follower.announce_unfinished(&id).await {
        Ok(()) => follower.follow(&id, &mut view).await,
        Err(error) => Err(error),
    };
    let mut checked = Ok(());
    let followed = followed.and_then(|mut end| {
        if let Outcome::Ended(outcome) = &mut end {
            checked = check(&dir, &id);
            // No verdict is told of a record that is not there.
            follower.stands()?;
            outcome.checked(checked.is_ok());
            view.end(outcome)?;
        }
        Ok(end)
    });
    let end = match follower.detach(followed).await {
        Ok(end) => end,
        Err(error) => return refused_by_the_engine(error, &name, options),
    };
    checked?;
    match end {
        Outcome::Ended(outcome) => Ok(outcome.exit_code()),
        Outcome::Left => Ok(Kind::Aborted.into()),
    }
}

/// Checks the record of a coordination that has ended, and that its receipt can be rebuilt from it.
pub(crate) fn check(dir: &Path, id: &CoordinationId) -> Result<(), CommandError> {
    let report = Location::directory(dir).verify(&Scope::Coordination(id.clone()))?;
    match report.findings.first() {
        None => Ok(()),
        Some(finding) => Err(CommandError::new(
            Kind::Verification,
            format!("the record of {id} does not verify: {finding}"),
        )
        .with_hint(format!("`antiphon verify {id}` lists everything that is wrong"))),
    }
}
