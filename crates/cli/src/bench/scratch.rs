//! What a measurement starts from: an empty directory, and a runtime.

use std::path::Path;

use crate::command_error::{CommandError, Kind};

/// A new directory for one measurement.
pub(super) fn fresh(dir: &Path) -> Result<tempfile::TempDir, CommandError> {
    tempfile::tempdir_in(dir).map_err(|error| {
        CommandError::new(
            Kind::State,
            format!("cannot make a directory in {}: {error}", dir.display()),
        )
    })
}

/// A runtime as a program that embeds the engine has it.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, CommandError> {
    tokio::runtime::Runtime::new().map_err(CommandError::internal)
}
