//! Memory of a process of its own: this program again, started as what is measured.

use std::process::{Command, Stdio};

use crate::command_error::CommandError;

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
