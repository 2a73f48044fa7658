//! The receipt: canonical evidence of one coordination, a pure function of its stream.
//!
//! Its bytes are what is hashed and stored; JSON is a rendering. It never holds a sentence of ours,
//! so that wording can change without changing a hash.

mod builder;
mod bytes;
mod content;
mod counts;
mod error;
mod read;
mod reader;
mod store;
mod wording;

use serde::{Deserialize, Serialize};

pub use self::builder::ReceiptBuilder;
pub use self::content::{
    Approvals, ApprovedQuestion, CarriedOutItem, CarriedOutWork, Ending, Evidence, GateScore,
    GateScores, ReusedItem, ReusedWork, RouteTaken, RoutesTaken, SignalCounts, WorkOutcome,
};
pub use self::counts::Counts;
pub use self::error::ReceiptError;
pub use self::store::ContentStore;
use super::MAX_WORK_OUTCOMES;
use super::budget::{BudgetUsage, CoordinationBudget};
use super::stop::{StopCondition, Verdict};
use crate::digest::Digest;
use crate::envelope::Blob;
use crate::id::CoordinationId;
use crate::time::WallTime;

/// Tamper-evident evidence of how a coordination went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct CoordinationReceipt {
    pub coordination_id: CoordinationId,
    pub ending: Ending,
    pub verdict: Verdict,
    /// Digests over each full thousand of items, in the order in which they ended.
    pub outcome_chunks: Vec<Digest>,
    /// The items after those: in the order in which they ended, then the unfinished ones in the
    /// order of addition.
    #[serde(deserialize_with = "crate::bounded::list::<MAX_WORK_OUTCOMES, _, _>")]
    pub work_outcomes: Vec<WorkOutcome>,
    pub budget_usage: BudgetUsage,
    /// What it might have used.
    pub budget_ceiling: CoordinationBudget,
    /// Wall-clock time of its start.
    pub started_at: WallTime,
    /// Wall-clock time of its end.
    pub completed_at: WallTime,
    /// Sessions and items, counted.
    pub totals: Counts,
    /// Where in the ledger the evidence lies.
    pub evidence: Evidence,
    /// Its signals, if there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signals: Option<SignalCounts>,
    /// The scores of its gates, if it has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gates: Option<GateScores>,
    /// How its questions were answered, if any were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approvals: Option<Approvals>,
    /// What was decided of attempts, if anything was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routes: Option<RoutesTaken>,
    /// What was taken over, if it is a retry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reused: Option<ReusedWork>,
    /// Which sessions carried that out, if it is recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carried_out: Option<CarriedOutWork>,
}

/// The receipt is not the one that was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this receipt has hash {actual}, not {expected}; it is another one, or was changed")]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct HashMismatch {
    pub expected: Digest,
    /// The hash of this receipt.
    pub actual: Digest,
}

impl CoordinationReceipt {
    /// The stop condition, unless the coordination was aborted.
    #[must_use]
    pub fn stop_condition(&self) -> Option<&StopCondition> {
        match &self.ending {
            Ending::Completed(stop) => Some(stop),
            Ending::Aborted(_) => None,
        }
    }

    /// Sessions that ended.
    #[must_use]
    pub fn total_sessions(&self) -> u64 {
        self.totals.sessions
    }

    /// Sessions that succeeded.
    #[must_use]
    pub fn successful_sessions(&self) -> u64 {
        self.totals.successful
    }

    /// Sessions that failed.
    #[must_use]
    pub fn failed_sessions(&self) -> u64 {
        self.totals.failed
    }

    /// The receipt's name: SHA-256 of its canonical bytes.
    #[must_use]
    pub fn compute_hash(&self) -> Digest {
        Digest::of(&self.canonical_bytes())
    }

    /// Stores the canonical bytes and returns their digest, which equals
    /// [`CoordinationReceipt::compute_hash`].
    ///
    /// # Errors
    /// [`ContentStore::Error`], as the store says it.
    pub fn store<S: ContentStore>(&self, cas: &mut S) -> Result<Digest, S::Error> {
        let blob = Blob::new(self.canonical_bytes());
        let digest = blob.digest;
        cas.put(blob)?;
        Ok(digest)
    }

    /// Checks that this is the receipt with that hash.
    ///
    /// # Errors
    /// [`HashMismatch`] carries both hashes.
    pub fn verify(&self, expected_hash: &Digest) -> Result<(), HashMismatch> {
        let actual = self.compute_hash();
        if actual == *expected_hash {
            Ok(())
        } else {
            Err(HashMismatch { expected: *expected_hash, actual })
        }
    }
}
