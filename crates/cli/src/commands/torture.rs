//! `antiphon torture`.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::command_error::{CommandError, Kind};
use crate::options::Options;
use crate::torture::{SessionProgram, Shortage, Torture, Victim};

/// Test the promises on this disk, under kill -9 and interrupts
///
/// A round starts a process that runs random work on a ledger, in functions and in processes, and
/// kills it with SIGKILL, often together with its wardens; or it has commands carry out a run,
/// interrupts them with SIGINT, SIGTERM or SIGHUP, resumes the run and retries it. Then it checks
/// that nothing acknowledged was lost, that no item ever had two live sessions, that no process
/// outlived the end of its session, that no budget was exceeded, that no interrupted session counted
/// as an attempt, that a retry ran only what it had to, and that every receipt can be rebuilt. Exits
/// with 4 if a promise was broken.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Number of processes to kill, and of runs to interrupt
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: u64,
    /// Seed for the work and the order of kills; random by default
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Keep the ledgers in this directory, and leave a failing one there
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Let the engine run out of this, again and again
    #[arg(long, value_name = "WHAT")]
    short_of: Option<Shortage>,
    /// Be the process that is killed
    #[arg(long, value_name = "DIR", hide = true, requires = "run")]
    victim: Option<PathBuf>,
    /// Number of the victim
    #[arg(long, value_name = "N", hide = true)]
    run: Option<u64>,
    /// Finish everything instead of waiting to be killed
    #[arg(long, hide = true, requires = "victim")]
    finish: bool,
    /// Be a process of a session of a victim
    #[arg(long, value_name = "DIR", hide = true, conflicts_with = "victim")]
    program: Option<PathBuf>,
    /// Be one that the session has started
    #[arg(long, hide = true, requires = "program")]
    part: Option<String>,
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        let seed = match self.seed {
            Some(seed) => seed,
            None => fresh_seed()?,
        };
        if let Some(dir) = self.program {
            return SessionProgram::new(dir, seed, self.part).run().map_err(CommandError::internal);
        }
        if let Some(dir) = self.victim {
            let victim = Victim::new(dir, seed, self.run.unwrap_or(0), self.finish, self.short_of);
            return victim.run().map(|()| ExitCode::SUCCESS).map_err(CommandError::internal);
        }
        let held = Torture::new(self.rounds, seed, self.keep, self.short_of, options.json).run()?;
        Ok(if held { ExitCode::SUCCESS } else { ExitCode::from(Kind::Verification as u8) })
    }
}

fn fresh_seed() -> Result<u64, CommandError> {
    let mut bytes = [0; 4];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .map_err(CommandError::internal)?;
    Ok(u32::from_ne_bytes(bytes).into())
}
