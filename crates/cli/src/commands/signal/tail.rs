//! `antiphon signal tail`: signals as they come.

use std::process::ExitCode;

use antiphon_server::FollowAfter;

use super::heard::print;
use super::wanted::Wanted;
use crate::command_error::CommandError;
use crate::heard::Heard;
use crate::ledger::Ledger;
use crate::named::SpokenRun;
use crate::options::Options;

/// Print signals as they come, until the run has ended
///
/// If no engine runs, one is started that stays as long as it is used. Ctrl-C, SIGTERM and SIGHUP end it
/// with 8.
///
/// Examples:
///   antiphon signal tail
///   antiphon signal tail 'review.*' --after beginning --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Only those of these types; `review.*` stands for all that begin like this
    #[arg(value_name = "TYPE")]
    types: Vec<String>,
    #[command(flatten)]
    wanted: Wanted,
    /// Where to begin: `beginning`, `now`, or behind a version of the run's stream
    #[arg(long, value_name = "WHERE", default_value = "now", value_parser = FollowAfter::read)]
    after: FollowAfter,
    #[command(flatten)]
    run: SpokenRun,
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        let ledger = Ledger::find(options)?;
        let wanted = self.wanted.of_types(self.types)?;
        let run = self.run.existing(&ledger)?;
        let heard = Heard::new(&ledger, run, wanted, self.after);
        heard.print_all(|output, signal| print(output, options.json, signal))
    }
}
