//! `antiphon log`.

use std::process::ExitCode;

use super::Global;
use crate::command_error::CommandError;

/// Print the events of a coordination
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    pub(crate) fn run(self, _global: &Global) -> Result<ExitCode, CommandError> {
        Err(CommandError::internal("log is not built yet"))
    }
}
