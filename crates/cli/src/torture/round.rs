//! One ledger under torture: victims are started on it, killed, and what they leave is checked.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::check::{Coverage, Evidence, check};
use super::interrupt::Interrupt;
use super::journal::{Entry, Journal};
use super::kill::{Kill, When, Whom};
use super::night::{Night, NightCounts, NightError};
use super::process_trace::TraceDirectory;
use super::processes;
use super::program;
use super::shortage::{self, Shortage, SmallDisk};
use super::victim;

/// How long wardens have to end their sessions once their engine is gone. They do it in
/// milliseconds.
const WARDENS_END_WITHIN: Duration = Duration::from_secs(10);

/// How long a victim may live that kills itself at a point, beyond its own limit.
const PATIENCE: Duration = Duration::from_secs(120);

/// What went wrong in a round.
#[derive(Debug)]
pub(super) enum RoundError {
    /// A promise does not hold.
    Findings(Vec<String>),
    /// The torture itself could not go on.
    Io(String, io::Error),
}

/// A ledger, its journal, and how many victims it has had.
#[derive(Debug)]
pub(super) struct TortureLedger {
    dir: PathBuf,
    seed: u64,
    shortage: Option<Shortage>,
    /// Where it lies, if that is short of room.
    disk: Option<SmallDisk>,
    runs: u64,
    journal: Journal,
    /// Sessions whose warden was killed or stopped, so that what they run may live until the next
    /// start.
    unowned: BTreeSet<String>,
    /// Wardens that were killed or stopped while their engine lived.
    single_wardens: u64,
    /// Wardens that were killed or stopped together with their engine.
    wardens_with_engine: u64,
    /// Processes that the next start had to end.
    survivors: u64,
    /// Runs that commands carried out.
    nights: u64,
    night_counts: NightCounts,
}

impl TortureLedger {
    /// A ledger that does not exist yet.
    pub(super) fn new(
        dir: PathBuf,
        seed: u64,
        shortage: Option<Shortage>,
    ) -> Result<Self, RoundError> {
        let made = fs::create_dir_all(victim::disk(&dir)).and_then(|()| dir.canonicalize());
        let dir =
            made.map_err(|error| RoundError::Io(format!("create {}", dir.display()), error))?;
        let disk = (shortage == Some(Shortage::Disk))
            .then(|| SmallDisk::mount(&victim::disk(&dir)))
            .transpose()
            .map_err(|error| RoundError::Io("mount a small disk".to_owned(), error))?;
        fs::create_dir(victim::scratch(&dir))
            .map_err(|error| RoundError::Io("create a directory".to_owned(), error))?;
        let journal = Journal::at(victim::journal(&dir));
        Ok(Self {
            dir,
            seed,
            shortage,
            disk,
            runs: 0,
            journal,
            unowned: BTreeSet::new(),
            single_wardens: 0,
            wardens_with_engine: 0,
            survivors: 0,
            nights: 0,
            night_counts: NightCounts::default(),
        })
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Leaves it where it is, to be looked at.
    pub(super) fn leave(self) {
        if let Some(disk) = self.disk {
            disk.leave();
        }
    }

    pub(super) fn remove(self) -> io::Result<()> {
        drop(self.disk);
        fs::remove_dir_all(self.dir)
    }

    /// Starts a victim, kills it, and checks what is left.
    pub(super) fn kill(&mut self, kill: &Kill) -> Result<Coverage, RoundError> {
        let mut command = self.victim()?;
        if let When::At(point, count) = kill.when {
            command.env("ANTIPHON_CRASH_AT", format!("{point}:{count}"));
        }
        let mut child =
            command.spawn().map_err(|error| RoundError::Io("start a victim".to_owned(), error))?;
        let robbed = self.see_to_its_end(&mut child, kill)?;
        let status = child
            .wait()
            .map_err(|error| RoundError::Io("wait for the victim".to_owned(), error))?;
        if status.signal() != Some(Signal::KILL.as_raw()) {
            return Err(self.unexpected(&format!(
                "the victim was to be killed {kill}, but ended with {status}"
            )));
        }
        self.take_run()?;
        if self
            .journal
            .runs
            .last()
            .is_some_and(|run| run.iter().any(|entry| matches!(entry, Entry::Opened { .. })))
        {
            // The start has swept what was left before.
            self.unowned.clear();
        }
        self.unowned.extend(robbed);
        let remain = self.look_for_survivors(kill.whom);
        self.check(remain, false)
    }

    /// Has commands carry out a run, interrupts them, and checks what is left once the run has been
    /// resumed and retried.
    pub(super) fn interrupt(&mut self, interrupt: Interrupt) -> Result<Coverage, RoundError> {
        self.nights += 1;
        let night = Night::new(&self.dir, self.seed, self.nights, interrupt)
            .map_err(NightError::from)
            .and_then(Night::pass);
        self.take_run()?;
        // Each of the commands has swept what was left before.
        self.unowned.clear();
        let findings = match night {
            Ok(counts) => {
                self.night_counts.add(counts);
                Vec::new()
            }
            Err(NightError::Finding(what)) => vec![what],
            Err(NightError::Io(error)) => {
                return Err(RoundError::Io("carry out a run by commands".to_owned(), error));
            }
        };
        self.check(findings, false)
    }

    /// Lets a last victim finish everything and close, and checks that it did.
    pub(super) fn finish(&mut self) -> Result<Coverage, RoundError> {
        fs::write(program::finishing(&self.dir), "")
            .map_err(|error| RoundError::Io("create a file".to_owned(), error))?;
        let status = self
            .victim()?
            .arg("--finish")
            .status()
            .map_err(|error| RoundError::Io("start a victim".to_owned(), error))?;
        if !status.success() {
            return Err(
                self.unexpected(&format!("the victim was to finish, but ended with {status}"))
            );
        }
        self.take_run()?;
        let mut findings: Vec<String> = processes::left()
            .iter()
            .map(|seen| format!("it came to a good end and left {seen}"))
            .collect();
        let scratch = victim::scratch(&self.dir);
        let left = fs::read_dir(&scratch)
            .map_err(|error| RoundError::Io(format!("read {}", scratch.display()), error))?;
        let names = left.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        findings
            .extend(names.map(|name| {
                format!("it came to a good end and left the scratch directory {name}")
            }));
        self.check(findings, true)
    }

    fn victim(&mut self) -> Result<Command, RoundError> {
        self.runs += 1;
        let here = std::env::current_exe()
            .map_err(|error| RoundError::Io("find the own program".to_owned(), error))?;
        let errors = fs::File::create(self.dir.join("stderr"))
            .map_err(|error| RoundError::Io("create a file".to_owned(), error))?;
        let mut command = Command::new(here);
        command
            .args([
                "torture",
                "--seed",
                &self.seed.to_string(),
                "--run",
                &self.runs.to_string(),
                "--victim",
            ])
            .arg(&self.dir);
        if let Some(shortage) = self.shortage {
            command.args(["--short-of", shortage.word()]);
        }
        command.env("TMPDIR", victim::scratch(&self.dir)).env_remove("ANTIPHON_CRASH_AT");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors);
        Ok(command)
    }

    /// Waits for the moment and kills; until then perhaps single wardens. Returns the sessions that
    /// lost their warden with their engine, or before it.
    fn see_to_its_end(
        &mut self,
        child: &mut Child,
        kill: &Kill,
    ) -> Result<BTreeSet<String>, RoundError> {
        let failed = |error| RoundError::Io("kill the victim".to_owned(), error);
        let begun = Instant::now();
        let (at_last, by_us) = match kill.when {
            When::After(delay) => (begun + delay, true),
            When::At(..) => (begun + PATIENCE, false),
        };
        let mut robbed = BTreeSet::new();
        let mut random = kill.wardens_every.clone();
        loop {
            let now = Instant::now();
            let next = random
                .as_mut()
                .map_or(at_last, |random| now + Duration::from_millis(random.between(4, 60)))
                .min(at_last);
            if by_us {
                std::thread::sleep(next - now);
            } else if processes::ended_within(child.id(), next - now) {
                return Ok(robbed);
            }
            if next == at_last {
                break;
            }
            let wardens = processes::wardens_of(child.id());
            if let Some(random) = random.as_mut().filter(|_| !wardens.is_empty()) {
                let warden = random.pick(&wardens);
                robbed.extend(warden.session());
                // One that is stopped is continued by its engine when it stays silent, or by the
                // next start.
                warden.signal(if random.one_in(4) { Signal::STOP } else { Signal::KILL });
                self.single_wardens += 1;
            }
        }
        if !by_us {
            // It has not ended, and must be distinguished from those that have.
            let pid = rustix::process::Pid::from_child(child);
            return rustix::process::kill_process(pid, Signal::ABORT)
                .map(|()| robbed)
                .map_err(|error| failed(error.into()));
        }
        if kill.whom == Whom::Engine {
            return child.kill().map(|()| robbed).map_err(failed);
        }
        // Stopped, it can start no other.
        let pid = rustix::process::Pid::from_child(child);
        rustix::process::kill_process(pid, Signal::STOP).map_err(|error| failed(error.into()))?;
        let wardens = processes::wardens_of(child.id());
        self.wardens_with_engine += wardens.len() as u64;
        robbed.extend(wardens.iter().filter_map(processes::LiveProcess::session));
        let signal = |signal| wardens.iter().for_each(|warden| warden.signal(signal));
        match kill.whom {
            Whom::Engine | Whom::EngineThenWardens => {}
            Whom::WardensThenEngine => {
                // It would end what they leave.
                let subreapers = processes::subreapers_of(child.id());
                subreapers.iter().for_each(|subreaper| subreaper.signal(Signal::KILL));
                signal(Signal::KILL);
            }
            Whom::EngineOfStoppedWardens => signal(Signal::STOP),
        }
        child.kill().map_err(failed)?;
        if kill.whom == Whom::EngineThenWardens {
            signal(Signal::KILL);
        }
        Ok(robbed)
    }

    /// Only what has lost its warden may be left, until the next start; all else its wardens end
    /// now.
    fn look_for_survivors(&mut self, whom: Whom) -> Vec<String> {
        let unowned = &self.unowned;
        let may_be = |seen: &processes::LiveProcess| {
            // An assassin may have ended its warden itself.
            seen.session().is_some_and(|session| unowned.contains(&session))
                || seen.work().is_some_and(|work| work.starts_with("assassin"))
        };
        let left = processes::left_after(WARDENS_END_WITHIN, may_be);
        self.survivors += processes::left().len() as u64;
        let described = |seen: &processes::LiveProcess| {
            format!(
                "{} s after {} had been killed there was {seen}",
                WARDENS_END_WITHIN.as_secs(),
                whom.as_str()
            )
        };
        left.iter().map(described).collect()
    }

    pub(super) fn single_wardens(&self) -> u64 {
        self.single_wardens
    }

    pub(super) fn wardens_with_engine(&self) -> u64 {
        self.wardens_with_engine
    }

    pub(super) fn night_counts(&self) -> NightCounts {
        self.night_counts
    }

    pub(super) fn survivors(&self) -> u64 {
        self.survivors
    }

    fn take_run(&mut self) -> Result<(), RoundError> {
        self.journal
            .take_run()
            .map_err(|error| RoundError::Io("read the journal".to_owned(), error))
    }

    fn check(&mut self, mut findings: Vec<String>, finished: bool) -> Result<Coverage, RoundError> {
        shortage::empty(&victim::disk(&self.dir));
        let tracks = TraceDirectory::of(&self.dir)
            .tracks()
            .map_err(|error| RoundError::Io("read the traces".to_owned(), error))?;
        let state = victim::state(&self.dir);
        match check(&Evidence::new(&state, &self.journal, &tracks), finished) {
            Ok(seen) if findings.is_empty() => Ok(seen),
            Ok(_) => Err(RoundError::Findings(findings)),
            Err(more) => {
                findings.extend(more);
                Err(RoundError::Findings(findings))
            }
        }
    }

    /// A victim ended otherwise than it was to: with what it said, and with what its ledger says.
    fn unexpected(&mut self, what: &str) -> RoundError {
        let said = fs::read_to_string(self.dir.join("stderr")).unwrap_or_default();
        let findings = vec![format!("{what}; it said: {}", said.trim())];
        match self.take_run().and_then(|()| self.check(findings.clone(), false)) {
            Err(trouble) => trouble,
            Ok(_) => RoundError::Findings(findings),
        }
    }
}
