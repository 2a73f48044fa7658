//! The program that the victim's process sessions run: it behaves as its item's id says, and so do
//! the processes that it starts.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use antiphon::id::SessionId;
use antiphon::random::Random;
use rustix::process::{Signal, kill_process};

use super::function::output_of;
use super::process_trace::{SessionFacts, TraceDirectory};

/// What lingers is gone by then, whatever happens to the torture. Nothing of a session may live so
/// long, so this is no end of its own.
const LINGERS: Duration = Duration::from_secs(50);

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A process of a session.
#[derive(Debug, Clone)]
pub(crate) struct SessionProgram {
    /// Where the state directory and the traces of processes are.
    dir: PathBuf,
    seed: u64,
    /// The role of a process that is not the session's own program.
    part: Option<String>,
}

impl SessionProgram {
    pub(crate) fn new(dir: PathBuf, seed: u64, part: Option<String>) -> Self {
        Self { dir, seed, part }
    }

    /// Plays its role. The session's own program chooses it by its item's id.
    pub(crate) fn run(self) -> Result<ExitCode, BoxError> {
        let assignment = SessionFacts::of_this_process()?;
        if self.part.as_deref() == Some("leaves") {
            // Its own parent waits for this one, so the process that it leaves is certainly out of
            // its sight.
            rustix::process::setsid()?;
            quiet(&mut self.another("lingers")?).spawn()?;
            return Ok(ExitCode::SUCCESS);
        }
        TraceDirectory::of(&self.dir).leave(assignment.clone())?;
        let mut random = Random::named(self.seed, &assignment.session.to_string());
        if self.part.is_none()
            && ["waits", "deaf", "freezes"]
                .iter()
                .any(|kind| assignment.work.as_str().starts_with(kind))
        {
            // The session's own program dies with its warden; this one does not.
            self.depart()?;
        }
        let behaviour = self
            .part
            .clone()
            .or_else(|| assignment.work.as_str().split('-').next().map(str::to_owned));
        match behaviour.unwrap_or_default().as_str() {
            "writes" => {
                let (tokens, cents) = (random.below(100), random.below(50));
                let result = serde_json::json!({
                    "output": output_of(assignment.work.as_str()), "tokens": tokens, "cost": f64::from(u32::try_from(cents)?) / 1e6,
                });
                std::fs::write(std::env::var("ANTIPHON_RESULT")?, result.to_string())?;
            }
            "balks" if random.one_in(2) => {
                eprintln!("half of the time it does not work");
                return Ok(ExitCode::from(3));
            }
            "prints" => {
                std::io::stdout().write_all(&printed_by(&assignment.session))?;
                eprint!("{}", "so it goes\n".repeat(7_000));
            }
            "departs" => self.depart()?,
            "naps" => {
                if random.one_in(3) {
                    self.depart()?;
                }
                std::thread::sleep(Duration::from_millis(random.between(10, 250)));
            }
            // Only a retry mends it.
            "breaks" if !assignment.session.coordination.as_str().contains('@') => {
                eprintln!("it works when it is tried again");
                return Ok(ExitCode::from(3));
            }
            "litters" => {
                // One of them keeps the output open, one has washed off what names its tree, one is
                // an ordinary child.
                self.another("lingers")?.spawn()?;
                quiet(&mut self.forgetful(&assignment)?).spawn()?;
                quiet(&mut self.another("lingers")?).spawn()?;
                println!("it leaves them behind");
            }
            "deaf" => {
                // An ignored signal stays ignored in the program that is executed.
                let again = self.another("lingers")?;
                let words = std::iter::once(again.get_program()).chain(again.get_args());
                return Err(Command::new("/bin/sh")
                    .args(["-c", "trap '' TERM; exec \"$0\" \"$@\""])
                    .args(words)
                    .exec()
                    .into());
            }
            "freezes" => {
                kill_process(rustix::process::getpid(), Signal::STOP)?;
                std::thread::sleep(LINGERS);
            }
            "assassin" => {
                self.depart()?;
                // A well guarded process is out of reach; the warden's end says so.
                if let Some(warden) = rustix::process::getppid() {
                    let _ = kill_process(warden, Signal::KILL);
                }
                std::thread::sleep(LINGERS);
            }
            "waits" => {
                let begun = Instant::now();
                while !finishing(&self.dir).exists() && begun.elapsed() < LINGERS {
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
            "lingers" => std::thread::sleep(LINGERS),
            _ => println!("{} was here", assignment.session),
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Leaves a process outside of the session, the group and the parent's sight.
    fn depart(&self) -> Result<(), BoxError> {
        self.another("leaves")?.status()?;
        Ok(())
    }

    fn another(&self, part: &str) -> Result<Command, BoxError> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["torture", "--seed", &self.seed.to_string(), "--part", part, "--program"])
            .arg(&self.dir);
        Ok(command)
    }

    /// One that lingers without the variable that names its tree.
    fn forgetful(&self, assignment: &SessionFacts) -> Result<Command, BoxError> {
        let mut command = self.another("lingers")?;
        command
            .env_clear()
            .env("ANTIPHON_SESSION", assignment.session.to_string())
            .env("ANTIPHON_WORK", assignment.work.as_str());
        command
            .env("ANTIPHON_FENCE", assignment.fence.to_string())
            .env("ANTIPHON_ATTEMPT", assignment.attempt.to_string());
        Ok(command)
    }
}

/// Without the session's outputs, which it would keep open.
fn quiet(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null())
}

/// The file that exists once the ledger is to finish.
pub(super) fn finishing(dir: &Path) -> PathBuf {
    dir.join("finishing")
}

/// What a printing session prints: more than the database keeps.
pub(super) fn printed_by(session: &SessionId) -> Vec<u8> {
    let line = format!("{session} prints line after line after line\n");
    let lines = 70_000 / line.len() + usize::try_from(session.number % 8).unwrap_or(0) * 500;
    line.repeat(lines).into_bytes()
}
