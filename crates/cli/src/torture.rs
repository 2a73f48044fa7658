//! Torture: real processes on real ledgers, killed and resumed, and every promise checked after
//! each kill.
//!
//! A round is one kill, or one run that commands carry out and signals interrupt. A ledger has
//! several, then a victim that may finish everything, and then the next ledger begins.

mod check;
mod command;
mod function;
mod interrupt;
mod journal;
mod kill;
mod night;
mod night_plan;
mod process_trace;
mod processes;
mod program;
mod report;
mod round;
mod schedule;
mod shortage;
mod talk;
mod victim;
mod workload;

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::time::Instant;

pub(crate) use program::SessionProgram;
pub(crate) use shortage::Shortage;
pub(crate) use victim::Victim;

use antiphon::random::Random;

use self::check::Coverage;
use self::report::{Failure, TortureReport};
use self::round::{RoundError, TortureLedger};
use self::schedule::{Round, Schedule};
use crate::command_error::CommandError;
use crate::connection::Interrupts;

/// Most kills that a ledger has before it may finish.
const KILLS_PER_LEDGER: u64 = 8;

/// A whole torture.
pub(crate) struct Torture {
    rounds: u64,
    seed: u64,
    /// Where ledgers are made; a failing one stays there.
    keep: Option<PathBuf>,
    /// What the victims run short of.
    shortage: Option<Shortage>,
    json: bool,
}

impl Torture {
    pub(crate) fn new(
        rounds: u64,
        seed: u64,
        keep: Option<PathBuf>,
        shortage: Option<Shortage>,
        json: bool,
    ) -> Self {
        Self { rounds, seed, keep, shortage, json }
    }

    /// Runs it, prints the result, and says whether every promise held.
    pub(crate) fn run(self) -> Result<bool, CommandError> {
        let temporary = tempfile::Builder::new()
            .prefix("antiphon-torture-")
            .tempdir()
            .map_err(CommandError::internal)?;
        let place = self.keep.clone().unwrap_or_else(|| temporary.path().to_owned());
        processes::take_in_orphans().map_err(CommandError::internal)?;
        let begun = Instant::now();
        let mut report = TortureReport::new(self.seed, self.shortage);
        // Commands are interrupted, and must not ignore it because this process was started so.
        Interrupts::heed_in_children()?;
        let mut schedule = Schedule::new(self.seed, self.rounds, self.interrupts());
        let mut random = Random::of(&[self.seed, 0]);
        let mut progress = ProgressLine::new(self.rounds);
        let mut done = false;
        while !done && !report.has_failed() {
            report.begin_ledger();
            let seed = random.next();
            let dir = place.join(format!("seed-{}-ledger-{}", self.seed, report.ledgers()));
            let mut ledger = TortureLedger::new(dir, seed, self.shortage)
                .map_err(|trouble| self.broken(trouble))?;
            let mut seen = Coverage::default();
            let mut kills_left = random.between(1, KILLS_PER_LEDGER);
            while kills_left > 0 {
                let Some(round) = schedule.next() else {
                    done = true;
                    break;
                };
                report.begin_round(&round);
                progress.show(&report);
                let checked = match &round {
                    Round::Kill(kill) => {
                        kills_left -= 1;
                        ledger.kill(kill)
                    }
                    Round::Interrupt(interrupt) => ledger.interrupt(*interrupt),
                };
                match checked {
                    Ok(now) => seen = now,
                    Err(trouble) => {
                        let round = Some(round.to_string());
                        report.fail(self.failure(&report, round, &ledger, trouble)?);
                        break;
                    }
                }
            }
            if !report.has_failed() {
                match ledger.finish() {
                    Ok(now) => seen = now,
                    Err(trouble) => {
                        report.fail(self.failure(&report, None, &ledger, trouble)?);
                    }
                }
            }
            report.end_ledger(&seen, &ledger);
            if report.has_failed() {
                ledger.leave();
            } else {
                ledger.remove().map_err(CommandError::internal)?;
            }
        }
        progress.end();
        if report.has_failed() {
            processes::end_all();
        }
        report.end(schedule, begun.elapsed());
        self.print(&report)?;
        Ok(!report.has_failed())
    }

    /// Whether runs are interrupted, too. Commands are not made to run short of anything, and there
    /// are sessions as processes on Linux only.
    fn interrupts(&self) -> bool {
        self.shortage.is_none() && cfg!(target_os = "linux")
    }

    fn failure(
        &self,
        report: &TortureReport,
        round: Option<String>,
        ledger: &TortureLedger,
        trouble: RoundError,
    ) -> Result<Failure, CommandError> {
        match trouble {
            RoundError::Findings(findings) => {
                let kept = self.keep.is_some().then(|| ledger.dir().to_owned());
                Ok(Failure::new(report.rounds(), round, findings, kept))
            }
            trouble @ RoundError::Io(..) => Err(self.broken(trouble)),
        }
    }

    fn broken(&self, trouble: RoundError) -> CommandError {
        match trouble {
            RoundError::Findings(findings) => CommandError::internal(findings.join("\n")),
            RoundError::Io(what, error) => {
                CommandError::internal(format!("cannot {what}: {error} (seed {})", self.seed))
            }
        }
    }

    fn print(&self, report: &TortureReport) -> Result<(), CommandError> {
        if self.json {
            let json = serde_json::to_string_pretty(report).map_err(CommandError::internal)?;
            anstream::println!("{json}");
        } else {
            anstream::print!("{report}");
        }
        Ok(())
    }
}

/// Shows on stderr how far it is: a line that changes on a terminal, a line for every tenth
/// elsewhere.
struct ProgressLine {
    rounds: u64,
    terminal: bool,
    printed: u64,
}

impl ProgressLine {
    fn new(rounds: u64) -> Self {
        Self { rounds, terminal: std::io::stderr().is_terminal(), printed: 0 }
    }

    fn show(&mut self, report: &TortureReport) {
        let tenth = report.rounds() * 10 / self.rounds.max(1);
        if self.terminal {
            eprint!(
                "\rseed {}: round {} of {}, ledger {} ",
                report.seed(),
                report.rounds(),
                self.rounds,
                report.ledgers()
            );
            // A progress line that cannot be shown is no error.
            let _ = std::io::stderr().flush();
        } else if tenth > self.printed {
            self.printed = tenth;
            eprintln!(
                "seed {}: round {} of {}, ledger {}",
                report.seed(),
                report.rounds(),
                self.rounds,
                report.ledgers()
            );
        }
    }

    fn end(&self) {
        if self.terminal {
            eprintln!();
        }
    }
}
