//! How a run ended, for people: why, how many of its items came to what, and what failed first, with
//! its last words.
//!
//! It is made from the events of the run, read once, and decides nothing.

mod failures;
mod words;

use antiphon_core::coordination::{Coordination, Counts, Ending, FailureStreak, Verdict};
use antiphon_core::id::{CoordinationId, StreamName, Version};
use antiphon_core::replay::Replay;

use crate::ledger::{Events, ReadError, Store};

pub use failures::{FailedItem, Failures};
pub use words::in_one_line;

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunReport {
    /// The run.
    pub run: CoordinationId,
    /// How it went.
    pub verdict: Verdict,
    /// How it ended, as it is recorded.
    pub ending: Ending,
    /// Why it ended with work left, in words; `None` if it came to the end of its work.
    pub why: Option<String>,
    /// The failures that tripped its breaker, if they did.
    pub tripped: Option<FailureStreak>,
    /// Sessions and items, counted.
    pub counts: Counts,
    /// The items that failed first, in the order in which they did.
    pub failures: Vec<FailedItem>,
}

/// Why nothing is told of how a run ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The ledger cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// An event cannot be read, or cannot follow those before it.
    #[error("cannot read how {run} ended: {reason}")]
    Unreadable {
        /// The run.
        run: CoordinationId,
        /// What is wrong.
        reason: String,
    },
}

impl RunReport {
    /// How a run ended, read from a ledger; `None` if it has not ended.
    ///
    /// # Errors
    /// [`ReportError`] if its events cannot be read.
    pub fn read(store: &dyn Store, id: &CoordinationId) -> Result<Option<Self>, ReportError> {
        let stream = StreamName::Coordination(id.clone());
        let mut replay: Replay<Coordination> = Replay::of(stream.clone());
        let mut failures = Failures::default();
        for recorded in Events::after(store, stream, Version(0)) {
            let event = replay.take(&recorded?).map_err(|error| ReportError::Unreadable {
                run: id.clone(),
                reason: error.to_string(),
            })?;
            failures.take(&event);
        }
        match replay.state() {
            Some(run) => Ok(Self::of(run, &failures, store)?),
            None => Ok(None),
        }
    }

    /// The same of a run whose events were read already.
    ///
    /// # Errors
    /// [`ReadError`] if the ledger cannot be read.
    pub fn of(
        run: &Coordination,
        failures: &Failures,
        store: &dyn Store,
    ) -> Result<Option<Self>, ReadError> {
        let Some(ending) = run.ending() else { return Ok(None) };
        let counts = *run.totals();
        let verdict = match ending {
            Ending::Completed(_) => counts.verdict(),
            _ => Verdict::Aborted,
        };
        Ok(Some(Self {
            run: run.coordination_id().clone(),
            verdict,
            ending,
            why: run.why_ended(),
            tripped: run.tripped().cloned(),
            counts,
            failures: failures.told(run, store)?,
        }))
    }
}
