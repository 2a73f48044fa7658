//! What must hold of sessions that are processes: they were bound before they ran, no two trees of
//! an item lived at the same time, nothing lives of what has ended on the record, and what they
//! printed is there.

use std::collections::BTreeMap;
use std::path::Path;

use antiphon::coordination::SessionOutcome;
use antiphon::digest::Digest;
use antiphon::id::SessionId;
use antiphon::ledger::Location;

use super::findings::Findings;
use super::ledger::ReadLedger;
use crate::torture::process_trace::ProcessTrace;
use crate::torture::program;

/// Checks the record against the processes that were there, some of which may live.
pub(super) fn check(ledger: &ReadLedger, tracks: &[ProcessTrace], findings: &mut Findings) {
    for ProcessTrace { session, work, identity, observation } in tracks {
        if let Some(observation) = observation {
            if !ledger.has_bound(
                &observation.assignment.session,
                &observation.assignment.work,
                observation.assignment.fence,
                observation.assignment.attempt,
            ) {
                findings.add(format!(
                    "session {session} of {work} ran as process {} and is not on the record",
                    identity.pid
                ));
            }
            for other in &observation.beside {
                findings.add(format!(
                    "item {work} of {} had two live trees: process {} of session {} began while one of session {other} lived",
                    session.coordination, identity.pid, session.number
                ));
            }
        }
        let record = ledger.records.get(&session.coordination);
        if let Some(end) = record.and_then(|record| record.unbound.get(&session.number))
            && end.tree.as_ref().is_none_or(|tree| tree.clean)
            && identity.lives()
        {
            let version = end.version;
            findings.add(format!(
                "session {session} of {work} has ended on the record (version {version}), and its process {} lives",
                identity.pid
            ));
        }
    }
    for (id, record) in &ledger.records {
        for (number, end) in &record.unbound {
            // Nothing that the torture runs can withstand being killed. Where all that watched were
            // killed, an end is not clean, and names nobody.
            let left = end.tree.as_ref().filter(|tree| !tree.clean && !tree.leftovers.is_empty());
            if let Some(tree) = left {
                findings.add(format!(
                    "session {id}.{number} left something over: {}",
                    tree.leftovers.join(", ")
                ));
            }
        }
    }
}

/// Every blob that the end of a session names exists and is what its name says. Returns how many
/// there are.
pub(super) fn check_blobs(ledger: &ReadLedger, state: &Path, findings: &mut Findings) -> u64 {
    let store = Location::directory(state).store();
    let mut named: BTreeMap<Digest, SessionId> = BTreeMap::new();
    for (id, record) in &ledger.records {
        for (number, end) in &record.unbound {
            let session = SessionId { coordination: id.clone(), number: *number };
            let printed =
                end.tree.as_ref().map(|tree| [tree.stdout, tree.stderr]).unwrap_or_default();
            for digest in printed.into_iter().chain([end.output]).flatten() {
                named.entry(digest).or_insert_with(|| session.clone());
            }
            let prints = record
                .bound
                .get(number)
                .is_some_and(|bound| bound.work.as_str().starts_with("prints"));
            let expected = prints.then(|| Digest::of(&program::printed_by(&session)));
            if expected.is_some()
                && end.outcome == SessionOutcome::Success
                && printed[0] != expected
            {
                findings.add(format!("session {session} did not print what is on the record"));
            }
        }
    }
    for (digest, session) in &named {
        match store.blob(digest) {
            Ok(Some(bytes)) if Digest::of(&bytes) == *digest => {}
            Ok(Some(_)) => findings.add(format!(
                "blob {digest}, which the end of session {session} names, holds something else"
            )),
            Ok(None) => findings.add(format!(
                "blob {digest}, which the end of session {session} names, is not there"
            )),
            Err(error) => {
                findings.add(format!("blob {digest}, which the end of session {session} names, cannot be read: {error}"));
            }
        }
    }
    named.len() as u64
}
