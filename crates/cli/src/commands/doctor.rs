//! `antiphon doctor`.

use std::process::ExitCode;

use super::Global;
use crate::command_error::CommandError;

/// Explain what is wrong with a state directory, and what is safe to do
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    pub(crate) fn run(self, _global: &Global) -> Result<ExitCode, CommandError> {
        Err(CommandError::internal("doctor is not built yet"))
    }
}
