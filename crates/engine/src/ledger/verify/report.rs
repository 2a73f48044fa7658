//! What a verification looked at and what it found.

use std::fmt;

use antiphon_core::coordination::Forerunner;
use antiphon_core::id::{CoordinationId, StreamName};
use serde::{Serialize, Serializer};

use super::finding::{Finding, Findings, as_text};

/// What a verification looked at and what it found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[must_use = "a report may hold findings"]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct VerifyReport {
    pub events: u64,
    /// Streams that they are in.
    pub streams: u64,
    pub commits: u64,
    /// Receipts that were rebuilt from their events and are the same, byte for byte.
    pub receipts_rebuilt: u64,
    /// Events whose payload is erased.
    pub erased: u64,
    /// Blobs that events name and that were erased since, as recorded.
    pub blobs_erased: u64,
    /// Streams that ended and whose receipt cannot be rebuilt any more, as payloads were erased.
    pub not_rebuildable: Vec<NotRebuildable>,
    /// Where one run was asked for: the one that it retries, the one that this retries, and so on,
    /// which were verified with it.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "all_as_text")]
    pub forerunners: Vec<CoordinationId>,
    /// Retries whose forerunner was pruned: what they took over of it is there, and its end.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub forerunners_pruned: Vec<PrunedForerunner>,
    /// What is wrong, in the order of the ledger.
    pub findings: Vec<Finding>,
    /// Further findings that are not spelled out.
    pub omitted: u64,
}

/// A stream that is verified by its envelopes, chains and receipt digest alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct NotRebuildable {
    #[serde(serialize_with = "as_text")]
    pub stream: StreamName,
    /// Payloads that were erased.
    pub erased: u64,
}

/// A retry of a run of which only the end is left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct PrunedForerunner {
    /// The retry's.
    #[serde(serialize_with = "as_text")]
    pub stream: StreamName,
    pub forerunner: CoordinationId,
}

impl VerifyReport {
    pub(in crate::ledger) fn name_pruned(&mut self, retry: &StreamName, named: Forerunner) {
        let (stream, forerunner) = (retry.clone(), named.coordination);
        self.forerunners_pruned.push(PrunedForerunner { stream, forerunner });
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty() && self.omitted == 0
    }

    pub(in crate::ledger) fn take(&mut self, findings: Findings) {
        self.findings = findings.list;
        self.omitted = findings.omitted;
    }
}

impl fmt::Display for VerifyReport {
    /// Plain lines: counts, what cannot be rebuilt, findings, and `sound` or their number last.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (events, streams) = (counted(self.events, "event"), counted(self.streams, "stream"));
        writeln!(f, "{events} in {streams}, {}", counted(self.commits, "commit"))?;
        let receipts = counted(self.receipts_rebuilt, "receipt");
        write!(f, "{receipts} rebuilt, {} erased", counted(self.erased, "payload"))?;
        if self.blobs_erased > 0 {
            write!(f, ", {} erased", counted(self.blobs_erased, "blob"))?;
        }
        writeln!(f)?;
        if !self.forerunners.is_empty() {
            let forerunners: Vec<&str> =
                self.forerunners.iter().map(CoordinationId::as_str).collect();
            writeln!(f, "forerunners verified: {}", forerunners.join(", "))?;
        }
        for NotRebuildable { stream, erased } in &self.not_rebuildable {
            writeln!(f, "`{stream}`: not rebuildable: {erased} erased")?;
        }
        for PrunedForerunner { stream, forerunner } in &self.forerunners_pruned {
            writeln!(f, "`{stream}`: forerunner pruned: {forerunner}")?;
        }
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        match self.findings.len() as u64 + self.omitted {
            0 => writeln!(f, "sound"),
            1 => writeln!(f, "NOT SOUND: 1 finding"),
            all => writeln!(f, "NOT SOUND: {all} findings"),
        }
    }
}

fn all_as_text<S: Serializer>(runs: &[CoordinationId], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(runs.iter().map(CoordinationId::as_str))
}

fn counted(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
