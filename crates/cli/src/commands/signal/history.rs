//! `antiphon signal history`: the signals that there were.

use std::process::ExitCode;

use antiphon::signals::RecordedSignals;
use antiphon_server::SignalLine;

use super::heard::print;
use super::wanted::Wanted;
use crate::command_error::CommandError;
use crate::ledger::Ledger;
use crate::named::SpokenRun;
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
    #[command(flatten)]
    run: SpokenRun,
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        let ledger = Ledger::find(options)?;
        let wanted = self.wanted.of_types(self.types)?;
        let run = self.run.existing(&ledger)?;
        let recorded = RecordedSignals::of(ledger.store.as_ref(), &run)?;
        let found = recorded.last(wanted.filter(), self.limit.into())?;
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
