//! Gathers a receipt while the events of a coordination are applied.

use serde::{Deserialize, Serialize};

use super::CoordinationReceipt;
use super::content::{
    Approvals, ApprovedQuestion, CarriedOutItem, CarriedOutWork, Ending, Evidence, GateScores,
    ReusedItem, ReusedWork, RouteTaken, RoutesTaken, SignalCounts, WorkOutcome,
};
use super::counts::Counts;
use crate::coordination::budget::{BudgetUsage, CoordinationBudget, Usage};
use crate::coordination::event::Answered;
use crate::coordination::event::Routed;
use crate::coordination::reused::{Forerunner, Reused};
use crate::coordination::session::SessionOutcome;
use crate::coordination::signal::SignalType;
use crate::coordination::stop::{StopCondition, Verdict};
use crate::coordination::work::WorkItemOutcome;
use crate::coordination::{MAX_SESSION_IDS_PER_OUTCOME, MAX_WORK_OUTCOMES};
use crate::digest::{Canonical, Digest};
use crate::envelope::{CommitTip, StreamTip};
use crate::id::{CoordinationId, Epoch, Version, WorkId};
use crate::time::WallTime;

/// Gathers a receipt while a coordination runs; full thousands of items are kept as digests.
///
/// ```
/// use antiphon_core::coordination::{
///     CoordinationBudget, ReceiptBuilder, SessionOutcome, StopCondition, Usage, Verdict,
///     WorkItemOutcome, WorkOutcome,
/// };
/// let budget = CoordinationBudget::new(10, 60_000, 1_000, None)?;
/// let mut builder = ReceiptBuilder::new("nightly".parse()?, budget, 1_000);
/// let used = Usage { sessions: 1, tokens: 250, ..Usage::default() };
/// builder.record_session(SessionOutcome::Success, &used);
/// let outcome = WorkOutcome {
///     work_id: "build".parse()?,
///     attempts: 1,
///     final_outcome: Some(WorkItemOutcome::Succeeded),
///     sessions: vec![1],
///     output: None,
/// };
/// builder.record_work_outcome(outcome, true); // a critical item
/// let receipt = builder.build(StopCondition::AllWorkCompleted, 2_000);
/// assert_eq!(receipt.verdict, Verdict::Succeeded);
/// assert!(receipt.verify(&receipt.compute_hash()).is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptBuilder {
    coordination_id: CoordinationId,
    ceiling: CoordinationBudget,
    started_at: WallTime,
    usage: BudgetUsage,
    totals: Counts,
    chunks: Vec<Digest>,
    #[serde(deserialize_with = "crate::bounded::list::<MAX_WORK_OUTCOMES, _, _>")]
    outcomes: Vec<WorkOutcome>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signals: Option<SignalCounts>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    approvals: Option<Approvals>,
    #[serde(skip)]
    gates: Option<GateScores>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    routes: Option<RoutesTaken>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reused: Option<ReusedWork>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    carried_out: Option<CarriedOutWork>,
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
            signals: None,
            approvals: None,
            gates: None,
            routes: None,
            reused: None,
            carried_out: None,
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

    /// Adds a signal.
    pub(in crate::coordination) fn record_signal(&mut self, kind: &SignalType) {
        self.signals.get_or_insert_default().add(kind);
    }

    /// The signals so far, counted; none if there were none.
    pub(in crate::coordination) fn signals(&self) -> Option<&SignalCounts> {
        self.signals.as_ref()
    }

    /// Adds an answer to a question with this text.
    pub(in crate::coordination) fn record_answer(
        &mut self,
        answered: &Answered,
        text: &str,
        version: Version,
    ) {
        self.approvals.get_or_insert_default().add(ApprovedQuestion {
            question: answered.id.clone(),
            text: Digest::of(text.as_bytes()),
            answer: answered.answer,
            by: answered.by.clone(),
            version,
        });
    }

    /// Adds what was decided of an attempt.
    pub(in crate::coordination) fn record_route(&mut self, routed: &Routed) {
        let taken = self.routes.get_or_insert_default();
        if taken.routes.len() == MAX_WORK_OUTCOMES {
            let mut bytes = Canonical::new("antiphon.route-chunk.1");
            for route in taken.routes.drain(..) {
                route.write(&mut bytes);
            }
            taken.chunks.push(bytes.hash());
        }
        taken.routes.push(RouteTaken {
            session: routed.session,
            work_id: routed.work.clone(),
            decision: routed.decision,
            to: routed.to.clone(),
            confidence: routed.confidence,
            rule: routed.rule.clone(),
        });
    }

    /// Names the run that is retried.
    pub(in crate::coordination) fn record_forerunner(&mut self, forerunner: Forerunner) {
        self.reused = Some(ReusedWork::of(forerunner));
    }

    /// The run that is retried.
    pub(in crate::coordination) fn forerunner(&self) -> Option<&Forerunner> {
        self.reused.as_ref().map(|reused| &reused.forerunner)
    }

    /// Adds an item that was taken over; its outcome is recorded besides.
    pub(in crate::coordination) fn record_reused(&mut self, work: &WorkId, reused: &Reused) {
        let taken = self.reused.as_mut().expect("BUG: only a retry takes work over");
        if taken.items.len() == MAX_WORK_OUTCOMES {
            let mut bytes = Canonical::new("antiphon.reused-chunk.1");
            for item in taken.items.drain(..) {
                item.write(&mut bytes);
            }
            taken.chunks.push(bytes.hash());
        }
        let from = reused.work.as_ref().unwrap_or(work).clone();
        taken.items.push(ReusedItem { work_id: work.clone(), from });
        self.totals.work_reused += 1;
        let Some(session) = reused.session.clone() else { return };
        let carried_out = self.carried_out.get_or_insert_default();
        if carried_out.items.len() == MAX_WORK_OUTCOMES {
            let mut bytes = Canonical::new("antiphon.carried-out-chunk.1");
            for item in carried_out.items.drain(..) {
                item.write(&mut bytes);
            }
            carried_out.chunks.push(bytes.hash());
        }
        carried_out.items.push(CarriedOutItem { work_id: work.clone(), session });
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

    /// The time that has passed, in ticks; it never goes back.
    pub(in crate::coordination) fn record_elapsed(&mut self, ticks: u64) {
        self.usage.advance(ticks);
    }

    /// An engine took the coordination over.
    pub(in crate::coordination) fn record_resume(&mut self) {
        self.totals.resumes += 1;
    }

    /// A write was refused for want of a valid fence.
    pub(in crate::coordination) fn record_refused_write(&mut self) {
        self.totals.writes_refused += 1;
    }

    pub(in crate::coordination) fn usage(&self) -> &BudgetUsage {
        &self.usage
    }

    pub(in crate::coordination) fn totals(&self) -> &Counts {
        &self.totals
    }

    /// The epoch that works on the coordination.
    pub(in crate::coordination) fn epoch(&self) -> Epoch {
        self.epochs.last().map_or(Epoch(0), |(epoch, _)| *epoch)
    }

    /// Adds an epoch that works on the coordination, once.
    pub fn record_epoch(&mut self, epoch: Epoch, engine: &str) {
        if self.epochs.is_empty() || self.epoch() != epoch {
            self.epochs.push((epoch, engine.to_owned()));
        }
    }

    /// Replaces the ceilings after they were raised.
    pub fn record_budget(&mut self, budget: CoordinationBudget) {
        self.ceiling = budget;
    }

    /// Says how the gates stood in the end.
    pub(in crate::coordination) fn with_gates(self, gates: Option<GateScores>) -> Self {
        Self { gates, ..self }
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
            signals: self.signals,
            gates: self.gates,
            approvals: self.approvals,
            routes: self.routes,
            reused: self.reused,
            carried_out: self.carried_out,
        }
    }
}
