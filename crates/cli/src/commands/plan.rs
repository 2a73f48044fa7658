//! `antiphon plan`: plan files, before anything runs.

pub(super) mod check;
mod schema;
mod show;

use std::process::ExitCode;

use super::Global;
use crate::command_error::CommandError;

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
    pub(crate) fn run(self, global: &Global) -> Result<ExitCode, CommandError> {
        match self.command {
            Command::Check(args) => args.run(global),
            Command::Show(args) => args.run(global),
            Command::Schema(args) => args.run(),
        }
    }
}
