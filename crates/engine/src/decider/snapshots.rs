//! When a stream's state is worth saving.

use std::collections::HashMap;

use antiphon_core::coordination::Coordination;
use antiphon_core::id::{StreamName, Version};

use crate::ledger::Snapshot;

/// How many units of a state's weight one event must be worth, so that what is written for
/// snapshots stays a fraction of what is written for events.
const EVENTS_PER_WEIGHT: u64 = 4;

/// The versions that were saved.
pub(super) struct Snapshots {
    saved: HashMap<StreamName, Version>,
    /// Events of a stream after which a snapshot is worth its cost.
    every: u64,
}

impl Snapshots {
    pub(super) fn new(every: u64) -> Self {
        Self { saved: HashMap::new(), every }
    }

    /// A snapshot of a state, if it is due.
    pub(super) fn due(&mut self, stream: &StreamName, state: &Coordination) -> Option<Snapshot> {
        let due = self.every.max(EVENTS_PER_WEIGHT * state.weight());
        let saved = self.saved.get(stream).map_or(0, |version| version.0);
        if state.version().0 - saved < due {
            return None;
        }
        self.saved.insert(stream.clone(), state.version());
        Some(snapshot_of(stream.clone(), state))
    }

    /// The stream takes in nothing more.
    pub(super) fn forget(&mut self, stream: &StreamName) {
        self.saved.remove(stream);
    }

    /// The streams may not have the versions any more that were saved.
    pub(super) fn clear(&mut self) {
        self.saved.clear();
    }
}

/// The state of a stream as it is kept.
pub(super) fn snapshot_of(stream: StreamName, state: &Coordination) -> Snapshot {
    Snapshot {
        stream,
        version: state.version(),
        format: Coordination::SNAPSHOT_FORMAT.to_owned(),
        bytes: state.snapshot(),
    }
}
