//! `antiphon receipt`.

use std::process::ExitCode;

use super::Global;
use crate::command_error::CommandError;

/// Show or export the receipt of a coordination
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    pub(crate) fn run(self, _global: &Global) -> Result<ExitCode, CommandError> {
        Err(CommandError::internal("receipt is not built yet"))
    }
}
