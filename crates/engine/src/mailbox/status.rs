//! How runs are and how they ended, as head rows and last events say.

use antiphon_core::append::HeadRow;
use antiphon_core::coordination::{BudgetUsage, Counts, Ending, Verdict};
use antiphon_core::digest::Digest;
use antiphon_core::event::CoordinationEvent;
use antiphon_core::head::{RunSummary, Stage};
use antiphon_core::id::{CoordinationId, StreamName, Version};

use super::error::EngineError;
use crate::ledger::{HeadQuery, Store};

/// How a run ended. What became of each item is in its receipt:
/// [`Run::receipt`](crate::Run::receipt).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct Ended {
    pub run: CoordinationId,
    pub verdict: Verdict,
    pub ending: Ending,
    pub usage: BudgetUsage,
    /// Sessions and items, counted.
    pub counts: Counts,
    /// Digest of its receipt.
    pub receipt: Digest,
}

impl Ended {
    /// The end of a run, as its last event says; `None` of any other event.
    #[must_use]
    pub fn of(run: CoordinationId, event: &CoordinationEvent) -> Option<Self> {
        let end = event.ending()?;
        Some(Self {
            run,
            verdict: end.verdict,
            ending: end.ending,
            usage: end.usage.clone(),
            counts: end.totals,
            receipt: end.receipt,
        })
    }
}

/// A run at a glance, from its head row.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct Status {
    pub run: CoordinationId,
    /// Where it is in its life.
    pub stage: Stage,
    /// Version of its last event.
    pub version: Version,
    /// Its name, what it has used, its items and sessions counted and, once it has ended, the
    /// receipt's digest.
    pub summary: RunSummary,
}

pub(crate) fn head_of(store: &dyn Store, id: &CoordinationId) -> Result<HeadRow, EngineError> {
    let heads = store.heads(&HeadQuery::Stream(StreamName::Coordination(id.clone())))?;
    heads
        .into_iter()
        .next()
        .ok_or_else(|| EngineError::UnknownCoordination { coordination: id.clone() })
}

/// The head row of a run as its status.
pub(super) fn status_of(store: &dyn Store, id: &CoordinationId) -> Result<Status, EngineError> {
    let head = head_of(store, id)?;
    let unreadable = |reason: String| EngineError::HeadRow { coordination: id.clone(), reason };
    Ok(Status {
        run: id.clone(),
        stage: head.stage().map_err(|error| unreadable(error.to_string()))?,
        version: head.tip.version,
        summary: head.run_summary().map_err(|error| unreadable(error.to_string()))?,
    })
}

/// How a run has ended, if it has.
pub(super) fn end_of(store: &dyn Store, id: &CoordinationId) -> Result<Option<Ended>, EngineError> {
    let head = head_of(store, id)?;
    let before = Version(head.tip.version.0.saturating_sub(1));
    let last = store.read_stream(&head.stream, before, 1)?.into_iter().next();
    let event = last.and_then(|last| last.event().ok()?.in_coordination());
    Ok(event.and_then(|event| Ended::of(id.clone(), &event)))
}
