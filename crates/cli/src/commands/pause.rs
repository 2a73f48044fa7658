//! `antiphon pause`: nothing new starts until the run is continued.

use std::process::ExitCode;

use antiphon::id::CoordinationId;
use antiphon_server::Steer;

use crate::command_error::CommandError;
use crate::connection::Connection;
use crate::ledger::{self, Ledger};
use crate::named::{self, Qualifies};
use crate::options::Options;
use crate::runtime::on_a_runtime;
use crate::stdout::Stdout;

/// Pause a run: start nothing new until it is continued
///
/// Running sessions keep running. `antiphon continue ID` ends the pause.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run, or the beginning of its id; by default the only unfinished one, if there is one only
    #[arg(value_name = "ID", value_parser = ledger::coordination)]
    id: Option<CoordinationId>,
    /// Reason to record
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        let ledger = Ledger::find(options)?;
        let id = named::the_only(&ledger, self.id.as_ref(), Qualifies::Unpaused)?;
        ledger.unended(&id)?;
        on_a_runtime(async {
            let (id, reason) = (&id, &self.reason);
            let pause = async |connection: &Connection, key: &str| {
                connection.client.steer(id, Steer::Pause, reason, Some(key)).await
            };
            let (accepted, _) = Connection::command(&ledger.dir, pause).await?;
            let mut output = Stdout::open();
            match options.json {
                true => output.json(&accepted)?,
                false => output
                    .line(format!("{} paused; `antiphon continue {}` continues it", id, id))?,
            }
            output.finish()?;
            Ok(ExitCode::SUCCESS)
        })
    }
}
