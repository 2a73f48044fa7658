//! `antiphon cancel`: ends a run, and waits until nothing of it is left.

use std::collections::BTreeSet;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use antiphon::coordination::Stage;
use antiphon::id::{CoordinationId, Version};
use antiphon_server::{ClientError, Steer};
use serde_json::json;

use crate::colour::painted;
use crate::command_error::{CommandError, Kind};
use crate::connection::{Connection, Interrupts};
use crate::follow::{carrying, following, paused_below, tell_of_on_end, waits_for};
use crate::ledger::{self, Ledger};
use crate::named::{self, Qualifies};
use crate::options::Options;
use crate::run_outcome::RunOutcome;
use crate::runtime::on_a_runtime;
use crate::stderr;
use crate::stdout::Stdout;
use crate::text::printable;

/// How often it is looked whether the run waits for a person.
const LOOK: Duration = Duration::from_secs(1);

/// Cancel a run
///
/// Running sessions are asked to stop, then killed with everything they started; the command
/// returns once nothing of the run is left. If no engine is running, the cancellation is recorded
/// all the same. Ctrl-C, SIGTERM and SIGHUP end the wait with 8, and the run is ended all the same.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run, or the beginning of its id; by default the only unfinished one, if there is one only
    #[arg(value_name = "ID", value_parser = ledger::coordination)]
    id: Option<CoordinationId>,
    /// Let running sessions finish, and start nothing new
    #[arg(long)]
    drain: bool,
    /// Reason to record
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        let ledger = Ledger::find(options)?;
        let id = named::the_only(&ledger, self.id.as_ref(), Qualifies::Unended)?;
        ledger.unended(&id)?;
        on_a_runtime(self.cancel(ledger, id, options.json))
    }

    async fn cancel(
        self,
        ledger: Ledger,
        id: CoordinationId,
        json: bool,
    ) -> Result<ExitCode, CommandError> {
        let mut interrupts = Interrupts::catch()?;
        let end = async |connection: &Connection, key: &str| self.end(connection, &id, key).await;
        let (outcome, _) = tokio::select! {
            ended = Connection::command(&ledger.dir, end) => ended?,
            interrupt = interrupts.next() => {
                if matches!(ledger.stage(&id, true)?, Stage::Stopping | Stage::Ended(_)) {
                    stderr::say(printable(&self.goes_on(&id, &ledger)));
                    return Ok(Kind::Aborted.into());
                }
                let text = "interrupted before the cancellation was recorded";
                return Err(CommandError::new(Kind::Aborted, text).after_signal(interrupt.signal()));
            }
        };
        let mut output = Stdout::open();
        match (json, &outcome) {
            (true, _) => output.json(&json!({
                "run": id,
                "verdict": outcome.as_ref().map(|outcome| outcome.verdict),
                "receipt": outcome.as_ref().map(|outcome| outcome.receipt),
            }))?,
            (false, Some(outcome)) => {
                let verdict = outcome.verdict.to_string();
                output.line(format!(
                    "{} ended: {}, receipt {}",
                    id,
                    painted(&verdict, outcome.verdict),
                    outcome.receipt
                ))?;
            }
            (false, None) => output.line(format!(
                "{} is ending, but no engine is running; `antiphon resume {}` lets what it has begun \
                 finish",
                id, id
            ))?,
        }
        output.finish()?;
        Ok(ExitCode::SUCCESS)
    }

    /// What is said where this process no longer waits for the end.
    fn goes_on(&self, id: &CoordinationId, ledger: &Ledger) -> String {
        let engine = carrying(&ledger.dir);
        match self.drain {
            true => format!(
                "detached; {id} ends after its running sessions, in {engine}. `antiphon attach {id}` \
                 shows it, `antiphon cancel {id}` stops them"
            ),
            false => format!(
                "detached; {id} is being ended in {engine}. `antiphon attach {id}` shows it"
            ),
        }
    }

    /// Waits for the end; `None` if it does not come, since nothing is carried out here.
    async fn end(
        &self,
        connection: &Connection,
        id: &CoordinationId,
        key: &str,
    ) -> Result<Option<RunOutcome>, ClientError> {
        let client = &connection.client;
        let how = if self.drain { Steer::Drain } else { Steer::Cancel };
        let accepted = client.steer(id, how, &self.reason, Some(key)).await?;
        let events = client.follow(id, Version(accepted.version.saturating_sub(1)));
        let mut outcome = None;
        let mut told = BTreeSet::new();
        let mut look = tokio::time::interval(LOOK);
        look.reset();
        let mut coming = pin!(following(events));
        loop {
            tokio::select! {
                (events, event) = &mut coming => {
                    let Some(event) = event? else { break };
                    outcome = RunOutcome::of(&event.recorded()?).or(outcome);
                    coming.set(following(events));
                }
                _ = look.tick() => {
                    if self.drain && connection.host.is_some() {
                        return Ok(None);
                    }
                    for paused in paused_below(client, id).await {
                        if told.insert(paused.clone()) {
                            stderr::say(waits_for(client, id, &paused).await);
                        }
                    }
                }
            }
        }
        if outcome.is_some() {
            tell_of_on_end(client, id).await;
        }
        Ok(outcome)
    }
}
