//! How runs are and how they ended, as head rows and last events say.

use antiphon_core::append::HeadRow;
use antiphon_core::coordination::{BudgetUsage, Counts, Ending, Verdict};
use antiphon_core::digest::Digest;
use antiphon_core::head::{RunSummary, Stage};
use antiphon_core::id::{CoordinationId, StreamName, Version};

use super::error::QueryError;
use crate::ledger::{HeadQuery, ReadError, Store};

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

pub(crate) fn head_of(
    store: &dyn Store,
    id: &CoordinationId,
) -> Result<Option<HeadRow>, ReadError> {
    let heads = store.heads(&HeadQuery::Stream(StreamName::Coordination(id.clone())))?;
    Ok(heads.into_iter().next())
}

/// The head row of a run as its status.
pub(super) fn status_of(store: &dyn Store, id: &CoordinationId) -> Result<Status, QueryError> {
    let head = head_of(store, id)?.ok_or_else(|| QueryError::UnknownRun { run: id.clone() })?;
    let unreadable = |reason: String| QueryError::HeadRow { run: id.clone(), reason };
    Ok(Status {
        run: id.clone(),
        stage: head.stage().map_err(|error| unreadable(error.to_string()))?,
        version: head.tip.version,
        summary: head.run_summary().map_err(|error| unreadable(error.to_string()))?,
    })
}

/// How a run has ended, if it has: its head row holds what its last event says, and is one read.
pub(super) fn end_of(store: &dyn Store, id: &CoordinationId) -> Result<Option<Ended>, QueryError> {
    let Status { run, stage, summary, .. } = status_of(store, id)?;
    let (Stage::Ended(verdict), Some(ending), Some(receipt)) =
        (stage, summary.ending, summary.receipt)
    else {
        return Ok(None);
    };
    let (usage, counts) = (summary.usage, summary.totals);
    Ok(Some(Ended { run, verdict, ending, usage, counts, receipt }))
}
