//! `antiphon retry`: what failed of a run that has ended, and what has changed.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use antiphon::Differences;
use antiphon::digest::Digest;
use antiphon::id::CoordinationId;
use antiphon::plan::{Environment, Origin, Plan};
use antiphon_server::{Code, Problem, RetryAnswer, RetryRequest};
use serde_json::json;

use super::run::{carried_out, refused_by_the_engine};
use crate::command_error::{CommandError, Kind};
use crate::connection::{MissingSecret, Unsent, available, request_again, serving};
use crate::diagnostics::refused;
use crate::follow::{Outcome, Retrial, RunFollower, Runs, retry_there};
use crate::ledger::{self, Ledger};
use crate::named::{self, Qualifies};
use crate::options::Options;
use crate::runtime::on_a_runtime;
use crate::stderr;
use crate::stdout::Stdout;
use crate::taken_over::TakenOver;
use crate::text::{printable, quoted};
use crate::view::View;

/// Carry out what failed, or has changed, of a run that has ended
///
/// Starts a new run, ID@2 or the next free one after it, which takes over what succeeded and is
/// unchanged, and carries out the rest; its budget counts only what runs. Exits like `run`, and with 2
/// if the run has not ended or there is nothing to carry out.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run that has ended; by default the only one that ended without success and was not run
    /// again since, if there is one only
    #[arg(value_name = "ID", value_parser = ledger::coordination)]
    id: Option<CoordinationId>,
    /// The plan file as it is now; the recorded plan by default
    #[arg(value_name = "PLAN")]
    file: Option<PathBuf>,
    /// Run only what did not succeed, with what needs it and what is new: what succeeded is taken over
    /// as it was, whether it has changed or not
    #[arg(long, conflicts_with = "items")]
    failed: bool,
    /// Also run this item again: an item, a cell, a group, a whole matrix, or PARENT/CHILD; the
    /// beginning of a name that only one of them has is enough
    #[arg(long = "item", value_name = "NAME")]
    items: Vec<String>,
    /// Hand the run to an engine that stays, print its id and return
    #[arg(long)]
    detach: bool,
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        let ledger = Ledger::find(options)?;
        let id = named::the_only(&ledger, self.id.as_ref(), Qualifies::Unsuccessful)?;
        match self.request(&ledger, &id) {
            Ok((request, missing)) => {
                let name = request.name.clone().unwrap_or_default();
                let retry = Retrial::new(id.clone(), request);
                let done = match self.detach {
                    true => on_a_runtime(detach(&ledger, retry, &missing, options.json)),
                    false => on_a_runtime(carry_out(&ledger, retry, &missing, options.json)),
                };
                done.or_else(|error| {
                    refused_by_the_engine(self.advised(&id, error), &name, options)
                })
            }
            Err(Unsent::Plan(problems)) => refused(&problems, options),
            Err(Unsent::Command(error)) => Err(error),
        }
    }

    /// What is asked for, and the secrets that are missing for it.
    fn request(
        &self,
        ledger: &Ledger,
        id: &CoordinationId,
    ) -> Result<(RetryRequest, Vec<MissingSecret>), Unsent> {
        let (items, failed) = (self.items.clone(), self.failed);
        let Some(file) = &self.file else {
            let origin = ledger.origin(id).map_err(Unsent::Command)?;
            let (request, missing) = as_recorded(id, origin.as_ref());
            return Ok((RetryRequest { items, failed, ..request }, missing));
        };
        let plan = match file.to_str() {
            Some("-") => Plan::read_stream_for_retry(std::io::stdin().lock(), file),
            _ => Plan::read_for_retry(file),
        };
        let (sent, missing) =
            plan.and_then(|plan| request_again(&plan, file)).map_err(Unsent::Plan)?;
        let request = RetryRequest {
            plan: Some(sent.plan),
            name: Some(sent.name),
            directory: Some(sent.directory),
            environment: sent.environment,
            secrets: sent.secrets,
            failed,
            items,
            id: None,
        };
        Ok((request, missing))
    }

    /// The same error with the command that does what may have been wanted.
    fn advised(&self, id: &CoordinationId, error: CommandError) -> CommandError {
        let hint = match error.problem().and_then(Problem::known_code) {
            Some(Code::NothingToRun) => {
                let changed = match self.failed {
                    true => "the same command without --failed runs what has changed, ",
                    false => "",
                };
                format!(
                    "{changed}`antiphon retry {id} --item NAME` runs an item all the same, and \
                     `antiphon run PLAN --id {id} --again` everything"
                )
            }
            Some(Code::UnknownWork) => format!("`antiphon status {id}` shows its items"),
            _ => return error,
        };
        error.with_hint(hint)
    }
}

/// What the recorded plan takes from here. Secrets that are not here keep nothing else from running.
fn as_recorded(id: &CoordinationId, origin: Option<&Origin>) -> (RetryRequest, Vec<MissingSecret>) {
    let Some(origin) = origin else { return Default::default() };
    if let Some(file) = origin.file.as_deref().filter(|file| has_changed(file, &origin.text)) {
        let file = file.display().to_string();
        let text = format!(
            "note: {file} has changed since {id} was started, and its recorded plan is used; \
             `antiphon retry {id} {}` uses the file as it is now",
            quoted(&file)
        );
        stderr::say(printable(&text));
    }
    let here = Environment::of_process();
    let differences = Differences::of_variables(origin, &here);
    if !differences.is_empty() {
        let file =
            origin.file.as_ref().map_or("PLAN".to_owned(), |file| file.display().to_string());
        let text = format!(
            "note: {differences}, and what was recorded is used; `antiphon retry {id} {}` uses what \
             is set now",
            quoted(&file)
        );
        stderr::say(printable(&text));
    }
    let (secrets, missing) = available(&origin.secrets);
    let environment = here.inherited();
    (RetryRequest { environment, secrets, ..RetryRequest::default() }, missing)
}

/// Whether a plan file is not as it was. One that cannot be read is no other plan.
fn has_changed(file: &Path, then: &Digest) -> bool {
    std::fs::read(file).is_ok_and(|text| Digest::of(&text) != *then)
}

/// Says what is taken over and from where, what runs again and why, and which secrets are missing
/// for it. Gives the id of the new run.
fn say(
    answer: &RetryAnswer,
    missing: &[MissingSecret],
    ledger: &Ledger,
) -> Result<CoordinationId, CommandError> {
    let run = ledger::coordination(&answer.id).map_err(CommandError::internal)?;
    stderr::say(printable(&TakenOver::from(answer).to_string()));
    MissingSecret::say_all(missing, &run, ledger);
    Ok(run)
}

async fn detach(
    ledger: &Ledger,
    retry: Retrial,
    missing: &[MissingSecret],
    json: bool,
) -> Result<ExitCode, CommandError> {
    let client = serving(&ledger.dir).await?;
    let Ok(answer) = retry_there(&client, &retry).await? else {
        return Ok(Kind::Aborted.into());
    };
    let id = say(&answer, missing, ledger)?;
    let mut output = Stdout::open();
    match json {
        true => output.json(&json!({ "run": id.as_str() }))?,
        false => output.line(&id)?,
    }
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

async fn carry_out(
    ledger: &Ledger,
    retry: Retrial,
    missing: &[MissingSecret],
    json: bool,
) -> Result<ExitCode, CommandError> {
    let retry = Arc::new(retry);
    let mut follower = RunFollower::connect(&ledger.dir, Runs::Retried(Arc::clone(&retry))).await?;
    let answer = match follower.retry(&retry).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => return follower.detach(Ok(())).await.map(|()| Kind::Aborted.into()),
        Err(error) => return follower.detach(Err(error)).await.map(|()| ExitCode::SUCCESS),
    };
    let id = say(&answer, missing, ledger)?;
    match carried_out(follower, &ledger.dir, &id, View::choose(id.clone(), json)).await? {
        Outcome::Ended(outcome) => {
            // Not all that was to run may have come to it.
            if let Some(taken_over) = TakenOver::at_end(&Ledger::at(&ledger.dir), &id)? {
                stderr::say(printable(&taken_over));
            }
            Ok(outcome.exit_code())
        }
        Outcome::Left(_) => Ok(Kind::Aborted.into()),
    }
}
