//! One ledger under torture: victims are started on it, killed, and what they leave is checked.

use std::fs;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::check::{Seen, check};
use super::journal::Journal;
use super::kill::Kill;
use super::victim;

/// What went wrong in a round.
#[derive(Debug)]
pub(super) enum Trouble {
    /// A promise does not hold.
    Findings(Vec<String>),
    /// The torture itself could not go on.
    Io(String, io::Error),
}

/// A ledger, its journal, and how many victims it has had.
#[derive(Debug)]
pub(super) struct Ledger {
    dir: PathBuf,
    seed: u64,
    runs: u64,
    journal: Journal,
}

impl Ledger {
    /// A ledger that does not exist yet.
    pub(super) fn new(dir: PathBuf, seed: u64) -> Result<Self, Trouble> {
        fs::create_dir_all(&dir).map_err(|error| Trouble::Io(format!("create {}", dir.display()), error))?;
        let journal = Journal::at(victim::journal(&dir));
        Ok(Self { dir, seed, runs: 0, journal })
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Starts a victim, kills it, and checks what is left.
    pub(super) fn kill(&mut self, kill: Kill) -> Result<Seen, Trouble> {
        let mut command = self.victim()?;
        if let Kill::At(point, count) = kill {
            command.env("ANTIPHON_CRASH_AT", format!("{point}:{count}"));
        }
        let mut child = command.spawn().map_err(|error| Trouble::Io("start a victim".to_owned(), error))?;
        if let Kill::After(delay) = kill {
            std::thread::sleep(delay);
            child.kill().map_err(|error| Trouble::Io("kill the victim".to_owned(), error))?;
        }
        let status = child.wait().map_err(|error| Trouble::Io("wait for the victim".to_owned(), error))?;
        if status.signal() != Some(rustix::process::Signal::KILL.as_raw()) {
            return Err(self.unexpected(&format!("the victim was to be killed {kill}, but ended with {status}")));
        }
        self.check(false)
    }

    /// Lets a last victim finish everything and close, and checks that it did.
    pub(super) fn finish(&mut self) -> Result<Seen, Trouble> {
        let status = self.victim()?.arg("--finish").status().map_err(|error| Trouble::Io("start a victim".to_owned(), error))?;
        if !status.success() {
            return Err(self.unexpected(&format!("the victim was to finish, but ended with {status}")));
        }
        self.check(true)
    }

    fn victim(&mut self) -> Result<Command, Trouble> {
        self.runs += 1;
        let here = std::env::current_exe().map_err(|error| Trouble::Io("find the own program".to_owned(), error))?;
        let errors = fs::File::create(self.dir.join("stderr")).map_err(|error| Trouble::Io("create a file".to_owned(), error))?;
        let mut command = Command::new(here);
        command.args(["torture", "--seed", &self.seed.to_string(), "--run", &self.runs.to_string(), "--victim"]).arg(&self.dir);
        command.env_remove("ANTIPHON_CRASH_AT").stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors);
        Ok(command)
    }

    fn check(&mut self, finished: bool) -> Result<Seen, Trouble> {
        self.journal.take_run().map_err(|error| Trouble::Io("read the journal".to_owned(), error))?;
        check(&victim::state(&self.dir), &self.journal, finished).map_err(Trouble::Findings)
    }

    /// A victim ended otherwise than it was to: with what it said, and with what its ledger says.
    fn unexpected(&mut self, what: &str) -> Trouble {
        let said = fs::read_to_string(self.dir.join("stderr")).unwrap_or_default();
        let mut findings = vec![format!("{what}; it said: {}", said.trim())];
        match self.check(false) {
            Err(Trouble::Findings(more)) => findings.extend(more),
            Err(trouble) => return trouble,
            Ok(_) => {}
        }
        Trouble::Findings(findings)
    }
}
