//! `antiphon context`: what agents are given to go by.

mod get;
mod set;

use std::process::ExitCode;

use crate::command_error::CommandError;
use crate::options::Options;

/// Show and set contexts: what the agents of a run are given to go by
///
/// A session finds the context of its agent in its context file, as it was when the session began. An
/// item speaks under its id, or under `as`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Get(get::Args),
    Set(set::Args),
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        match self.command {
            Command::Get(args) => args.run(options),
            Command::Set(args) => args.run(options),
        }
    }
}
