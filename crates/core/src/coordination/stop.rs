//! Why a coordination stopped, and how it went.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::fault::CoordinationError;

/// A meter with a ceiling, in the order in which their exhaustion is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names of its variants say it")]
#[non_exhaustive]
pub enum BudgetType {
    Duration,
    /// Fresh input and output tokens.
    Tokens,
    Cost,
    /// Sessions.
    Episodes,
}

impl BudgetType {
    /// What it counts, in a word for people.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Duration => "time",
            Self::Tokens => "tokens",
            Self::Cost => "cost",
            Self::Episodes => "sessions",
        }
    }

    /// Its key in the budget of a plan, which is also the name of the option that raises it.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Duration => "duration",
            Self::Tokens | Self::Cost | Self::Episodes => self.word(),
        }
    }

    /// Its part of a budget, for people.
    pub(super) fn budget(self) -> &'static str {
        match self {
            Self::Duration => "time budget",
            Self::Tokens => "token budget",
            Self::Cost => "cost budget",
            Self::Episodes => "session budget",
        }
    }
}

impl fmt::Display for BudgetType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Duration => "DURATION",
            Self::Tokens => "TOKENS",
            Self::Cost => "COST",
            Self::Episodes => "EPISODES",
        })
    }
}

/// Why a coordination completed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum StopCondition {
    /// No work is left.
    #[serde(alias = "WorkCompleted")]
    AllWorkCompleted,
    /// A ceiling was reached while work was left.
    BudgetExhausted(BudgetType),
    /// Too many items in a row failed for good.
    CircuitBreakerTripped,
    /// A caller asked for it.
    UserRequested,
    /// The coordination cannot go on.
    #[serde(rename = "Fault")]
    Error(CoordinationError),
    /// The same as the first version recorded it, whose receipt hashes a sentence. Nothing makes
    /// one any more.
    #[serde(rename = "Error")]
    WordedError(CoordinationError),
}

impl StopCondition {
    /// The error that the coordination stopped on, if it did.
    #[must_use]
    pub fn error(&self) -> Option<&CoordinationError> {
        match self {
            Self::Error(error) | Self::WordedError(error) => Some(error),
            _ => None,
        }
    }
}

impl StopCondition {
    /// Why no session of a run can start, in words for people.
    pub(super) fn describe_of_the_run(&self) -> String {
        match self {
            Self::BudgetExhausted(meter) => format!("the {} is spent", meter.budget()),
            Self::UserRequested => "the run was stopped on request".to_owned(),
            other => other.describe(),
        }
    }

    /// Why a run stops, in words for people; nothing is recorded of them.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::AllWorkCompleted => "no work is left".to_owned(),
            Self::BudgetExhausted(meter) => format!("its {} is spent", meter.budget()),
            Self::CircuitBreakerTripped => {
                "too many items failed in a row, which tripped the breaker".to_owned()
            }
            Self::UserRequested => "stopped on request".to_owned(),
            Self::Error(error) => format!("an error: {error}"),
            other => other.to_string(),
        }
    }
}

impl fmt::Display for StopCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AllWorkCompleted => f.write_str("ALL_WORK_COMPLETED"),
            Self::BudgetExhausted(meter) => write!(f, "BUDGET_EXHAUSTED_{meter}"),
            Self::CircuitBreakerTripped => f.write_str("CIRCUIT_BREAKER_TRIPPED"),
            Self::UserRequested => f.write_str("USER_REQUESTED"),
            Self::Error(error) | Self::WordedError(error) => write!(f, "ERROR ({error})"),
        }
    }
}

/// Why a coordination was aborted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names of its variants say it")]
pub enum AbortReason {
    Cancelled {
        reason: String,
    },
    /// The engine could not go on with it.
    Error {
        message: String,
    },
    /// Nothing in it can ever start.
    NoEligibleWork,
    /// Its start was cut off, and no caller could complete it.
    StartCutOff,
    /// It carries out a session of another coordination, which stopped that session.
    ParentStopped(ParentStop),
}

impl AbortReason {
    /// Why a run was aborted, in words for people.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Cancelled { reason } if reason.is_empty() => "cancelled".to_owned(),
            Self::Cancelled { reason } => format!("cancelled: {reason}"),
            Self::Error { message } => format!("error: {message}"),
            Self::NoEligibleWork => "none of its work could start".to_owned(),
            other => other.to_string(),
        }
    }
}

/// Why a coordination stops the session that a nested one carries out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ParentStop {
    /// The session timed out.
    TimedOut,
    /// The coordination of the session is ending.
    Ending,
}

impl fmt::Display for ParentStop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::TimedOut => "its parent's session timed out",
            Self::Ending => "its parent is ending",
        })
    }
}

impl fmt::Display for AbortReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled { reason } if reason.is_empty() => f.write_str("CANCELLED"),
            Self::Cancelled { reason } => write!(f, "CANCELLED ({reason})"),
            Self::Error { message } => write!(f, "ERROR ({message})"),
            Self::NoEligibleWork => f.write_str("NO_ELIGIBLE_WORK"),
            Self::StartCutOff => f.write_str("its start was cut off before it was complete"),
            Self::ParentStopped(why) => why.fmt(f),
        }
    }
}

/// How a coordination went, apart from why it stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names of its variants say it")]
pub enum Verdict {
    /// Every item succeeded or was skipped by its own rule.
    Succeeded,
    Partial,
    /// A critical item did not, or none did.
    Failed,
    /// The coordination was aborted.
    Aborted,
}

impl Verdict {
    /// The verdict as one word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Aborted => "aborted",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Where a coordination is in its life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum CoordinationStatus {
    /// Its start is not complete: work is still being recorded, and nothing binds.
    Initializing,
    /// Work is bound as slots and budget allow.
    Running,
    /// It completed.
    Completed(StopCondition),
    /// It was ended from outside.
    Aborted(AbortReason),
}

impl CoordinationStatus {
    /// Whether nothing can follow.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Completed(_) | Self::Aborted(_))
    }

    /// Whether work may be bound.
    #[must_use]
    pub fn is_running(&self) -> bool {
        matches!(self, Self::Running)
    }

    /// The state's name, without its data.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Initializing => "INITIALIZING",
            Self::Running => "RUNNING",
            Self::Completed(_) => "COMPLETED",
            Self::Aborted(_) => "ABORTED",
        }
    }
}
