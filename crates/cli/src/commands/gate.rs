//! `antiphon gate`: scores that items wait for.

mod score;

use std::process::ExitCode;

use crate::command_error::CommandError;
use crate::options::Options;

/// Score the gates of a run
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Score(score::Args),
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        match self.command {
            Command::Score(args) => args.run(options),
        }
    }
}
