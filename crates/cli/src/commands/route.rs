//! `antiphon route`: what plans decide to follow attempts.

mod test;

use std::process::ExitCode;

use crate::command_error::CommandError;
use crate::options::Options;

/// Try the rules of a plan that decide what follows an attempt
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Test(test::Args),
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        match self.command {
            Command::Test(args) => args.run(options),
        }
    }
}
