//! `antiphon cancel`: ends a run, and waits until nothing of it is left.

use std::process::ExitCode;

use antiphon::id::{CoordinationId, Version};
use antiphon_server::{Client, ClientError, Steer};
use serde_json::json;

use crate::colour::painted;
use crate::command_error::CommandError;
use crate::connection::Connection;
use crate::ledger::{self, Ledger};
use crate::options::Options;
use crate::run_outcome::RunOutcome;
use crate::runtime::on_a_runtime;
use crate::stdout::Stdout;

/// Cancel a run
///
/// Running sessions are asked to stop, then killed with everything they started; the command
/// returns once nothing of the run is left. If no engine is running, the cancellation is recorded
/// all the same.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run
    #[arg(value_name = "ID", value_parser = ledger::coordination)]
    id: CoordinationId,
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
        ledger.unended(&self.id)?;
        on_a_runtime(self.cancel(ledger, options.json))
    }

    async fn cancel(self, ledger: Ledger, json: bool) -> Result<ExitCode, CommandError> {
        let (outcome, _) =
            Connection::command(&ledger.dir, async |client, key| self.end(client, key).await)
                .await?;
        let mut output = Stdout::open();
        match (json, &outcome) {
            (true, _) => output.json(&json!({
                "run": self.id,
                "verdict": outcome.as_ref().map(|outcome| outcome.verdict),
                "receipt": outcome.as_ref().map(|outcome| outcome.receipt),
            }))?,
            (false, Some(outcome)) => {
                let verdict = outcome.verdict.to_string();
                output.line(format!(
                    "{} ended: {}, receipt {}",
                    self.id,
                    painted(&verdict, outcome.verdict),
                    outcome.receipt
                ))?;
            }
            (false, None) => output.line(format!("{} is ending", self.id))?,
        }
        output.finish()?;
        Ok(ExitCode::SUCCESS)
    }

    async fn end(&self, client: &Client, key: &str) -> Result<Option<RunOutcome>, ClientError> {
        let how = if self.drain { Steer::Drain } else { Steer::Cancel };
        let accepted = client.steer(&self.id, how, &self.reason, Some(key)).await?;
        let mut events = client.follow(&self.id, Version(accepted.version.saturating_sub(1)));
        let mut outcome = None;
        while let Some(event) = events.next().await? {
            outcome = RunOutcome::of(&event.recorded()?).or(outcome);
        }
        Ok(outcome)
    }
}
