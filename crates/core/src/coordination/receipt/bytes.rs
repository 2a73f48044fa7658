//! The canonical bytes of a receipt, as docs/ledger-format.md lays them out: what is hashed and
//! stored. Nothing here may change for what an earlier version could write.

use super::CoordinationReceipt;
use super::content::{
    Approvals, ApprovedQuestion, CarriedOutItem, CarriedOutWork, Ending, GateScore, GateScores,
    ReusedItem, ReusedWork, RouteTaken, RoutesTaken, SignalCounts, WorkOutcome,
};
use super::counts::Counts;
use super::wording;
use crate::coordination::approval::Answer;
use crate::coordination::fault::CoordinationError;
use crate::coordination::stop::StopCondition;
use crate::coordination::work::{NeedTarget, SkipReason, WorkItemOutcome};
use crate::digest::{Canonical, Digest};

/// What the bytes of every receipt begin with.
pub(super) const TAG: &str = "antiphon.receipt.1";

/// What the section begins with that counts the signals.
pub(super) const SIGNALS: &str = "signals";

/// What the section begins with that says how the gates stood.
pub(super) const GATES: &str = "gates";

/// What the section begins with that says how questions were answered.
pub(super) const APPROVALS: &str = "approvals";

/// What the section begins with that says what was decided of attempts.
pub(super) const ROUTES: &str = "routes";

/// What the section begins with that says what was taken over.
pub(super) const REUSED: &str = "reused";

/// What the section begins with that says which sessions carried it out.
pub(super) const CARRIED_OUT: &str = "carried out";

impl CoordinationReceipt {
    /// The bytes that are hashed and stored: every text carries its length, so that nothing in a
    /// text can pose as structure.
    #[must_use]
    pub fn canonical_bytes(&self) -> Vec<u8> {
        let mut bytes = Canonical::new(TAG);
        bytes.text(self.coordination_id.as_str());
        match &self.ending {
            Ending::Completed(StopCondition::Error(error)) => {
                bytes.u8(b'E');
                write_error(error, &mut bytes);
                &mut bytes
            }
            Ending::Completed(stop) => bytes.u8(b'C').text(&wording::stop(stop)),
            Ending::Aborted(reason) => bytes.u8(b'A').text(&wording::abort(reason)),
        };
        bytes.text(self.verdict.as_str());
        write_chunks(&self.outcome_chunks, &mut bytes);
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
        if let Some(signals) = &self.signals {
            bytes.text(SIGNALS);
            signals.write(&mut bytes);
        }
        if let Some(gates) = &self.gates {
            bytes.text(GATES);
            gates.write(&mut bytes);
        }
        if let Some(approvals) = &self.approvals {
            bytes.text(APPROVALS);
            approvals.write(&mut bytes);
        }
        if let Some(routes) = &self.routes {
            bytes.text(ROUTES);
            routes.write(&mut bytes);
        }
        if let Some(reused) = &self.reused {
            bytes.text(REUSED);
            reused.write(&mut bytes);
        }
        if let Some(carried_out) = &self.carried_out {
            bytes.text(CARRIED_OUT);
            carried_out.write(&mut bytes);
        }
        bytes.into_bytes()
    }
}

/// An error is a code and what belongs to it.
fn write_error(error: &CoordinationError, bytes: &mut Canonical) {
    match error {
        CoordinationError::InvalidBudget { field } => bytes.text("INVALID_BUDGET").text(field),
        CoordinationError::WorkQueueSizeExceeded { actual, max } => {
            bytes.text("WORK_QUEUE_SIZE_EXCEEDED").u64(*actual as u64).u64(*max as u64)
        }
        CoordinationError::TickRateMismatch { expected, actual } => {
            bytes.text("TICK_RATE_MISMATCH").u64(*expected).u64(*actual)
        }
        CoordinationError::ClockRegression { last, current } => {
            bytes.text("CLOCK_REGRESSION").u64(*last).u64(*current)
        }
        CoordinationError::WorkFailed { work_id } => {
            bytes.text("WORK_FAILED").text(work_id.as_str())
        }
    };
}

impl Counts {
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

impl WorkOutcome {
    pub(super) fn write(&self, bytes: &mut Canonical) {
        bytes.text(self.work_id.as_str()).u32(self.attempts);
        match &self.final_outcome {
            None => bytes.u8(b'-'),
            Some(WorkItemOutcome::Succeeded) => bytes.u8(b'S'),
            Some(WorkItemOutcome::Failed) => bytes.u8(b'F'),
            Some(WorkItemOutcome::Skipped(SkipReason::NeedFailed(root))) => {
                bytes.u8(b'N').text(root.as_str())
            }
            Some(WorkItemOutcome::Skipped(SkipReason::NeedTimedOut(target))) => {
                write_target(target, bytes)
            }
            Some(WorkItemOutcome::Skipped(SkipReason::Denied(question))) => {
                bytes.u8(b'D').text(question.as_str())
            }
            Some(WorkItemOutcome::Skipped(SkipReason::NotRouted)) => bytes.u8(b'O'),
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

/// What was not there in time: a letter, the kind of what was needed, and its name.
fn write_target<'a>(target: &NeedTarget, bytes: &'a mut Canonical) -> &'a mut Canonical {
    bytes.u8(b'T');
    match target {
        NeedTarget::Work(id) => bytes.text("work").text(id.as_str()),
        NeedTarget::Group(name) => bytes.text("group").text(name.as_str()),
        NeedTarget::Signal(kind) => bytes.text("signal").text(kind.as_str()),
        NeedTarget::Key(key) => bytes.text("key").text(key.as_str()),
        NeedTarget::Approval(question) => bytes.text("approval").text(question),
        NeedTarget::Route => bytes.text("route").text(""),
    }
}

impl SignalCounts {
    fn write(&self, bytes: &mut Canonical) {
        bytes.length(self.by_type.len());
        for (kind, count) in &self.by_type {
            bytes.text(kind.as_str()).u64(*count);
        }
        bytes.u64(self.others);
    }
}

impl GateScores {
    fn write(&self, bytes: &mut Canonical) {
        bytes.length(self.gates.len());
        for GateScore { gate, score, version } in &self.gates {
            bytes.text(gate).u64(score.cast_unsigned()).u64(version.0);
        }
        bytes.u64(self.others);
    }
}

impl Approvals {
    fn write(&self, bytes: &mut Canonical) {
        bytes.length(self.answers.len());
        for ApprovedQuestion { question, text, answer, by, version } in &self.answers {
            let code = match answer {
                Answer::Yes => b'Y',
                Answer::No => b'N',
            };
            bytes.text(question.as_str()).digest(text).u8(code).text(by.as_str()).u64(version.0);
        }
        bytes.u64(self.others);
    }
}

impl RoutesTaken {
    fn write(&self, bytes: &mut Canonical) {
        write_chunks(&self.chunks, bytes);
        bytes.length(self.routes.len());
        for route in &self.routes {
            route.write(bytes);
        }
    }
}

impl RouteTaken {
    pub(super) fn write(&self, bytes: &mut Canonical) {
        bytes
            .u64(self.session)
            .text(self.work_id.as_str())
            .text(self.decision.as_str())
            .u32(self.confidence);
        bytes.optional(self.rule.as_ref(), |bytes, rule| {
            bytes.text(rule.as_str());
        });
        bytes.length(self.to.len());
        for target in &self.to {
            bytes.text(target.as_str());
        }
    }
}

impl ReusedWork {
    fn write(&self, bytes: &mut Canonical) {
        let forerunner = &self.forerunner;
        bytes
            .text(forerunner.coordination.as_str())
            .digest(&forerunner.receipt)
            .u64(forerunner.version.0)
            .digest(&forerunner.hash);
        write_chunks(&self.chunks, bytes);
        bytes.length(self.items.len());
        for item in &self.items {
            item.write(bytes);
        }
    }
}

fn write_chunks(chunks: &[Digest], bytes: &mut Canonical) {
    bytes.length(chunks.len());
    for chunk in chunks {
        bytes.digest(chunk);
    }
}

impl CarriedOutWork {
    fn write(&self, bytes: &mut Canonical) {
        write_chunks(&self.chunks, bytes);
        bytes.length(self.items.len());
        for item in &self.items {
            item.write(bytes);
        }
    }
}

impl CarriedOutItem {
    pub(super) fn write(&self, bytes: &mut Canonical) {
        bytes
            .text(self.work_id.as_str())
            .text(self.session.coordination.as_str())
            .u64(self.session.number);
    }
}

impl ReusedItem {
    pub(super) fn write(&self, bytes: &mut Canonical) {
        bytes.text(self.work_id.as_str()).text(self.from.as_str());
    }
}
