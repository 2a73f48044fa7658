//! `antiphon budget`: what a run may use.

mod left;

use std::process::ExitCode;

use crate::command_error::CommandError;
use crate::options::Options;

/// Show what a run may still use
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Left(left::Args),
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        match self.command {
            Command::Left(args) => args.run(options),
        }
    }
}
