//! `antiphon verify`.

use std::process::ExitCode;

use super::Global;
use crate::command_error::CommandError;

/// Check that the record holds together
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    pub(crate) fn run(self, _global: &Global) -> Result<ExitCode, CommandError> {
        Err(CommandError::internal("verify is not built yet"))
    }
}
