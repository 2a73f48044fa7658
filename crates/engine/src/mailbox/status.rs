//! How coordinations are and how they ended, as head rows tell.

use antiphon_core::append::HeadRow;
use antiphon_core::coordination::Verdict;
use antiphon_core::digest::Digest;
use antiphon_core::id::{CoordinationId, StreamName, Version};

use super::error::EngineError;
use crate::ledger::{HeadQuery, Store};

/// How a coordination ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The coordination.
    pub coordination: CoordinationId,
    /// How it went.
    pub verdict: Verdict,
    /// Digest of its receipt.
    pub receipt: Digest,
}

/// A coordination at a glance, from its head row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The coordination.
    pub coordination: CoordinationId,
    /// A word for its state.
    pub state: String,
    /// Whether it has ended.
    pub ended: bool,
    /// Version of its last event.
    pub version: Version,
    /// What lists and results need: name, usage, totals and, once it has ended, the receipt's
    /// digest.
    pub summary: serde_json::Value,
}

pub(crate) fn head_of(store: &dyn Store, id: &CoordinationId) -> Result<HeadRow, EngineError> {
    let heads = store.heads(&HeadQuery::Stream(StreamName::Coordination(id.clone())))?;
    heads
        .into_iter()
        .next()
        .ok_or_else(|| EngineError::UnknownCoordination { coordination: id.clone() })
}

/// The head row of a coordination as its status.
pub(crate) fn status_of(store: &dyn Store, id: &CoordinationId) -> Result<Status, EngineError> {
    let head = head_of(store, id)?;
    let summary = serde_json::from_str(&head.summary).unwrap_or(serde_json::Value::Null);
    Ok(Status {
        coordination: id.clone(),
        state: head.status,
        ended: head.ended,
        version: head.tip.version,
        summary,
    })
}
