//! `antiphon plan`: plan files, before anything runs.

mod check;
mod schema;
mod show;
mod source;

use std::process::ExitCode;

use crate::command_error::CommandError;
use crate::options::Options;

pub(crate) use source::read;

/// Check and show plan files
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Check(check::Args),
    Show(show::Args),
    Schema(schema::Args),
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        match self.command {
            Command::Check(args) => args.run(options),
            Command::Show(args) => args.run(options),
            Command::Schema(args) => args.run(),
        }
    }
}
