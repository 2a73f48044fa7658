//! Memory of an engine that has nothing to do.

use std::path::Path;
use std::time::Duration;

use antiphon::Engine;

use super::memory::{in_another_process, resident};
use super::report::Measured;
use super::scratch::{fresh, runtime};
use crate::command_error::CommandError;

/// How long the engine has to come to rest.
const REST: Duration = Duration::from_millis(500);

/// Memory of a process with an open engine that has nothing to do.
pub(super) fn run(dir: &Path) -> Result<Vec<Measured>, CommandError> {
    let dir = fresh(dir)?;
    let bytes = in_another_process(&["--dir", &dir.path().to_string_lossy(), "bench", "--idle"])?;
    Ok(bytes.into_iter().map(|bytes| Measured::size("idle.rss", bytes as f64)).collect())
}

/// Is the idle engine: opens one, waits, and prints the memory of this process.
pub(crate) fn idle(dir: &Path) -> Result<(), CommandError> {
    runtime()?.block_on(async {
        let setup = Engine::builder(dir).map_err(CommandError::internal)?;
        let engine = setup.start().await.map_err(CommandError::internal)?;
        tokio::time::sleep(REST).await;
        anstream::println!("{}", resident()?);
        engine.close().await.map_err(CommandError::internal)
    })
}
