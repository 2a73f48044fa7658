//! A run that is handed to an engine that stays, where none runs: until the prompt is back.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::process::program;
use super::report::Measured;
use super::scratch::fresh;
use crate::command_error::CommandError;

/// Rounds; the first is not counted.
const ROUNDS: usize = 6;

/// Runs that are handed over in a round, one after the other.
const EACH: usize = 10;

/// The engine of each run has ended before the next is measured.
pub(super) fn run(dir: &Path) -> Result<Vec<Measured>, CommandError> {
    let dir = fresh(dir)?;
    let plan = dir.path().join("plan.yaml");
    let nothing = program("true")?;
    let text = format!(
        "name: nothing\nbudget: {{ sessions: 1, duration: 1m }}\nwork:\n  item: {{ command: [{nothing:?}] }}\n"
    );
    std::fs::write(&plan, text).map_err(CommandError::internal)?;
    let state = dir.path().join("state");
    let (mut times, mut rates) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let taken = (0..EACH).map(|_| handed_over(&state, &plan)).collect::<Result<Vec<_>, _>>()?;
        if round > 0 {
            rates.push(EACH as f64 / taken.iter().sum::<Duration>().as_secs_f64());
            times.extend(taken);
        }
    }
    Ok(vec![Measured::timed("run.detach", "ms", &mut times, &mut rates)])
}

/// From spawning the command to its end. What the engine does afterwards is waited for apart.
fn handed_over(state: &Path, plan: &Path) -> Result<Duration, CommandError> {
    let before = Instant::now();
    let id = told(state, &[OsStr::new("run"), OsStr::new("--detach"), plan.as_os_str()])?;
    let taken = before.elapsed();
    told(state, &[OsStr::new("wait"), OsStr::new(id.trim_end())])?;
    end_engine(state)?;
    Ok(taken)
}

/// What this program prints as a process of its own.
fn told(state: &Path, arguments: &[&OsStr]) -> Result<String, CommandError> {
    let this = std::env::current_exe().map_err(CommandError::internal)?;
    let output = Command::new(this)
        .arg("--dir")
        .arg(state)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(CommandError::internal)?;
    if !output.status.success() {
        let text = format!("antiphon {arguments:?} ended with {}", output.status);
        return Err(CommandError::internal(text));
    }
    String::from_utf8(output.stdout).map_err(CommandError::internal)
}

/// Ends the engine that has a directory, and waits until it has ended.
#[cfg(target_os = "linux")]
fn end_engine(state: &Path) -> Result<(), CommandError> {
    use antiphon::ledger::{Location, LockHolder};
    use rustix::event::{PollFd, PollFlags, poll};
    use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
    let holder = Location::directory(state).files().holder().map_err(CommandError::internal)?;
    let pid = match &holder {
        Some(LockHolder::Named(owner)) => Pid::from_raw(owner.pid.cast_signed()),
        _ => None,
    };
    let pid = pid.ok_or_else(|| CommandError::internal("no engine that stays was found"))?;
    let engine = pidfd_open(pid, PidfdFlags::empty()).map_err(CommandError::internal)?;
    pidfd_send_signal(&engine, Signal::TERM).map_err(CommandError::internal)?;
    poll(&mut [PollFd::new(&engine, PollFlags::IN)], None).map_err(CommandError::internal)?;
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn end_engine(_state: &Path) -> Result<(), CommandError> {
    Err(CommandError::internal("how long a handover takes is measured on Linux only"))
}
