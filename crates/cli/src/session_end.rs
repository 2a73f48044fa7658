//! How a session ended and what its item does then, in the same words wherever it is told.

use antiphon::coordination::{NextStep, SessionOutcome};
use antiphon::time::{Deadline, LedgerTime, WallTime};

use crate::timestamps;

/// When an item may have its next session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NextTry {
    /// After so many nanoseconds.
    In(u64),
    At(WallTime),
}

impl NextTry {
    /// What a session's end leaves its item with, if that has no outcome by then.
    pub(crate) fn after(step: &NextStep, now: LedgerTime) -> Option<Self> {
        match step {
            NextStep::Retry(at) => Some(Self::of(Deadline::Ledger(*at), now)),
            NextStep::Wait(until) => Some(Self::of(*until, now)),
            _ => None,
        }
    }

    /// A deadline as it is seen at a moment.
    pub(crate) fn of(deadline: Deadline, now: LedgerTime) -> Self {
        match deadline {
            Deadline::Ledger(at) => Self::In(at.since(now)),
            Deadline::Wall(wall) => Self::At(wall),
        }
    }

    /// What an item does that had a session with this outcome; what was cancelled may be over.
    pub(crate) fn in_words(self, outcome: &str) -> Option<String> {
        let is_deferred = is_deferred(outcome);
        match self {
            _ if outcome == SessionOutcome::Cancelled.as_str() => None,
            _ if outcome == SessionOutcome::Lost.as_str() => Some("starts again".to_owned()),
            Self::In(ns) if is_deferred => Some(format!("waits for {}", timestamps::elapsed(ns))),
            Self::At(wall) if is_deferred => {
                Some(format!("waits until {}", timestamps::seconds(wall)))
            }
            Self::In(0) => Some("next try at once".to_owned()),
            Self::In(ns) => Some(format!("next try in {}", timestamps::elapsed(ns))),
            Self::At(wall) => Some(format!("next try at {}", timestamps::seconds(wall))),
        }
    }
}

const DEFERRED: &str = "DEFERRED";

/// Whether a quota or rate limit kept a session from working.
pub(crate) fn is_deferred(outcome: &str) -> bool {
    outcome == DEFERRED
}

/// How a session ended, in a word. What it says about it tells one failure from another.
pub(crate) fn word(outcome: &str) -> &str {
    match outcome {
        "SUCCESS" => "succeeded",
        "FAILURE" | "TIMEOUT" | "SPAWN_FAILED" => "failed",
        "CANCELLED" => "cancelled",
        "LOST" => "interrupted",
        DEFERRED => "deferred",
        other => other,
    }
}

/// What a failed session is told with that said nothing.
pub(crate) fn reason(outcome: &str) -> Option<&'static str> {
    match outcome {
        "TIMEOUT" => Some("timed out"),
        "SPAWN_FAILED" => Some("not started"),
        _ => None,
    }
}
