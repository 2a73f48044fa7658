//! `antiphon gate`: scores that items wait for.

mod score;
mod wait;

use std::process::ExitCode;

use crate::command_error::CommandError;
use crate::options::Options;
pub(super) use wait::decimal;

/// Score the gates of a run, and wait for them
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Score(score::Args),
    Wait(wait::Args),
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        match self.command {
            Command::Score(args) => args.run(options),
            Command::Wait(args) => args.run(options),
        }
    }
}
