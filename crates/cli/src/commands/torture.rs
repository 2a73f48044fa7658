//! `antiphon torture`.

use std::process::ExitCode;

use super::Global;
use crate::command_error::CommandError;

/// Prove the promises on this disk, under kill -9
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    pub(crate) fn run(self, _global: &Global) -> Result<ExitCode, CommandError> {
        Err(CommandError::internal("torture is not built yet"))
    }
}
