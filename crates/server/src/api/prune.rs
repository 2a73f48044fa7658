//! Pruning: which ended runs may go, and what went.

use antiphon::prune::Pruned;
use serde::{Deserialize, Serialize};

/// Most runs that are named in an answer; all of them are counted.
const NAMED: usize = 1_000;

/// Which ended runs may go; what is given must hold together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PruneRequest {
    /// Only runs that ended longer ago, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub older_than_ms: Option<u64>,
    /// The newest ended runs, so many, stay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep: Option<usize>,
    /// Also runs that others which stay have taken over from.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub forerunners: bool,
    /// Only say what would go.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// What went, or would go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PruneAnswer {
    /// Whether nothing was erased, as that was asked for.
    pub dry_run: bool,
    /// How many runs that somebody started.
    pub runs: u64,
    /// Their ids, oldest first, at most a thousand.
    pub ids: Vec<String>,
    /// How many nested runs go with them.
    pub nested: u64,
    /// How many payloads of events.
    pub payloads: u64,
    /// How many blobs: inputs, outputs and what was printed.
    pub blobs: u64,
    /// How many bytes these payloads and blobs have.
    pub bytes: u64,
    /// Runs that stay as others that stay have taken over from them, oldest first, at most a
    /// thousand.
    pub needed: Vec<String>,
    /// How many runs more may go: the same request again takes them.
    pub left: u64,
    /// Bytes that were in use in the ledger before; absent where nothing was erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_before: Option<u64>,
    /// Bytes that are in use now; absent where nothing was erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_after: Option<u64>,
}

impl PruneRequest {
    /// The same for the engine.
    #[must_use]
    pub fn asked(&self) -> antiphon::prune::PruneRequest {
        antiphon::prune::PruneRequest {
            older_than: self.older_than_ms.map(std::time::Duration::from_millis),
            keep: self.keep,
            forerunners: self.forerunners,
        }
    }
}

impl PruneAnswer {
    /// What the engine says, or the ledger without one.
    #[must_use]
    pub fn of(pruned: &Pruned, dry_run: bool) -> Self {
        let named = |ids: &[antiphon::id::CoordinationId]| {
            ids.iter().take(NAMED).map(ToString::to_string).collect()
        };
        let (bytes_before, bytes_after) = pruned.sizes.unzip();
        Self {
            dry_run,
            runs: pruned.runs.len() as u64,
            ids: named(&pruned.runs),
            nested: pruned.nested,
            payloads: pruned.payloads,
            blobs: pruned.blobs,
            bytes: pruned.bytes,
            needed: named(&pruned.needed),
            left: pruned.left,
            bytes_before,
            bytes_after,
        }
    }
}
