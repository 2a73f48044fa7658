//! What this program was started with and has to live with: signals that are ignored, and a limit on
//! the size of files.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::plans::Result;
use rustix::process::{Pid, Signal, kill_process};

/// The binary after some words of a shell.
fn after(words: &str, dir: &Path, line: &[&str]) -> Command {
    let mut command = Command::new("/bin/sh");
    command.current_dir(dir).args(["-c", &format!(r#"{words}; exec "$0" "$@""#)]);
    command.arg(env!("CARGO_BIN_EXE_antiphon")).args(line);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

#[test]
fn signals_that_were_ignored_at_the_start_stay_ignored() -> Result {
    let dir = tempfile::tempdir()?;
    // Opening the first waits until the session is there, opening the second lets it go on.
    for pipe in ["up", "go"] {
        rustix::fs::mkfifoat(rustix::fs::CWD, dir.path().join(pipe), rustix::fs::Mode::RWXU)?;
    }
    let session = "echo > up; cat go";
    let line = ["do", "--", "sh", "-c", session];
    let mut engine = after("trap '' HUP INT TERM", dir.path(), &line).spawn()?;
    std::fs::read(dir.path().join("up"))?;
    for signal in [Signal::HUP, Signal::INT, Signal::TERM] {
        kill_process(Pid::from_child(&engine), signal)?;
    }
    std::fs::write(dir.path().join("go"), "")?;
    assert!(engine.wait()?.success(), "nothing of it was asked to stop");
    Ok(())
}

#[test]
fn a_limit_on_the_size_of_files_ends_nobody_by_a_signal() -> Result {
    let dir = tempfile::tempdir()?;
    let line = ["do", "--", "sh", "-c", "head -c 1000000 /dev/zero"];
    let status = after("ulimit -f 100", dir.path(), &line).status()?;
    assert_eq!(status.signal(), None);
    Ok(())
}
