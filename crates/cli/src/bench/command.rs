//! Whole commands, from the moment their process is spawned to that in which it has ended.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::process::program;
use super::report::Measured;
use super::rounds::ROUNDS;
use super::scratch::fresh;
use crate::command_error::CommandError;

/// Commands of a round, one after the other.
const EACH: usize = 20;

/// A plan of one process that does nothing: with a state directory that is not there yet, and with
/// one that is used again and again.
pub(super) fn run(dir: &Path) -> Result<Vec<Measured>, CommandError> {
    let dir = fresh(dir)?;
    let plan = dir.path().join("plan.yaml");
    let nothing = program("true")?;
    let text = format!(
        "name: nothing\nbudget: {{ sessions: 1, duration: 1m }}\nwork:\n  item: {{ command: [{nothing:?}] }}\n"
    );
    std::fs::write(&plan, text).map_err(CommandError::internal)?;
    let run =
        |state: &str| timed(this()?.arg("--dir").arg(dir.path().join(state)).arg("run").arg(&plan));
    let mut fresh = 0..;
    Ok(vec![
        repeated("run.noop.fresh", || run(&format!("fresh-{}", fresh.next().unwrap_or(0))))?,
        repeated("run.noop", || run("state"))?,
    ])
}

/// The least that the program can be asked to do.
pub(super) fn version() -> Result<Vec<Measured>, CommandError> {
    Ok(vec![repeated("run.version", || timed(this()?.arg("--version")))?])
}

/// The same command again and again, one after the other.
pub(super) fn repeated(
    name: &str,
    mut once: impl FnMut() -> Result<Duration, CommandError>,
) -> Result<Measured, CommandError> {
    let (mut times, mut rates) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let taken = (0..EACH).map(|_| once()).collect::<Result<Vec<_>, _>>()?;
        if round > 0 {
            rates.push(EACH as f64 / taken.iter().sum::<Duration>().as_secs_f64());
            times.extend(taken);
        }
    }
    Ok(Measured::timed(name, "ms", &mut times, &mut rates))
}

/// This program, to be started as a process of its own.
pub(super) fn this() -> Result<Command, CommandError> {
    std::env::current_exe().map(Command::new).map_err(CommandError::internal)
}

/// How long a command takes, with its output on a pipe as most callers have it.
pub(super) fn timed(command: &mut Command) -> Result<Duration, CommandError> {
    let before = Instant::now();
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let taken = before.elapsed();
    let output = output.map_err(CommandError::internal)?;
    if output.status.success() {
        Ok(taken)
    } else {
        Err(CommandError::internal(format!("{command:?} ended with {}", output.status)))
    }
}
