//! Snapshots of states, so that a start reads only what came after them. They are made off the
//! decider, from what is durable: a large state takes longer to write down than anything may wait.

use std::collections::HashMap;
use std::sync::Arc;

use antiphon_core::coordination::Coordination;
use antiphon_core::id::{StreamName, Version};
use tokio::task::JoinHandle;

use super::recovery;
use crate::crash;
use crate::incidents::{Incident, Incidents};
use crate::ledger::{Snapshot, Store};

/// How many units of a state's weight one event must be worth, so that what is written for
/// snapshots stays a fraction of what is written for events.
const EVENTS_PER_WEIGHT: u64 = 4;

/// An engine that is to save states after fewer events than this saves them whatever they weigh.
const EVENTS_AT_ONCE: u64 = 1_000;

/// Events of a stream after which a snapshot is worth its cost when the engine closes, unless fewer
/// are at any time: then nobody waits for it, and the next start may soon come.
const AT_CLOSE: u64 = 100;

/// How many units of a state's weight one event must be worth then.
const WEIGHT_PER_EVENT_AT_CLOSE: u64 = 8;

/// The versions that were saved, and the snapshots that are being made.
pub(super) struct Snapshots {
    saved: HashMap<StreamName, Version>,
    /// Events of a stream after which a snapshot is worth its cost.
    every: u64,
    making: Option<JoinHandle<()>>,
}

impl Snapshots {
    /// The states as they were found go on from these snapshots.
    pub(super) fn new(every: u64, found: HashMap<StreamName, Version>) -> Self {
        Self { saved: found, every, making: None }
    }

    /// Has those of these states saved that are due, as soon as those before are.
    pub(super) fn save_due<'a>(
        &mut self,
        store: &Arc<dyn Store>,
        states: impl Iterator<Item = (&'a StreamName, &'a Coordination)>,
        incidents: &Arc<Incidents>,
    ) {
        if self.making.as_ref().is_some_and(|making| !making.is_finished()) || !store.waits() {
            return;
        }
        let due = states.filter(|(stream, state)| {
            // Whoever wants them more often than they are worth it has them as often.
            let often = self.every < EVENTS_AT_ONCE;
            let worth = if often { 0 } else { EVENTS_PER_WEIGHT * state.weight() };
            self.changed(stream, state) >= worth.max(self.every)
        });
        let due: Vec<_> = due.map(|(stream, state)| (stream.clone(), state.version())).collect();
        if !due.is_empty() {
            self.saved.extend(due.iter().cloned());
            let due: Vec<StreamName> = due.into_iter().map(|(stream, _)| stream).collect();
            let (store, incidents) = (Arc::clone(store), Arc::clone(incidents));
            let make = move || make(store.as_ref(), &due, &incidents);
            self.making = Some(tokio::task::spawn_blocking(make));
        }
    }

    /// Saves what has changed enough for the next start to gain by it, once the last ones are saved.
    pub(super) async fn save_at_close(
        &mut self,
        store: &Arc<dyn Store>,
        states: impl Iterator<Item = &Coordination>,
        incidents: &Incidents,
    ) {
        self.made().await;
        let snapshots: Vec<Snapshot> = states
            .map(|state| (StreamName::Coordination(state.coordination_id().clone()), state))
            .filter(|(stream, state)| {
                let worth = state.weight() / WEIGHT_PER_EVENT_AT_CLOSE;
                self.changed(stream, state) >= worth.max(AT_CLOSE.min(self.every))
            })
            .map(|(stream, state)| snapshot_of(stream, state))
            .collect();
        save(store.as_ref(), &snapshots, incidents);
    }

    /// Waits for those that are being made.
    pub(super) async fn made(&mut self) {
        if let Some(making) = self.making.take() {
            // One that panicked has saved nothing; a snapshot is only a cache.
            let _ = making.await;
        }
    }

    /// Events since a state was saved.
    fn changed(&self, stream: &StreamName, state: &Coordination) -> u64 {
        let saved = self.saved.get(stream).map_or(0, |version| version.0);
        state.version().0.saturating_sub(saved)
    }

    /// The stream takes in nothing more.
    pub(super) fn forget(&mut self, stream: &StreamName) {
        self.saved.remove(stream);
    }

    /// The states were read again, from these snapshots.
    pub(super) fn go_on_from(&mut self, found: HashMap<StreamName, Version>) {
        self.saved = found;
    }
}

/// Makes snapshots of streams as they are durable now.
fn make(store: &dyn Store, streams: &[StreamName], incidents: &Incidents) {
    for stream in streams {
        match recovery::replayed(store, stream) {
            Ok((state, _)) => save(store, &[snapshot_of(stream.clone(), &state)], incidents),
            Err(error) => incidents.note(Incident::SnapshotNotSaved, stream, &error),
        }
    }
}

fn save(store: &dyn Store, snapshots: &[Snapshot], incidents: &Incidents) {
    let Some(first) = snapshots.first() else { return };
    crash::point("snapshot.before");
    if let Err(error) = store.save_snapshots(snapshots) {
        incidents.note(Incident::SnapshotNotSaved, &first.stream, &error);
    }
    crash::point("snapshot.after");
}

/// The state of a stream as it is kept.
fn snapshot_of(stream: StreamName, state: &Coordination) -> Snapshot {
    Snapshot {
        stream,
        version: state.version(),
        format: Coordination::SNAPSHOT_FORMAT.to_owned(),
        bytes: state.snapshot(),
    }
}
