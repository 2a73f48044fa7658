//! Memory, measured in a process of its own: this program again, told to be what is measured.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use antiphon::Engine;

use super::kernel::{Run, batch, batches};
use super::{Measured, fresh, runtime};
use crate::command_error::CommandError;

/// How long the engine has to come to rest.
const REST: Duration = Duration::from_millis(500);

/// Memory of a process with an open engine that has nothing to do.
pub(super) fn run(dir: &Path) -> Result<Vec<Measured>, CommandError> {
    let dir = fresh(dir)?;
    let bytes = in_another_process(&["--dir", &dir.path().to_string_lossy(), "bench", "--idle"])?;
    Ok(bytes.into_iter().map(|bytes| Measured::size("idle.rss", bytes as f64)).collect())
}

/// How much memory the state of the kernel's coordination takes, in bytes.
pub(super) fn kernel_bytes() -> Result<u64, CommandError> {
    let bytes = in_another_process(&["bench", "--kernel-memory"])?;
    bytes
        .first()
        .copied()
        .ok_or_else(|| CommandError::internal("the measured process said nothing"))
}

/// Is the idle engine: opens one, waits, and prints the memory of this process.
pub(crate) fn idle(dir: &Path) -> Result<(), CommandError> {
    runtime()?.block_on(async {
        let setup = Engine::open(dir).map_err(CommandError::internal)?;
        let engine = setup.start().await.map_err(CommandError::internal)?;
        tokio::time::sleep(REST).await;
        anstream::println!("{}", resident()?);
        engine.close().await.map_err(CommandError::internal)
    })
}

/// Is the kernel: runs its coordination, and prints by how much this process has grown.
pub(crate) fn kernel_memory() -> Result<(), CommandError> {
    let before = resident()?;
    let mut run = Run::start()?;
    // Each event is made, applied and forgotten, so that what stays is the state.
    for first in batches() {
        run.apply(&batch(first)?)?;
    }
    run.finish()?;
    let after = resident()?;
    anstream::println!("{}", after.saturating_sub(before));
    if run.is_done() { Ok(()) } else { Err(CommandError::internal("not every item was done")) }
}

/// Runs this program to be measured; gives the numbers that it prints on one line.
pub(super) fn in_another_process(arguments: &[&str]) -> Result<Vec<u64>, CommandError> {
    let program = std::env::current_exe().map_err(CommandError::internal)?;
    let output = Command::new(program)
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()
        .map_err(CommandError::internal)?;
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers = text.split_whitespace().map(str::parse).collect::<Result<Vec<_>, _>>();
    match numbers {
        Ok(numbers) if output.status.success() => Ok(numbers),
        _ => Err(CommandError::internal(format!(
            "the measured process ended with {}",
            output.status
        ))),
    }
}

/// Memory of this process that is in RAM, in bytes.
pub(super) fn resident() -> Result<u64, CommandError> {
    let status = std::fs::read_to_string("/proc/self/status").map_err(CommandError::internal)?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: Option<u64> = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    kib.map(|kib| kib * 1024).ok_or_else(|| {
        CommandError::internal("this system does not say how much memory a process has")
    })
}
