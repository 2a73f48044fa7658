//! What a measurement starts from: an empty directory, a runtime, and an engine with an open run.

use std::path::Path;
use std::sync::Arc;

use antiphon::coordination::{CoordinationBudget, CoordinationConfig};
use antiphon::ledger::MemoryStore;
use antiphon::{Engine, EngineBuilder, Run, StartError};

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

/// An engine on a ledger in memory, with an open run.
pub(super) async fn in_memory() -> Result<(Engine, Run), CommandError> {
    open_run(Engine::builder_on(Arc::new(MemoryStore::default()))).await
}

/// An engine with an open run, which has no work.
pub(super) async fn open_run(
    builder: Result<EngineBuilder, StartError>,
) -> Result<(Engine, Run), CommandError> {
    let engine = builder.map_err(CommandError::internal)?.start().await;
    let engine = engine.map_err(CommandError::internal)?;
    let budget = CoordinationBudget::new(1, 3_600_000, 1_000, None);
    let config = CoordinationConfig::open(Vec::new(), budget.map_err(CommandError::internal)?);
    let run = engine.submit(config.map_err(CommandError::internal)?).await;
    Ok((engine, run.map_err(CommandError::internal)?))
}
