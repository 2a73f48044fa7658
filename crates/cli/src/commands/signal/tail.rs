//! `antiphon signal tail`: signals as they come.

use std::process::ExitCode;

use antiphon::id::CoordinationId;
use antiphon_server::FollowAfter;

use super::heard::{Heard, print};
use super::wanted::Wanted;
use crate::command_error::{CommandError, Kind};
use crate::connection::Interrupts;
use crate::ledger::{self, Ledger};
use crate::named;
use crate::options::Options;
use crate::runtime::on_a_runtime;
use crate::stdout::Stdout;

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
    /// The run, or the beginning of its id; by default that of the session, else the newest
    #[arg(long, value_name = "ID", value_parser = ledger::coordination)]
    run: Option<CoordinationId>,
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        let ledger = Ledger::find(options)?;
        let wanted = self.wanted.query(self.types)?;
        let run = named::spoken_in(&ledger, self.run.as_ref())?;
        let mut heard = Heard::new(&ledger, run, wanted, self.after);
        on_a_runtime(async {
            let mut interrupts = Interrupts::catch()?;
            let mut output = Stdout::open();
            while output.is_open() {
                let signal = tokio::select! {
                    signal = heard.next() => signal?,
                    _ = interrupts.next() => {
                        output.finish()?;
                        return Ok(Kind::Aborted.into());
                    }
                };
                let Some(signal) = signal else { break };
                print(&mut output, options.json, &signal)?;
                output.flush()?;
            }
            output.finish()?;
            Ok(ExitCode::SUCCESS)
        })
    }
}
