//! `antiphon bench`.

use std::process::ExitCode;

use super::Global;
use crate::command_error::CommandError;

/// Measure this machine and print medians with the conditions
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    pub(crate) fn run(self, _global: &Global) -> Result<ExitCode, CommandError> {
        Err(CommandError::internal("bench is not built yet"))
    }
}
