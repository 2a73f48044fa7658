//! What must hold after any kill: the ledger verifies, and everything that the victim saw is in it.

mod acknowledged;
mod findings;
mod ledger;
mod processes;
mod record;
mod retry;
mod sessions;
#[cfg(test)]
mod tests;
mod told;

use std::path::Path;

use antiphon::coordination::SessionOutcome;
use antiphon::ledger::Location;
use antiphon::ledger::ReadError;
use antiphon::ledger::verify::Scope;

use super::journal::Journal;
use super::process_trace::ProcessTrace;
use crate::labels::counted;
use findings::Findings;
use ledger::ReadLedger;

/// What was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub(super) struct Coverage {
    pub(super) events: u64,
    pub(super) runs: u64,
    pub(super) ended: u64,
    pub(super) sessions: u64,
    pub(super) lost: u64,
    pub(super) receipts_rebuilt: u64,
    pub(super) acknowledged: u64,
    pub(super) signals: u64,
    /// Changes of keys that all count up.
    pub(super) counted: u64,
    pub(super) answers: u64,
    /// What was decided to follow attempts.
    pub(super) decisions: u64,
    /// Sessions of processes whose end is recorded with what became of their tree.
    pub(super) trees: u64,
    /// Of these, sessions that only the next start could end.
    pub(super) swept: u64,
    /// Processes that left their file.
    pub(super) processes: u64,
    /// Different blobs that the ends of sessions name.
    pub(super) blobs: u64,
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
        self.signals += other.signals;
        self.counted += other.counted;
        self.answers += other.answers;
        self.decisions += other.decisions;
        self.trees += other.trees;
        self.swept += other.swept;
        self.processes += other.processes;
        self.blobs += other.blobs;
    }
}

/// What victims have left behind.
#[derive(Debug, Clone, Copy)]
pub(super) struct Evidence<'a> {
    state: &'a Path,
    journal: &'a Journal,
    tracks: &'a [ProcessTrace],
}

impl<'a> Evidence<'a> {
    pub(super) fn new(state: &'a Path, journal: &'a Journal, tracks: &'a [ProcessTrace]) -> Self {
        Self { state, journal, tracks }
    }
}

/// Checks the ledger in a state directory against what was coverage; `finished` if everything was
/// allowed to come to its end.
pub(super) fn check(left: &Evidence<'_>, finished: bool) -> Result<Coverage, Vec<String>> {
    let Evidence { state, journal, tracks } = *left;
    let mut findings = Findings::default();
    let mut coverage = Coverage::default();
    let mut ledger = ReadLedger::default();
    match Location::directory(state).verify(&Scope::Ledger) {
        Ok(report) => {
            for finding in &report.findings {
                findings.add(finding);
            }
            coverage.receipts_rebuilt = report.receipts_rebuilt;
            if let Err(error) = ledger.read(state, &mut findings) {
                findings.add(error);
            }
        }
        // A victim may be killed before it has made one; then nothing was acknowledged either.
        Err(ReadError::Absent { .. }) => {}
        Err(error) => findings.add(format!("the ledger cannot be verified: {error}")),
    }
    for (id, record) in &ledger.records {
        record.check(id, finished, &mut findings);
        coverage.runs += 1;
        coverage.ended += u64::from(record.ends > 0);
        coverage.sessions += record.bound.len() as u64;
        coverage.lost +=
            record.unbound.values().filter(|end| end.outcome == SessionOutcome::Lost).count()
                as u64;
        let [signals, counted, answers, decisions] = record.told.counts();
        coverage.signals += signals;
        coverage.counted += counted;
        coverage.answers += answers;
        coverage.decisions += decisions;
        let trees =
            || record.unbound.values().filter_map(|end| Some((end.outcome, end.tree.as_ref()?)));
        coverage.trees += trees().count() as u64;
        coverage.swept +=
            trees().filter(|(outcome, _)| *outcome == SessionOutcome::Lost).count() as u64;
    }
    coverage.events = ledger.events;
    if coverage.receipts_rebuilt != coverage.ended {
        findings.add(format!(
            "{} ended, but {} could be rebuilt",
            counted(coverage.ended, "run"),
            counted(coverage.receipts_rebuilt, "receipt")
        ));
    }
    coverage.acknowledged = acknowledged::check(&ledger, journal, &mut findings);
    sessions::check(&ledger, journal, &mut findings);
    retry::check(&ledger, &mut findings);
    processes::check(&ledger, tracks, &mut findings);
    coverage.processes = tracks.len() as u64;
    coverage.blobs = processes::check_blobs(&ledger, state, &mut findings);
    if findings.is_empty() { Ok(coverage) } else { Err(findings.into_texts()) }
}
