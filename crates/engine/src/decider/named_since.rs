//! The blobs that were named since a prune began: it has looked at the ledger before, and what has
//! come to be needed since stays.

use std::collections::HashSet;
use std::sync::Weak;

use antiphon_core::append::{Append, Erasure};
use antiphon_core::digest::Digest;
use antiphon_core::event::{AggregateEvent as _, CoordinationEvent};

/// The prunes that go on, and what was named since the first of them began. Costs nothing as long
/// as there is none.
#[derive(Debug, Default)]
pub(super) struct NamedSince {
    prunes: Vec<Weak<()>>,
    blobs: HashSet<Digest>,
    /// What is to be erased with the next append for a prune.
    going: HashSet<Digest>,
}

impl NamedSince {
    /// A prune begins, and goes on as long as its token is held.
    pub(super) fn begin(&mut self, prune: Weak<()>) {
        self.prunes.push(prune);
    }

    /// Leaves of what a prune would erase what was not named since.
    pub(super) fn spare(&mut self, blobs: &mut Vec<Digest>) {
        blobs.retain(|blob| !self.blobs.contains(blob));
        self.going.extend(blobs.iter());
    }

    /// Takes in what an append names, and takes out of it what it would erase of that for a prune.
    pub(super) fn note(&mut self, append: &mut Append) {
        self.prunes.retain(|prune| prune.strong_count() > 0);
        let going = std::mem::take(&mut self.going);
        if self.prunes.is_empty() {
            self.blobs = HashSet::new();
        }
        if self.prunes.is_empty() && going.is_empty() {
            return;
        }
        for event in &append.events {
            if let Ok(event) = CoordinationEvent::of(event) {
                self.blobs.extend(event.blobs());
            }
        }
        self.blobs.extend(append.blobs.iter().map(|blob| blob.digest));
        append.erasures.retain(|erasure| match erasure {
            Erasure::Blob(blob) => !(going.contains(blob) && self.blobs.contains(blob)),
            Erasure::Payloads { .. } => true,
        });
    }
}
