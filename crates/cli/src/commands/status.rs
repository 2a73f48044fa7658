//! `antiphon status`: how far a run is, from its events, whether or not an engine owns it.

mod object;
pub(super) mod run_status;

use std::process::ExitCode;

use antiphon::id::CoordinationId;

use crate::command_error::CommandError;
use crate::ledger::{self, Ledger};
use crate::named;
use crate::options::Options;
use crate::stdout::Stdout;
use run_status::{Items, RunStatus};

/// Show the progress of a run
///
/// Shows every item with its state and what it waits for, how much of the budget is used, and why the
/// run is paused or has ended.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run, or the beginning of its id; by default the newest
    #[arg(value_name = "ID", value_parser = ledger::coordination)]
    id: Option<CoordinationId>,
    /// Show at most N lines of items, running and failed ones first; 0 for all
    #[arg(long, short = 'n', value_name = "N", default_value_t = 0)]
    limit: usize,
    /// Show only the items that failed
    #[arg(long)]
    failed: bool,
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        let ledger = Ledger::find(options)?;
        let id = named::shown(&ledger, self.id.as_ref())?;
        let status = RunStatus::read(&ledger, id)?;
        let lines = if self.limit == 0 { usize::MAX } else { self.limit };
        let mut output = Stdout::open();
        let items = Items::shown(self.failed, lines);
        match options.json {
            true => output.json(&object::of(&status, items))?,
            false => status.print(items, &mut output)?,
        }
        output.finish()?;
        Ok(ExitCode::SUCCESS)
    }
}
