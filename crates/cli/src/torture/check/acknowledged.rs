//! Everything that was acknowledged to the victim is in the ledger.

use std::collections::HashMap;

use antiphon::id::CoordinationId;

use super::findings::Findings;
use super::ledger::ReadLedger;
use crate::torture::journal::{Entry, Journal};

/// Counts what was acknowledged, all of which must be there.
pub(super) fn check(ledger: &ReadLedger, journal: &Journal, findings: &mut Findings) -> u64 {
    let mut acknowledged = 0;
    let mut counts: HashMap<(&CoordinationId, &str), usize> = HashMap::new();
    let mut closed = 0;
    for entry in journal.entries() {
        let id = match entry {
            Entry::Complained { about } => {
                findings.add(about);
                continue;
            }
            Entry::Closed { .. } => {
                closed += 1;
                continue;
            }
            Entry::Opened { .. } | Entry::Began { .. } | Entry::Left { .. } => continue,
            Entry::Submitted { id }
            | Entry::Added { id, .. }
            | Entry::Stopped { id, .. }
            | Entry::Paused { id }
            | Entry::Continued { id }
            | Entry::Interrupted { id }
            | Entry::Ended { id, .. }
            | Entry::Signalled { id, .. }
            | Entry::Heard { id, .. }
            | Entry::Counted { id, .. }
            | Entry::Asked { id, .. }
            | Entry::Answered { id, .. }
            | Entry::Delivered { id, .. } => id,
        };
        acknowledged += 1;
        let Some(record) = ledger.records.get(id) else {
            findings.add(format!("LOST: {entry:?}"));
            continue;
        };
        let mut counted = |what, there: usize| {
            let count = counts.entry((id, what)).or_default();
            *count += 1;
            *count <= there
        };
        let kept = match entry {
            Entry::Added { command, version, .. } => record.causes.get(command) == Some(version),
            Entry::Stopped { kind, .. } => record.stops.contains(kind),
            Entry::Paused { .. } => counted("paused", record.pauses),
            Entry::Continued { .. } => counted("continued", record.continues),
            Entry::Interrupted { .. } => counted("interrupted", record.interruptions),
            Entry::Ended { verdict, receipt, .. } => record.end == Some((*verdict, *receipt)),
            Entry::Delivered { version, hash, .. } => {
                let index = usize::try_from(version.0).unwrap_or(0).wrapping_sub(1);
                record.hashes.get(index) == Some(hash)
            }
            entry => record.told.keeps(entry).unwrap_or(true),
        };
        if !kept {
            findings.add(format!("LOST: {entry:?}"));
        }
    }
    if ledger.closed < closed {
        findings.add(format!(
            "LOST: {closed} closes were acknowledged, {} are recorded",
            ledger.closed
        ));
    }
    acknowledged
}
