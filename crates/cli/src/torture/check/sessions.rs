//! What must hold of sessions that are functions: they were bound before they ran, and no two of an
//! item lived at the same time.

use std::collections::HashMap;

use antiphon::coordination::SessionOutcome;
use antiphon::id::{CoordinationId, SessionId, WorkId};

use super::findings::Findings;
use super::ledger::ReadLedger;
use super::record::SessionEndedAt;
use crate::torture::journal::{Entry, Journal};

/// When a function began and was gone, and the number of its session.
type Interval = (u64, u64, u64);

/// Every session that began was on the record with just this item and fence; no two of one item
/// overlapped; none ended on the record before it was gone.
pub(super) fn check(ledger: &ReadLedger, journal: &Journal, findings: &mut Findings) {
    for run in &journal.runs {
        let mut intervals: HashMap<(&CoordinationId, &WorkId), Vec<Interval>> = HashMap::new();
        let mut left: HashMap<&SessionId, u64> = HashMap::new();
        for entry in run {
            if let Entry::Left { session, at_ns, .. } = entry {
                left.insert(session, *at_ns);
            }
        }
        for entry in run {
            let Entry::Began { session, work, fence, attempt, at_ns, .. } = entry else { continue };
            let until = left.get(session).copied();
            intervals.entry((&session.coordination, work)).or_default().push((
                *at_ns,
                until.unwrap_or(u64::MAX),
                session.number,
            ));
            let record = ledger.records.get(&session.coordination);
            if !ledger.has_bound(session, work, *fence, *attempt) {
                findings.add(format!("session {session} of {work} ran and is not on the record"));
            }
            let ended = record.and_then(|record| record.unbound.get(&session.number));
            // A lost session is one whose end was not observed.
            if let Some(SessionEndedAt { version, outcome, .. }) = ended
                && until.is_none()
                && *outcome != SessionOutcome::Lost
            {
                findings.add(format!("session {session} of {work} ended on the record (version {version}) while it ran"));
            }
        }
        for ((coordination, work), mut sessions) in intervals {
            sessions.sort_unstable();
            for pair in sessions.windows(2) {
                if pair[1].0 < pair[0].1 {
                    findings.add(format!(
                        "item {work} of {coordination} had two sessions at once: {} and {}, which began before the first had exited",
                        pair[0].2, pair[1].2
                    ));
                }
            }
        }
    }
}
