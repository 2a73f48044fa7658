//! `antiphon list`.

use std::process::ExitCode;

use super::Global;
use crate::command_error::CommandError;

/// List coordinations, newest first
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    pub(crate) fn run(self, _global: &Global) -> Result<ExitCode, CommandError> {
        Err(CommandError::internal("list is not built yet"))
    }
}
