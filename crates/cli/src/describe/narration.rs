//! The events of one stream, told in their order: how long a session took is in no event of its own.

use std::collections::BTreeMap;

use antiphon::envelope::Recorded;
use antiphon::event::{
    AggregateEvent as _, CoordinationEvent, Interrupted, Resumed, SessionBound, SessionUnbound,
};
use antiphon::time::LedgerTime;

use super::sentence;
use super::sentence::Sentence;

/// The sessions that have begun and not ended, as far as their events were seen.
#[derive(Debug, Default)]
pub(crate) struct Narration {
    running: BTreeMap<u64, Begun>,
}

#[derive(Debug)]
struct Begun {
    at: LedgerTime,
    nested: bool,
}

impl Narration {
    /// What the next event says, on one line.
    pub(crate) fn tell(&mut self, recorded: &Recorded) -> Sentence {
        let took_ns = self.pass(recorded);
        sentence(recorded, took_ns)
    }

    /// Takes in the next event without telling it. Gives how long the session took that it ends.
    pub(crate) fn pass(&mut self, recorded: &Recorded) -> Option<u64> {
        match CoordinationEvent::of(recorded).ok()? {
            CoordinationEvent::SessionBound(SessionBound { session, nested, .. }) => {
                self.running.insert(session, Begun { at: recorded.at, nested });
            }
            CoordinationEvent::SessionUnbound(SessionUnbound { session, .. }) => {
                return Some(recorded.at.since(self.running.remove(&session)?.at));
            }
            // Time in which nobody carries a run out is no time of the runs in it.
            CoordinationEvent::Interrupted(Interrupted { away, .. })
            | CoordinationEvent::Resumed(Resumed { away, .. }) => {
                for begun in self.running.values_mut().filter(|begun| begun.nested) {
                    begun.at = begun.at.after(away);
                }
            }
            _ => {}
        }
        None
    }

    /// Whether an event ends a session of whose beginning nothing is known here.
    pub(crate) fn lacks(&self, recorded: &Recorded) -> bool {
        matches!(
            CoordinationEvent::of(recorded),
            Ok(CoordinationEvent::SessionUnbound(SessionUnbound { session, .. }))
                if !self.running.contains_key(&session)
        )
    }
}
