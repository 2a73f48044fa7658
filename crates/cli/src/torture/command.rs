//! A command of this program as a process of its own: started, asked to stop, and waited for.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use antiphon::random::Random;
use rustix::process::{Pid, Signal, kill_process};

use super::interrupt::Asks;
use super::processes;
use super::victim;

/// How long a command may take. None has more to do than a few seconds' work.
const PATIENCE: Duration = Duration::from_secs(60);

/// A command that runs.
#[derive(Debug)]
pub(super) struct RunningCommand {
    words: String,
    child: Child,
    stdout: File,
    stderr: File,
}

/// A command that has ended.
#[derive(Debug)]
pub(super) struct EndedCommand {
    words: String,
    status: ExitStatus,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl RunningCommand {
    /// Starts one on the ledger in a directory.
    pub(super) fn start(dir: &Path, words: &[&str]) -> io::Result<Self> {
        let (stdout, stderr) = (tempfile::tempfile_in(dir)?, tempfile::tempfile_in(dir)?);
        let child = Command::new(std::env::current_exe()?)
            .arg("--dir")
            .arg(victim::state(dir))
            .args(words)
            .env("TMPDIR", victim::scratch(dir))
            .env_remove("ANTIPHON_CRASH_AT")
            .stdin(Stdio::null())
            .stdout(stdout.try_clone()?)
            .stderr(stderr.try_clone()?)
            .spawn()?;
        Ok(Self { words: words.join(" "), child, stdout, stderr })
    }

    /// Asks it to stop after a while, unless it has ended.
    pub(super) fn ask(&self, asks: Asks, after: Duration, random: &mut Random) -> io::Result<()> {
        let (signal, times) = asks.signal();
        let mut rest = after;
        for _ in 0..times {
            if processes::ended_within(self.child.id(), rest) {
                return Ok(());
            }
            kill_process(Pid::from_child(&self.child), signal)?;
            rest = Duration::from_millis(random.below(120));
        }
        Ok(())
    }

    /// Waits for its end; one that does not come to it is ended.
    pub(super) fn end(mut self) -> io::Result<EndedCommand> {
        if !processes::ended_within(self.child.id(), PATIENCE) {
            kill_process(Pid::from_child(&self.child), Signal::ABORT)?;
        }
        let status = self.child.wait()?;
        let (stdout, stderr) = (written_to(self.stdout)?, written_to(self.stderr)?);
        Ok(EndedCommand { words: self.words, status, stdout, stderr })
    }
}

fn written_to(mut file: File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

impl EndedCommand {
    /// Its exit code, if it ended by itself.
    pub(super) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Whether what asked it to stop has ended it, before it had taken notice of such requests.
    pub(super) fn was_ended_by(&self, asks: Asks) -> bool {
        self.status.signal() == Some(asks.signal().0.as_raw())
    }

    /// It ended otherwise than it was to: what it was, and what it said.
    pub(super) fn unexpected(&self, about: &str) -> String {
        let (words, status, said) = (&self.words, self.status, self.stderr.trim());
        format!("`{words}` ended with {status}: {about}; it said: {said}")
    }
}
