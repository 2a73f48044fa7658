//! `antiphon key`: versioned values that the items of a run and people share.

pub(super) mod change;
mod delete;
mod get;
mod list;
pub(super) mod reading;
mod set;
mod wait;
mod watch;

use std::process::ExitCode;

use crate::command_error::CommandError;
use crate::options::Options;

/// Read and change the keys of a run: versioned values that its items and you share
///
/// Inside a session, a command is about the session's own run; elsewhere it is about the newest run, or
/// about that of --run. The run `shared` keeps keys that belong to no run of their own.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Get(get::Args),
    Set(set::Args),
    Delete(delete::Args),
    List(list::Args),
    Wait(wait::Args),
    Watch(watch::Args),
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        match self.command {
            Command::Get(args) => args.run(options),
            Command::Set(args) => args.run(options),
            Command::Delete(args) => args.run(options),
            Command::List(args) => args.run(options),
            Command::Wait(args) => args.run(options),
            Command::Watch(args) => args.run(options),
        }
    }
}
