//! The result of a torture, for people and for programs.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::check::Coverage;
use super::interrupt::Carrier;
use super::kill::{HAS_POINTS, Kill, When, Whom};
use super::night::NightCounts;
use super::round::TortureLedger;
use super::schedule::{Round, Schedule};
use super::shortage::Shortage;

/// The result of a torture.
#[derive(Debug, Clone, serde::Serialize)]
pub(super) struct TortureReport {
    seed: u64,
    /// What the victims ran short of.
    short_of: Option<Shortage>,
    rounds: u64,
    /// Whether the named crash points are compiled in.
    crash_points: bool,
    kills: KillCounts,
    interrupts: InterruptCounts,
    ledgers: u64,
    /// Over all ledgers, each as it was last checked.
    seen: Coverage,
    seconds: f64,
    failure: Option<Failure>,
}

impl TortureReport {
    pub(super) fn new(seed: u64, short_of: Option<Shortage>) -> Self {
        Self {
            seed,
            short_of,
            rounds: 0,
            crash_points: HAS_POINTS,
            kills: KillCounts::default(),
            interrupts: InterruptCounts::default(),
            ledgers: 0,
            seen: Coverage::default(),
            seconds: 0.0,
            failure: None,
        }
    }

    pub(super) fn begin_ledger(&mut self) {
        self.ledgers += 1;
    }

    pub(super) fn begin_round(&mut self, round: &Round) {
        self.rounds += 1;
        match round {
            Round::Kill(Kill { when: When::After(_), whom, .. }) => {
                *self.kills.whom.entry(*whom).or_default() += 1;
            }
            Round::Kill(_) | Round::Interrupt(_) => {}
        }
    }

    /// Takes in what a ledger showed at its last check, and what was done to its wardens.
    pub(super) fn end_ledger(&mut self, seen: &Coverage, ledger: &TortureLedger) {
        self.seen.add(seen);
        self.kills.wardens_with_engine += ledger.wardens_with_engine();
        self.kills.single_wardens += ledger.single_wardens();
        self.kills.survivors += ledger.survivors();
        self.interrupts.seen.add(ledger.night_counts());
    }

    pub(super) fn fail(&mut self, failure: Failure) {
        self.failure = Some(failure);
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    pub(super) fn end(&mut self, schedule: Schedule, took: Duration) {
        let kills;
        (kills, self.interrupts.runs) = schedule.into_parts();
        (self.kills.at_random, self.kills.at_points) = kills.into_counts();
        self.seconds = took.as_secs_f64();
    }

    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    pub(super) fn rounds(&self) -> u64 {
        self.rounds
    }

    pub(super) fn ledgers(&self) -> u64 {
        self.ledgers
    }
}

/// Kills by kind.
#[derive(Debug, Clone, Default, serde::Serialize)]
struct KillCounts {
    at_random: u64,
    at_points: BTreeMap<&'static str, u64>,
    /// Those at random moments by who was killed.
    whom: BTreeMap<Whom, u64>,
    /// Wardens that were killed or stopped together with their engine.
    wardens_with_engine: u64,
    /// Wardens that were killed or stopped while their engine lived.
    single_wardens: u64,
    /// Processes that were left to the next start.
    survivors: u64,
}

/// Runs that commands carried out, by who carried them out, and what came of it.
#[derive(Debug, Clone, Default, serde::Serialize)]
struct InterruptCounts {
    runs: BTreeMap<Carrier, u64>,
    #[serde(flatten)]
    seen: NightCounts,
}

/// A promise that does not hold.
#[derive(Debug, Clone, serde::Serialize)]
pub(super) struct Failure {
    /// The round, or the one after which the ledger was to finish.
    round: u64,
    /// What was done in it; none if everything was to finish.
    done: Option<String>,
    findings: Vec<String>,
    /// Where the state is, if it was kept.
    kept: Option<PathBuf>,
}

impl Failure {
    pub(super) fn new(
        round: u64,
        done: Option<String>,
        findings: Vec<String>,
        kept: Option<PathBuf>,
    ) -> Self {
        Self { round, done, findings, kept }
    }
}

impl fmt::Display for TortureReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, short_of, rounds, kills, interrupts, ledgers, seen, seconds, .. } = self;
        writeln!(f, "seed {seed}: {rounds} rounds on {ledgers} ledgers in {seconds:.1} s")?;
        if let Some(shortage) = short_of {
            writeln!(f, "  again and again without {shortage}")?;
        }
        writeln!(f, "  kills at random    {}", kills.at_random)?;
        for (whom, hits) in &kills.whom {
            writeln!(f, "    {:<32} {hits}", whom.as_str())?;
        }
        for (point, hits) in &kills.at_points {
            writeln!(f, "  {point:<18} {hits}")?;
        }
        if !HAS_POINTS {
            writeln!(
                f,
                "  at named points    none: this program was built without the feature `crash-points`"
            )?;
        }
        writeln!(
            f,
            "  wardens            {} with their engine, {} alone; {} processes were left to the next start",
            kills.wardens_with_engine, kills.single_wardens, kills.survivors
        )?;
        if !interrupts.runs.is_empty() {
            writeln!(f, "  runs interrupted   {}", interrupts.runs.values().sum::<u64>())?;
            for (carrier, runs) in &interrupts.runs {
                writeln!(f, "    {:<32} {runs}", carrier.as_str())?;
            }
            writeln!(f, "                     {}", interrupts.seen)?;
        }
        writeln!(
            f,
            "checked: {} events, {} runs ({} ended, {} receipts rebuilt), {} sessions ({} lost), {} acknowledgements",
            seen.events,
            seen.runs,
            seen.ended,
            seen.receipts_rebuilt,
            seen.sessions,
            seen.lost,
            seen.acknowledged
        )?;
        writeln!(
            f,
            "         {} process sessions ended ({} lost), {} processes seen, {} blobs of sessions",
            seen.trees, seen.swept, seen.processes, seen.blobs
        )?;
        writeln!(
            f,
            "         {} signals, {} counts, {} answers, {} decisions about attempts",
            seen.signals, seen.counted, seen.answers, seen.decisions
        )?;
        let Some(failure) = &self.failure else { return writeln!(f, "every promise held") };
        match &failure.done {
            Some(done) => writeln!(f, "FAILED in round {} ({done}):", failure.round)?,
            None => {
                writeln!(
                    f,
                    "FAILED after round {}, when the ledger was to finish:",
                    failure.round
                )?;
            }
        }
        for finding in &failure.findings {
            writeln!(f, "  {finding}")?;
        }
        match &failure.kept {
            Some(kept) => writeln!(f, "its state is in {}", kept.display())?,
            None => writeln!(f, "its state was not kept; --keep DIR keeps it")?,
        }
        let short_of =
            short_of.map(|shortage| format!(" --short-of {}", shortage.word())).unwrap_or_default();
        writeln!(
            f,
            "repeat with `antiphon torture --rounds {rounds} --seed {seed}{short_of} --keep DIR`; the work is the same, moments differ"
        )
    }
}
