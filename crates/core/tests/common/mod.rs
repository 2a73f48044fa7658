//! What several tests of the world begin with.

use antiphon_core::digest::Digest;
use antiphon_core::envelope::{CommitTip, StreamTip};
use antiphon_core::id::Epoch;
use antiphon_core::world::{LedgerFacts, World};

/// A world over a ledger in which nothing is recorded yet, under an epoch.
pub(crate) fn empty_world(epoch: u64) -> World {
    World::new(LedgerFacts {
        format: 1,
        ledger: Digest::of(b"a ledger"),
        epoch: Epoch(epoch),
        commit: CommitTip::default(),
        tip: StreamTip::default(),
        started: None,
        engine: "0.1.0".to_owned(),
    })
}
