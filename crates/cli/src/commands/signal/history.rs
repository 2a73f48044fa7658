//! `antiphon signal history`: the signals that there were.

use std::process::ExitCode;

use antiphon::id::CoordinationId;
use antiphon::signals::RecordedSignals;
use antiphon_server::SignalLine;

use super::heard::print;
use super::wanted::Wanted;
use crate::command_error::CommandError;
use crate::ledger::{self, Ledger};
use crate::named;
use crate::options::Options;
use crate::stderr;
use crate::stdout::Stdout;
use crate::text::printable;

/// Show the signals that there were, newest first
///
/// Reads the record, whether an engine runs or not.
///
/// Examples:
///   antiphon signal history
///   antiphon signal history 'review.*' --from builder --field file=src/lib.rs
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Only those of these types; `review.*` stands for all that begin like this
    #[arg(value_name = "TYPE")]
    types: Vec<String>,
    #[command(flatten)]
    wanted: Wanted,
    /// Most signals to show
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
    /// The run, or the beginning of its id; by default that of the session, else the newest
    #[arg(long, value_name = "ID", value_parser = ledger::coordination)]
    run: Option<CoordinationId>,
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        let ledger = Ledger::find(options)?;
        let (_, filter) = self.wanted.query(self.types)?;
        let run = named::spoken_in(&ledger, self.run.as_ref())?;
        let recorded = RecordedSignals::of(ledger.store.as_ref(), &run)?;
        let found = recorded.last(&filter, self.limit.into())?;
        let mut output = Stdout::open();
        for signal in &found {
            print(&mut output, options.json, &SignalLine::from(signal))?;
        }
        output.finish()?;
        if found.is_empty() {
            stderr::say(printable(&format!("there is no such signal in {run}")));
        }
        Ok(ExitCode::SUCCESS)
    }
}
