//! `antiphon continue`: ends a pause, with higher ceilings if they are given.

use std::process::ExitCode;

use antiphon::id::CoordinationId;
use antiphon::plan::{Cost, Count, Millis};
use antiphon_server::RaiseRequest;

use crate::command_error::{CommandError, Kind};
use crate::connection::Connection;
use crate::continuation::{Lack, pause_ended_by};
use crate::ledger::{self, Ledger};
use crate::named::{self, Qualifies};
use crate::options::Options;
use crate::runtime::on_a_runtime;
use crate::stdout::Stdout;

/// Continue a paused run, with higher ceilings if given
///
/// Ceilings are totals, as in the plan, and can only be raised.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run, or the beginning of its id; by default the only paused one, if there is one only
    #[arg(value_name = "ID", value_parser = ledger::coordination)]
    id: Option<CoordinationId>,
    /// Maximum number of sessions
    #[arg(long, value_name = "N")]
    sessions: Option<u32>,
    /// Maximum time from start to end, such as 2h
    #[arg(long, value_name = "DURATION")]
    duration: Option<Millis>,
    /// Maximum tokens, such as 500k
    #[arg(long, value_name = "N")]
    tokens: Option<Count>,
    /// Maximum cost, such as "12.50 USD"
    #[arg(long, value_name = "COST")]
    cost: Option<Cost>,
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        let ledger = Ledger::find(options)?;
        let id = named::the_only(&ledger, self.id.as_ref(), Qualifies::Paused)?;
        ledger.unended(&id)?;
        on_a_runtime(self.resume(ledger, id, options.json))
    }

    async fn resume(
        self,
        ledger: Ledger,
        id: CoordinationId,
        json: bool,
    ) -> Result<ExitCode, CommandError> {
        let raise = RaiseRequest {
            sessions: self.sessions,
            duration_ms: self.duration.map(|duration| duration.0),
            tokens: self.tokens.map(|tokens| tokens.0),
            cost: self.cost.as_ref().map(|cost| cost.millionths),
        };
        self.check_currency(&ledger, &id)?;
        let request = async |connection: &Connection, key: &str| {
            connection.client.continue_(&id, &raise, Some(key)).await
        };
        let (accepted, acted_on) =
            Connection::command(&ledger.dir, request).await.map_err(|error| {
                let continued = ledger.replayed(&id).ok().filter(|run| run.is_exhausted());
                match continued.as_ref().and_then(pause_ended_by) {
                Some(continued) if error.kind() == Kind::Usage => {
                    error.with_hint(format!("{continued} continues it"))
                }
                None if error.kind() == Kind::Usage && raise != RaiseRequest::default() => error
                    .with_hint(format!(
                        "the run must be paused, and ceilings are totals that can only be raised; \
                         `antiphon status {id}` shows both"
                    )),
                _ => error,
            }
            })?;
        let mut output = Stdout::open();
        match (json, acted_on) {
            (true, _) => output.json(&accepted)?,
            (false, true) => output.line(format!("{} continued", id))?,
            (false, false) => {
                let lack = Lack::of(&ledger.replayed(&id)?, &ledger)?;
                let advice = lack.advice(&id, None);
                output.line(format!("{} continued, but no engine is running; {advice}", id))?;
            }
        }
        output.finish()?;
        Ok(ExitCode::SUCCESS)
    }

    /// A ceiling in another currency than the budget's would be a mistake of a factor.
    fn check_currency(&self, ledger: &Ledger, id: &CoordinationId) -> Result<(), CommandError> {
        let Some(cost) = &self.cost else { return Ok(()) };
        let run = ledger.replayed(id)?;
        match run.budget().currency() {
            Some(currency) if currency == cost.currency => Ok(()),
            Some(currency) => {
                let what = format!("the budget of {} is in {currency}, and {cost} is not", id);
                Err(CommandError::new(Kind::Usage, what)
                    .with_hint(format!("give the ceiling in {currency}")))
            }
            None => Err(CommandError::new(
                Kind::Usage,
                format!("the budget of {} has no ceiling on cost to raise", id),
            )),
        }
    }
}
