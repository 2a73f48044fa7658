//! The runtime on which commands talk to an engine.

use std::process::ExitCode;

use crate::command_error::CommandError;

/// Runs a command that talks to an engine.
pub(crate) fn on_a_runtime(
    command: impl Future<Output = Result<ExitCode, CommandError>>,
) -> Result<ExitCode, CommandError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime
        .map_err(|error| CommandError::internal(format!("cannot start the runtime: {error}")))?;
    runtime.block_on(command)
}
