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

/// Events of a stream after which a snapshot is worth its cost.
const EVENTS: u64 = 10_000;

/// How many events a unit of a state's weight must have seen besides, so that what is written for
/// snapshots stays a fraction of what is written for events.
const EVENTS_PER_WEIGHT: u64 = 4;

/// Events of a stream after which a snapshot is worth its cost when the engine closes: then nobody
/// waits for it, and the next start may soon come.
const EVENTS_AT_CLOSE: u64 = 100;

/// How much of a state's weight one event must stand for then.
const WEIGHT_PER_EVENT_AT_CLOSE: u64 = 8;

/// The versions that were saved, and the snapshots that are being made.
pub(super) struct Snapshots {
    saved: HashMap<StreamName, Version>,
    /// After how many events a state is saved, whatever it weighs, if that was asked for.
    every: Option<u64>,
    making: Option<JoinHandle<()>>,
}

impl Snapshots {
    /// The states as they were found go on from these snapshots.
    pub(super) fn new(every: Option<u64>, found: HashMap<StreamName, Version>) -> Self {
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
            let worth = || EVENTS.max(EVENTS_PER_WEIGHT * state.weight());
            self.changed(stream, state) >= self.every.unwrap_or_else(worth)
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
        incidents: &Arc<Incidents>,
    ) {
        self.made().await;
        let least = self.every.unwrap_or(EVENTS_AT_CLOSE).min(EVENTS_AT_CLOSE);
        let snapshots: Vec<Snapshot> = states
            .map(|state| (StreamName::Coordination(state.coordination_id().clone()), state))
            .filter(|(stream, state)| {
                let worth = state.weight() / WEIGHT_PER_EVENT_AT_CLOSE;
                self.changed(stream, state) >= worth.max(least)
            })
            .map(|(stream, state)| snapshot_of(stream, state))
            .collect();
        let (store, incidents) = (Arc::clone(store), Arc::clone(incidents));
        let save = move || save(store.as_ref(), &snapshots, &incidents);
        self.making = Some(tokio::task::spawn_blocking(save));
        self.made().await;
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
            Ok(Some(state)) => save(store, &[snapshot_of(stream.clone(), &state)], incidents),
            // Its first events are still on their way to the disk.
            Ok(None) => {}
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
