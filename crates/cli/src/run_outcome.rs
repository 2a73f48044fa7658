//! How a coordination ended, and the exit code that tells it.

use std::process::ExitCode;

use antiphon::coordination::{AbortReason, StopCondition, Verdict};
use antiphon::digest::Digest;
use antiphon::envelope::Recorded;
use antiphon::event::{AggregateEvent as _, CoordinationEvent};

use crate::command_error::Kind;
use crate::labels;

/// The end of a coordination, as its last event says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RunOutcome {
    pub(crate) verdict: Verdict,
    pub(crate) receipt: Digest,
    /// Whether the record was checked, and the receipt rebuilt from it.
    pub(crate) verified: bool,
    why: Why,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Why {
    Completed(StopCondition),
    Aborted(AbortReason),
}

impl RunOutcome {
    /// What a terminal event says; `None` of any other event, and of one that this version does not
    /// know.
    pub(crate) fn of(recorded: &Recorded) -> Option<Self> {
        let of = |verdict, receipt, why| Some(Self { verdict, receipt, verified: false, why });
        match CoordinationEvent::of(recorded).ok()? {
            CoordinationEvent::Completed(end) => {
                of(end.verdict, end.receipt, Why::Completed(end.stop))
            }
            CoordinationEvent::Aborted(end) => {
                of(end.verdict, end.receipt, Why::Aborted(end.reason))
            }
            _ => None,
        }
    }

    /// What it came to: nothing if all went well, else the kind of error. Why it stopped comes
    /// before how much was done.
    pub(crate) fn kind(&self) -> Option<Kind> {
        match (&self.why, self.verdict) {
            (Why::Completed(StopCondition::BudgetExhausted(_)), _) => Some(Kind::Spent),
            (Why::Completed(StopCondition::CircuitBreakerTripped), _) => Some(Kind::Breaker),
            (Why::Completed(StopCondition::UserRequested) | Why::Aborted(_), _)
            | (_, Verdict::Aborted) => Some(Kind::Aborted),
            (_, Verdict::Failed) => Some(Kind::Failed),
            (_, Verdict::Partial) => Some(Kind::Partial),
            (_, Verdict::Succeeded) => None,
        }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        self.kind().map_or(ExitCode::SUCCESS, ExitCode::from)
    }

    /// Why it did not come to the end of its work, if that is so.
    pub(crate) fn stop(&self) -> Option<String> {
        match &self.why {
            Why::Completed(StopCondition::AllWorkCompleted) => None,
            Why::Completed(stop) => Some(stop.describe()),
            Why::Aborted(reason) => Some(labels::abort(reason)),
        }
    }
}
