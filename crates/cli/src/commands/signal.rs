//! `antiphon signal`: messages within a run.

mod heard;
mod history;
mod send;
mod tail;
mod wait;
mod wanted;

use std::process::ExitCode;

use crate::command_error::CommandError;
use crate::options::Options;

/// Send and follow the signals of a run: messages of its items and yours
///
/// Inside a session, a command is about the session's own run and speaks in the name of its item;
/// elsewhere it is about the newest run, or about that of --run.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Send(send::Args),
    Wait(wait::Args),
    Tail(tail::Args),
    History(history::Args),
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        match self.command {
            Command::Send(args) => args.run(options),
            Command::Wait(args) => args.run(options),
            Command::Tail(args) => args.run(options),
            Command::History(args) => args.run(options),
        }
    }
}
