//! Where an item is in its life, and every legal move.

use serde::{Deserialize, Serialize};

use super::need::NeedTarget;
use super::spec::FailurePolicy;
use super::stage::WorkStage;
use crate::id::{QuestionId, WorkId};
use crate::time::Deadline;

/// Why an item was skipped.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SkipReason {
    /// Something that it needs, directly or through others, failed or was skipped: this item.
    NeedFailed(WorkId),
    /// Something that it needs was not there in time.
    NeedTimedOut(NeedTarget),
    /// A person's answer to what was asked for it was no.
    Denied(QuestionId),
    /// The system that owns the work says that it cannot be claimed.
    NotClaimable,
    /// A caller asked for it.
    Requested,
    /// Its own condition did not hold.
    Rule,
    /// Nothing routed to it, and nothing can any more.
    NotRouted,
}

impl SkipReason {
    /// Whether the item's own rule skipped it, which does not count against the verdict.
    #[must_use]
    pub fn is_own_rule(&self) -> bool {
        match self {
            Self::NotClaimable | Self::Requested | Self::Rule | Self::NotRouted => true,
            Self::NeedFailed(_) | Self::NeedTimedOut(_) | Self::Denied(_) => false,
        }
    }
}

/// How an item ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names of its variants say it")]
#[non_exhaustive]
pub enum WorkItemOutcome {
    Succeeded,
    /// It failed for good.
    Failed,
    /// It never ran, or not to its end.
    Skipped(SkipReason),
}

impl WorkItemOutcome {
    /// Whether what needs this item may go on, under the item's failure policy.
    #[must_use]
    pub fn satisfies(&self, policy: FailurePolicy) -> bool {
        match self {
            Self::Succeeded => true,
            Self::Failed => policy == FailurePolicy::Continue,
            Self::Skipped(reason) => reason.is_own_rule() || policy == FailurePolicy::Continue,
        }
    }

    /// The outcome as one word.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        WorkStage::from(self).as_str()
    }
}

/// Where an item is in its life.
//
// Exhaustive: the table of moves, and whoever lists items by their state, must grow with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names of its variants say it")]
pub enum WorkState {
    /// So many of its needs are not met yet.
    Waiting(u32),
    Ready,
    /// It may start at this moment: it is backing off, or a quota must refill.
    Delayed(Deadline),
    /// The session of this number carries it out.
    Bound(u64),
    /// The session of this number has ended, and left something running.
    AwaitingCleanup(u64),
    /// It has its outcome.
    Done(WorkItemOutcome),
}

/// What can happen to an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkMove {
    /// Its needs, as they stand, are so many; 0 makes it ready.
    Needs(u32),
    /// A session was bound to it.
    Bind(u64),
    /// Its session ended and it goes back to the ready work; or nothing is left of one that held
    /// it.
    Release,
    /// The session of this number ended and left something running.
    Hold(u64),
    /// Its session ended and it waits for a moment.
    Wait(Deadline),
    /// It has its outcome.
    Finish(WorkItemOutcome),
    /// Its session ended, and it was decided to skip it.
    LeaveOut,
}

impl WorkState {
    /// Every legal move; `None` for the rest.
    #[must_use]
    pub fn after(&self, happening: WorkMove) -> Option<Self> {
        use WorkMove as M;
        match (self, happening) {
            (Self::Waiting(_) | Self::Ready, M::Needs(0)) => Some(Self::Ready),
            (Self::Waiting(_) | Self::Ready, M::Needs(unmet)) => Some(Self::Waiting(unmet)),
            (Self::Ready | Self::Delayed(_), M::Bind(session)) => Some(Self::Bound(session)),
            (Self::Bound(_) | Self::AwaitingCleanup(_), M::Release) => Some(Self::Ready),
            (Self::Bound(_), M::Hold(session)) => Some(Self::AwaitingCleanup(session)),
            (Self::Bound(_), M::LeaveOut) => {
                Some(Self::Done(WorkItemOutcome::Skipped(SkipReason::Rule)))
            }
            (Self::Bound(_), M::Wait(until)) => Some(Self::Delayed(until)),
            (
                Self::Bound(_),
                M::Finish(outcome @ (WorkItemOutcome::Succeeded | WorkItemOutcome::Failed)),
            ) => Some(Self::Done(outcome)),
            (
                Self::Waiting(_) | Self::Ready | Self::Delayed(_) | Self::AwaitingCleanup(_),
                M::Finish(outcome @ WorkItemOutcome::Skipped(_)),
            ) => Some(Self::Done(outcome)),
            _ => None,
        }
    }

    /// The state as one word.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        WorkStage::from(self).as_str()
    }
}

impl From<&WorkItemOutcome> for WorkStage {
    fn from(outcome: &WorkItemOutcome) -> Self {
        match outcome {
            WorkItemOutcome::Succeeded => Self::Succeeded,
            WorkItemOutcome::Failed => Self::Failed,
            WorkItemOutcome::Skipped(_) => Self::Skipped,
        }
    }
}

impl From<&WorkState> for WorkStage {
    fn from(state: &WorkState) -> Self {
        match state {
            WorkState::Waiting(_) => Self::Waiting,
            WorkState::Ready => Self::Ready,
            WorkState::Delayed(_) => Self::Delayed,
            WorkState::Bound(_) => Self::Running,
            WorkState::AwaitingCleanup(_) => Self::AwaitingCleanup,
            WorkState::Done(outcome) => Self::from(outcome),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::LedgerTime;

    #[test]
    fn only_the_moves_of_the_table_are_legal() {
        let states = [
            WorkState::Waiting(1),
            WorkState::Ready,
            WorkState::Delayed(Deadline::Ledger(LedgerTime(1))),
            WorkState::Bound(1),
            WorkState::AwaitingCleanup(1),
            WorkState::Done(WorkItemOutcome::Succeeded),
        ];
        let moves = [
            WorkMove::Needs(0),
            WorkMove::Bind(1),
            WorkMove::Release,
            WorkMove::Hold(1),
            WorkMove::Wait(Deadline::Ledger(LedgerTime(1))),
            WorkMove::Finish(WorkItemOutcome::Failed),
            WorkMove::Finish(WorkItemOutcome::Skipped(SkipReason::Requested)),
            WorkMove::LeaveOut,
        ];
        let table: Vec<String> = states
            .iter()
            .map(|state| {
                let row =
                    moves.iter().map(|m| if state.after(m.clone()).is_some() { 'x' } else { '.' });
                format!("{:<16} {}", state.as_str(), row.collect::<String>())
            })
            .collect();
        assert_eq!(
            table,
            [
                "waiting          x.....x.",
                "ready            xx....x.",
                "delayed          .x....x.",
                "running          ..xxxx.x",
                "awaiting cleanup ..x...x.",
                "succeeded        ........"
            ]
        );
    }
}
