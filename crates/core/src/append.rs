//! One turn's worth of ledger: what a store accepts, whole or not at all.

use crate::digest::{Canonical, Digest};
use crate::envelope::{Blob, Commit, Recorded, StreamTip};
use crate::id::{StreamName, Version};
use crate::time::{LedgerTime, WallTime};

/// Everything that one append writes, atomically.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// The link in the commit chain; its number is the expected one.
    pub commit: Commit,
    /// The events in ledger order; for every stream the versions go on from its tip without gaps.
    pub events: Vec<Recorded>,
    /// Blobs that the events name. Those over
    /// [`MAX_INLINE_BLOB_BYTES`](crate::envelope::MAX_INLINE_BLOB_BYTES) are made durable first.
    pub blobs: Vec<Blob>,
    /// The new head row of every stream that the events touch.
    pub heads: Vec<HeadRow>,
    /// What to erase; each is named by a `ledger.erased` event in this append, but for the archives
    /// of a coordination that ends with it.
    pub erasures: Vec<Erasure>,
}

/// What is known of a stream without reading it: one row a stream, rebuildable from the events.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct HeadRow {
    pub stream: StreamName,
    /// Version and hash of its last event.
    pub tip: StreamTip,
    /// A word for its state: `running`, `paused`, `succeeded` and so on.
    pub status: String,
    /// Whether the stream has ended and can get no further event.
    pub ended: bool,
    /// Wall-clock time of its first event.
    pub started: WallTime,
    /// Ledger and wall-clock time of its last event.
    pub changed: (LedgerTime, WallTime),
    /// A JSON object with what lists and results need, made by the core.
    pub summary: String,
}

impl HeadRow {
    /// The digest that guards the row, as it lies outside both chains.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut bytes = Canonical::new("antiphon.head.1");
        bytes
            .text(&self.stream.to_string())
            .u64(self.tip.version.0)
            .digest(&self.tip.hash)
            .text(&self.status)
            .u8(self.ended.into())
            .u64(self.started.0)
            .u64(self.changed.0.0)
            .u64(self.changed.1.0)
            .text(&self.summary);
        bytes.hash()
    }
}

/// What an append takes out of the ledger for good. Chains and envelopes stay.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub enum Erasure {
    /// The payloads of some events of an ended coordination.
    Payloads {
        stream: StreamName,
        /// The versions, in rising order.
        versions: Vec<Version>,
    },
    Blob(Digest),
}
