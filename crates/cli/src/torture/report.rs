//! What a torture came to, for people and for programs.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use super::check::Coverage;
use super::kill::{HAS_POINTS, Whom};

/// What a torture came to.
#[derive(Debug, Clone, serde::Serialize)]
pub(super) struct Report {
    pub(super) seed: u64,
    pub(super) rounds: u64,
    /// Whether the named crash points are compiled in.
    pub(super) crash_points: bool,
    pub(super) kills: Kinds,
    pub(super) ledgers: u64,
    /// Over all ledgers, each as it was last checked.
    pub(super) seen: Coverage,
    pub(super) seconds: f64,
    pub(super) failure: Option<Failure>,
}

/// Kills by kind.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub(super) struct Kinds {
    pub(super) at_random: u64,
    pub(super) at_points: BTreeMap<&'static str, u64>,
    /// Those at random moments by who was killed.
    pub(super) whom: BTreeMap<Whom, u64>,
    /// Wardens that were killed or stopped together with their engine.
    pub(super) wardens_with_engine: u64,
    /// Wardens that were killed or stopped while their engine lived.
    pub(super) single_wardens: u64,
    /// Processes that were left to the next start.
    pub(super) survivors: u64,
}

/// A promise that does not hold.
#[derive(Debug, Clone, serde::Serialize)]
pub(super) struct Failure {
    /// The round, or the one after which the ledger was to finish.
    pub(super) round: u64,
    /// How its victim was killed; none if it was to finish.
    pub(super) kill: Option<String>,
    pub(super) findings: Vec<String>,
    /// Where the state is, if it was kept.
    pub(super) kept: Option<PathBuf>,
}

impl Coverage {
    pub(super) fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.runs += other.runs;
        self.ended += other.ended;
        self.sessions += other.sessions;
        self.lost += other.lost;
        self.receipts_rebuilt += other.receipts_rebuilt;
        self.acknowledged += other.acknowledged;
        self.trees += other.trees;
        self.swept += other.swept;
        self.processes += other.processes;
        self.blobs += other.blobs;
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, rounds, kills, ledgers, seen, seconds, .. } = self;
        writeln!(f, "seed {seed}: {rounds} kills of {ledgers} ledgers in {seconds:.1} s")?;
        writeln!(f, "  at random moments  {}", kills.at_random)?;
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
        let Some(failure) = &self.failure else { return writeln!(f, "every promise held") };
        match &failure.kill {
            Some(kill) => {
                writeln!(f, "FAILED in round {}, whose victim was killed {kill}:", failure.round)?;
            }
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
        writeln!(
            f,
            "repeat with `antiphon torture --rounds {rounds} --seed {seed} --keep DIR`; the work is the same, moments differ"
        )
    }
}
