//! `antiphon work`: the items of a run that is there.

mod add;

use std::process::ExitCode;

use crate::command_error::CommandError;
use crate::options::Options;

/// Add items to a run
///
/// Inside a session, a command is about the session's own run; elsewhere it is about the newest run, or
/// about that of --run.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Add(add::Args),
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        match self.command {
            Command::Add(args) => args.run(options),
        }
    }
}
