//! The receipt: canonical evidence of one coordination, built while its events are applied.

use serde::{Deserialize, Serialize};

use super::budget::{BudgetUsage, CoordinationBudget, Usage};
use super::outcome::SessionOutcome;
use super::stop::{AbortReason, StopCondition, Verdict};
use super::work::{SkipReason, WorkItemOutcome};
use super::{MAX_SESSION_IDS_PER_OUTCOME, MAX_WORK_OUTCOMES};
use crate::digest::{Canonical, Digest};
use crate::envelope::{Blob, CommitTip, StreamTip};
use crate::id::{CoordinationId, Epoch, Version, WorkId};
use crate::time::WallTime;

/// Sessions and items of a coordination, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Sessions that ended, in whatever way.
    pub sessions: u64,
    /// Sessions that succeeded.
    pub successful: u64,
    /// Sessions that failed, timed out or could not be started.
    pub failed: u64,
    /// Sessions that were ended from outside.
    pub cancelled: u64,
    /// Sessions that the engine's death took along.
    pub lost: u64,
    /// Sessions that a quota kept from working.
    pub deferred: u64,
    /// Items that succeeded.
    pub work_succeeded: u64,
    /// Items that failed for good.
    pub work_failed: u64,
    /// Items skipped by their own rule.
    pub work_skipped_by_rule: u64,
    /// Items skipped because of others.
    pub work_skipped: u64,
    /// Items without an outcome; counted when the coordination ends.
    pub work_unfinished: u64,
    /// Critical items that neither succeeded nor were skipped by their own rule.
    pub critical_missed: u64,
    /// Times an engine took the coordination over.
    pub resumes: u64,
    /// Writes refused for want of a valid fence.
    pub writes_refused: u64,
}

impl Counts {
    pub(super) fn items(&self) -> u64 {
        self.work_succeeded
            + self.work_failed
            + self.work_skipped_by_rule
            + self.work_skipped
            + self.work_unfinished
    }

    /// How a coordination with these totals went, if it was not aborted.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        if self.critical_missed > 0 {
            Verdict::Failed
        } else if self.work_succeeded + self.work_skipped_by_rule == self.items() {
            Verdict::Succeeded
        } else if self.work_succeeded == 0 {
            Verdict::Failed
        } else {
            Verdict::Partial
        }
    }

    fn write(&self, bytes: &mut Canonical) {
        for count in [
            self.sessions,
            self.successful,
            self.failed,
            self.cancelled,
            self.lost,
            self.deferred,
            self.work_succeeded,
            self.work_failed,
            self.work_skipped_by_rule,
            self.work_skipped,
            self.work_unfinished,
            self.critical_missed,
            self.resumes,
            self.writes_refused,
        ] {
            bytes.u64(count);
        }
    }
}

/// How a coordination ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// It came to its end.
    Completed(StopCondition),
    /// It was ended from outside.
    Aborted(AbortReason),
}

/// What became of one item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkOutcome {
    /// The item.
    pub work_id: WorkId,
    /// Attempts counted against its limit.
    pub attempts: u32,
    /// Its outcome; none if the coordination ended before it.
    pub final_outcome: Option<WorkItemOutcome>,
    /// Numbers of its sessions, the last [`MAX_SESSION_IDS_PER_OUTCOME`] of them; ids are
    /// `<coordination>.<number>`.
    pub sessions: Vec<u64>,
    /// Digest of what its last session put out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Digest>,
}

impl WorkOutcome {
    fn write(&self, bytes: &mut Canonical) {
        bytes.text(self.work_id.as_str()).u32(self.attempts);
        match &self.final_outcome {
            None => bytes.u8(b'-'),
            Some(WorkItemOutcome::Succeeded) => bytes.u8(b'S'),
            Some(WorkItemOutcome::Failed) => bytes.u8(b'F'),
            Some(WorkItemOutcome::Skipped(SkipReason::NeedFailed(root))) => {
                bytes.u8(b'N').text(root.as_str())
            }
            Some(WorkItemOutcome::Skipped(SkipReason::NotClaimable)) => bytes.u8(b'C'),
            Some(WorkItemOutcome::Skipped(SkipReason::Requested)) => bytes.u8(b'Q'),
            Some(WorkItemOutcome::Skipped(SkipReason::Rule)) => bytes.u8(b'R'),
        };
        bytes.length(self.sessions.len());
        for session in &self.sessions {
            bytes.u64(*session);
        }
        bytes.optional(self.output.as_ref(), |bytes, output| {
            bytes.digest(output);
        });
    }
}

/// Where in the ledger the evidence lies.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Evidence {
    /// Version of the last event before the terminal one; the first is always 1.
    pub last_version: Version,
    /// Hash of that event.
    pub head_hash: Digest,
    /// The commit before the append that ends the coordination.
    pub commit: CommitTip,
    /// The epochs that worked on it, in order, each with the engine's version.
    pub epochs: Vec<(Epoch, String)>,
}

/// Tamper-evident evidence of how a coordination went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoordinationReceipt {
    /// The coordination.
    pub coordination_id: CoordinationId,
    /// Why it ended.
    pub ending: Ending,
    /// How it went.
    pub verdict: Verdict,
    /// Digests over each full thousand of items, in the order in which they ended.
    pub outcome_chunks: Vec<Digest>,
    /// The items after those: in the order in which they ended, then the unfinished ones in the
    /// order of addition.
    pub work_outcomes: Vec<WorkOutcome>,
    /// What it used.
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
}

/// The receipt is not the one that was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this receipt has hash {actual}, not {expected}; it is another one, or was changed")]
pub struct HashMismatch {
    /// The hash expected.
    pub expected: Digest,
    /// The hash of this receipt.
    pub actual: Digest,
}

/// Where a receipt can be stored by the digest of its bytes.
pub trait ContentStore {
    /// What can go wrong.
    type Error;

    /// Stores a blob under its digest; storing it again changes nothing.
    ///
    /// # Errors
    /// Whatever the store says.
    fn put(&mut self, blob: Blob) -> Result<(), Self::Error>;
}

impl ContentStore for std::collections::BTreeMap<Digest, Vec<u8>> {
    type Error = std::convert::Infallible;
    fn put(&mut self, blob: Blob) -> Result<(), Self::Error> {
        self.insert(blob.digest, blob.bytes);
        Ok(())
    }
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

    /// The bytes that are hashed and stored: every text carries its length, so that nothing in a
    /// text can pose as structure.
    #[must_use]
    pub fn canonical_bytes(&self) -> Vec<u8> {
        let mut bytes = Canonical::new("antiphon.receipt.1");
        bytes.text(self.coordination_id.as_str());
        match &self.ending {
            Ending::Completed(stop) => bytes.u8(b'C').text(&stop.to_string()),
            Ending::Aborted(reason) => bytes.u8(b'A').text(&reason.to_string()),
        };
        bytes.text(self.verdict.as_str());
        bytes.length(self.outcome_chunks.len());
        for chunk in &self.outcome_chunks {
            bytes.digest(chunk);
        }
        bytes.length(self.work_outcomes.len());
        for outcome in &self.work_outcomes {
            outcome.write(&mut bytes);
        }
        let usage = &self.budget_usage;
        bytes
            .u32(usage.consumed_episodes())
            .u64(usage.elapsed_ticks())
            .u64(usage.tick_rate_hz())
            .u64(usage.consumed_tokens())
            .u64(usage.consumed_cache_tokens())
            .u64(usage.consumed_cost())
            .u8(usage.is_estimated().into());
        let ceiling = &self.budget_ceiling;
        let optional = |bytes: &mut Canonical, value: Option<u64>| {
            bytes.optional(value, |bytes, value| {
                bytes.u64(value);
            });
        };
        bytes
            .u32(ceiling.max_episodes())
            .u64(ceiling.max_duration_ticks())
            .u64(ceiling.tick_rate_hz());
        optional(&mut bytes, ceiling.max_tokens());
        optional(&mut bytes, ceiling.max_cost());
        bytes.optional(ceiling.currency(), |bytes, currency| {
            bytes.text(currency);
        });
        bytes.u64(self.started_at.0).u64(self.completed_at.0);
        self.totals.write(&mut bytes);
        let evidence = &self.evidence;
        bytes
            .u64(1)
            .u64(evidence.last_version.0)
            .digest(&evidence.head_hash)
            .u64(evidence.commit.number.0)
            .digest(&evidence.commit.hash)
            .length(evidence.epochs.len());
        for (epoch, engine) in &evidence.epochs {
            bytes.u64(epoch.0).text(engine);
        }
        bytes.into_bytes()
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
    /// Whatever the store says.
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

/// Gathers a receipt while a coordination runs; full thousands of items are kept as digests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptBuilder {
    coordination_id: CoordinationId,
    ceiling: CoordinationBudget,
    started_at: WallTime,
    pub(super) usage: BudgetUsage,
    pub(super) totals: Counts,
    chunks: Vec<Digest>,
    outcomes: Vec<WorkOutcome>,
    epochs: Vec<(Epoch, String)>,
    tip: (Version, Digest),
    commit: CommitTip,
}

impl ReceiptBuilder {
    /// Starts a receipt; `started_at` is wall-clock time in nanoseconds since 1970.
    #[must_use]
    pub fn new(
        coordination_id: CoordinationId,
        budget: CoordinationBudget,
        started_at: u64,
    ) -> Self {
        Self {
            coordination_id,
            usage: BudgetUsage::with_tick_rate(budget.tick_rate_hz()),
            ceiling: budget,
            started_at: WallTime(started_at),
            totals: Counts::default(),
            chunks: Vec::new(),
            outcomes: Vec::new(),
            epochs: Vec::new(),
            tip: (Version(0), Digest::GENESIS),
            commit: CommitTip::default(),
        }
    }

    /// Adds what became of an item. `critical` items decide the verdict.
    pub fn record_work_outcome(&mut self, mut outcome: WorkOutcome, critical: bool) {
        let (count, missed) = match &outcome.final_outcome {
            Some(WorkItemOutcome::Succeeded) => (&mut self.totals.work_succeeded, false),
            Some(WorkItemOutcome::Failed) => (&mut self.totals.work_failed, true),
            Some(WorkItemOutcome::Skipped(reason)) if reason.is_own_rule() => {
                (&mut self.totals.work_skipped_by_rule, false)
            }
            Some(WorkItemOutcome::Skipped(_)) => (&mut self.totals.work_skipped, true),
            None => (&mut self.totals.work_unfinished, true),
        };
        *count += 1;
        self.totals.critical_missed += u64::from(critical && missed);
        let excess = outcome.sessions.len().saturating_sub(MAX_SESSION_IDS_PER_OUTCOME);
        outcome.sessions.drain(..excess);
        if self.outcomes.len() == MAX_WORK_OUTCOMES {
            let mut bytes = Canonical::new("antiphon.receipt-chunk.1");
            for outcome in self.outcomes.drain(..) {
                outcome.write(&mut bytes);
            }
            self.chunks.push(bytes.hash());
        }
        self.outcomes.push(outcome);
    }

    /// Adds a session that ended.
    pub fn record_session(&mut self, outcome: SessionOutcome, used: &Usage) {
        let count = match outcome {
            SessionOutcome::Success => &mut self.totals.successful,
            SessionOutcome::Failure | SessionOutcome::Timeout | SessionOutcome::SpawnFailed => {
                &mut self.totals.failed
            }
            SessionOutcome::Cancelled => &mut self.totals.cancelled,
            SessionOutcome::Lost => &mut self.totals.lost,
            SessionOutcome::Deferred { .. } => &mut self.totals.deferred,
        };
        *count += 1;
        self.totals.sessions += 1;
        self.usage.charge(used);
    }

    /// The epoch that works on the coordination.
    pub(super) fn epoch(&self) -> Epoch {
        self.epochs.last().map_or(Epoch(0), |(epoch, _)| *epoch)
    }

    /// Adds an epoch that works on the coordination.
    pub fn record_epoch(&mut self, epoch: Epoch, engine: &str) {
        self.epochs.push((epoch, engine.to_owned()));
    }

    /// Replaces the ceilings after they were raised.
    pub fn record_budget(&mut self, budget: CoordinationBudget) {
        self.ceiling = budget;
    }

    /// Says where the evidence lies: the stream before the terminal event, and the commit before
    /// its append.
    #[must_use]
    pub fn with_evidence(mut self, tip: StreamTip, commit: CommitTip) -> Self {
        self.tip = (tip.version, tip.hash);
        self.commit = commit;
        self
    }

    /// The ceilings as they are now.
    #[must_use]
    pub fn ceiling(&self) -> &CoordinationBudget {
        &self.ceiling
    }

    /// Finishes the receipt of a coordination that completed.
    #[must_use]
    pub fn build(self, stop_condition: StopCondition, completed_at: u64) -> CoordinationReceipt {
        self.end(Ending::Completed(stop_condition), WallTime(completed_at))
    }

    /// Finishes the receipt of a coordination that ended in either way.
    #[must_use]
    pub fn end(self, ending: Ending, completed_at: WallTime) -> CoordinationReceipt {
        let verdict = match ending {
            Ending::Completed(_) => self.totals.verdict(),
            Ending::Aborted(_) => Verdict::Aborted,
        };
        CoordinationReceipt {
            coordination_id: self.coordination_id,
            ending,
            verdict,
            outcome_chunks: self.chunks,
            work_outcomes: self.outcomes,
            budget_usage: self.usage,
            budget_ceiling: self.ceiling,
            started_at: self.started_at,
            completed_at,
            totals: self.totals,
            evidence: Evidence {
                last_version: self.tip.0,
                head_hash: self.tip.1,
                commit: self.commit,
                epochs: self.epochs,
            },
        }
    }
}
