//! `antiphon plan schema`: what editors need to help with plan files.

use std::process::ExitCode;

use crate::command_error::CommandError;
use crate::stdout::Stdout;

/// Print the JSON Schema of plan files
///
/// See docs/plan.md for how to use it in an editor.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    pub(crate) fn run(self) -> Result<ExitCode, CommandError> {
        let text = serde_json::to_string_pretty(&antiphon::plan::schema())
            .map_err(CommandError::internal)?;
        let mut output = Stdout::open();
        output.line(text)?;
        output.finish()?;
        Ok(ExitCode::SUCCESS)
    }
}
