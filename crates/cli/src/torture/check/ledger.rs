//! The ledger as its events tell it, run by run.

use std::collections::HashMap;
use std::path::Path;

use antiphon::envelope::Recorded;
use antiphon::event::{AggregateEvent as _, CoordinationEvent};
use antiphon::id::{CoordinationId, Seq, SessionId, StreamName, Version, WorkId};
use antiphon::ledger::{AllEvents, Location};
use antiphon::replay::Replay;

use super::findings::Findings;
use super::record::Record;

/// The ledger as its events tell it.
#[derive(Debug, Default)]
pub(super) struct ReadLedger {
    pub(super) records: HashMap<CoordinationId, Record>,
    pub(super) events: u64,
    pub(super) closed: u64,
}

impl ReadLedger {
    pub(super) fn read(&mut self, state: &Path, findings: &mut Findings) -> Result<(), String> {
        let store = Location::directory(state).store();
        for placed in AllEvents::after(store.as_ref(), Seq(0)) {
            let event =
                placed.map_err(|error| format!("the ledger cannot be read: {error}"))?.event;
            self.events += 1;
            match &event.stream {
                StreamName::Coordination(id) => self.take(id, &event, findings),
                _ => self.closed += u64::from(&*event.kind == "ledger.closed"),
            }
        }
        Ok(())
    }

    pub(super) fn take(
        &mut self,
        id: &CoordinationId,
        recorded: &Recorded,
        findings: &mut Findings,
    ) {
        let place = format!("coordination/{id} at version {}", recorded.version);
        let event = match CoordinationEvent::of(recorded) {
            Ok(event) => event,
            Err(unreadable) => return findings.add(format!("{place}: {}", unreadable.error)),
        };
        let applied = match self.records.get_mut(id) {
            Some(record) => record.apply(recorded, &event),
            None => {
                let mut replay = Replay::of(recorded.stream.clone());
                replay.apply(recorded, &event).map(|()| {
                    self.records.insert(id.clone(), Record::of(replay));
                })
            }
        };
        if let Err(error) = applied {
            findings.add(format!("{place}: {error}"));
        }
        if let Some(record) = self.records.get_mut(id) {
            record.take(event, recorded, &place, findings);
        }
    }
}

impl ReadLedger {
    /// Whether a session is on the record with just this item, fence and attempt.
    pub(super) fn has_bound(
        &self,
        session: &SessionId,
        work: &WorkId,
        fence: Version,
        attempt: u32,
    ) -> bool {
        let bound = self
            .records
            .get(&session.coordination)
            .and_then(|record| record.bound.get(&session.number));
        bound.is_some_and(|bound| {
            bound.work == *work && bound.fence == fence && bound.attempt == attempt
        })
    }
}
