//! How an ending is written into a receipt.
//!
//! Codes, and what callers said. The sentences in here are those that earlier versions hashed for
//! an error: they are frozen, and what is shown to people may be worded otherwise.

use crate::coordination::fault::CoordinationError;
use crate::coordination::stop::{AbortReason, BudgetType, ParentStop, StopCondition};
use crate::id::WorkId;

/// The text of a stop condition.
pub(super) fn stop(stop: &StopCondition) -> String {
    match stop {
        StopCondition::AllWorkCompleted => "ALL_WORK_COMPLETED".to_owned(),
        StopCondition::BudgetExhausted(meter) => format!("BUDGET_EXHAUSTED_{}", name(*meter)),
        StopCondition::CircuitBreakerTripped => "CIRCUIT_BREAKER_TRIPPED".to_owned(),
        StopCondition::UserRequested => "USER_REQUESTED".to_owned(),
        StopCondition::Error(error) | StopCondition::WordedError(error) => {
            format!("ERROR ({})", sentence(error))
        }
    }
}

/// The stop condition that is written as this text, if there is one.
pub(super) fn read_stop(text: &str) -> Option<StopCondition> {
    let read = match text {
        "ALL_WORK_COMPLETED" => StopCondition::AllWorkCompleted,
        "CIRCUIT_BREAKER_TRIPPED" => StopCondition::CircuitBreakerTripped,
        "USER_REQUESTED" => StopCondition::UserRequested,
        _ => match text.strip_prefix("BUDGET_EXHAUSTED_") {
            Some(meter) => StopCondition::BudgetExhausted(read_name(meter)?),
            None => StopCondition::WordedError(read_sentence(said(text, "ERROR")?)?),
        },
    };
    // A number with a leading zero, and the like, would be another text.
    (stop(&read) == text).then_some(read)
}

/// The text of a reason to abort.
pub(super) fn abort(reason: &AbortReason) -> String {
    match reason {
        AbortReason::Cancelled { reason } if reason.is_empty() => "CANCELLED".to_owned(),
        AbortReason::Cancelled { reason } => format!("CANCELLED ({reason})"),
        AbortReason::Error { message } => format!("ERROR ({message})"),
        AbortReason::NoEligibleWork => "NO_ELIGIBLE_WORK".to_owned(),
        AbortReason::StartCutOff => "START_CUT_OFF".to_owned(),
        AbortReason::ParentStopped(ParentStop::TimedOut) => "PARENT_TIMED_OUT".to_owned(),
        AbortReason::ParentStopped(ParentStop::Ending) => "PARENT_ENDING".to_owned(),
    }
}

/// The reason that is written as this text, if there is one.
pub(super) fn read_abort(text: &str) -> Option<AbortReason> {
    let read = match text {
        "CANCELLED" => AbortReason::Cancelled { reason: String::new() },
        "NO_ELIGIBLE_WORK" => AbortReason::NoEligibleWork,
        "START_CUT_OFF" => AbortReason::StartCutOff,
        "PARENT_TIMED_OUT" => AbortReason::ParentStopped(ParentStop::TimedOut),
        "PARENT_ENDING" => AbortReason::ParentStopped(ParentStop::Ending),
        _ => match said(text, "CANCELLED") {
            Some(reason) => AbortReason::Cancelled { reason: reason.to_owned() },
            None => AbortReason::Error { message: said(text, "ERROR")?.to_owned() },
        },
    };
    (abort(&read) == text).then_some(read)
}

fn said<'a>(text: &'a str, code: &str) -> Option<&'a str> {
    text.strip_prefix(code)?.strip_prefix(" (")?.strip_suffix(')')
}

fn name(meter: BudgetType) -> &'static str {
    match meter {
        BudgetType::Duration => "DURATION",
        BudgetType::Tokens => "TOKENS",
        BudgetType::Cost => "COST",
        BudgetType::Episodes => "EPISODES",
    }
}

fn read_name(text: &str) -> Option<BudgetType> {
    let meters = [BudgetType::Duration, BudgetType::Tokens, BudgetType::Cost, BudgetType::Episodes];
    meters.into_iter().find(|meter| name(*meter) == text)
}

fn sentence(error: &CoordinationError) -> String {
    match error {
        CoordinationError::InvalidBudget { field } => {
            format!("the budget is invalid: {field} must be greater than zero")
        }
        CoordinationError::WorkQueueSizeExceeded { actual, max } => {
            format!("the work queue holds {actual} items; at most {max} are allowed")
        }
        CoordinationError::TickRateMismatch { expected, actual } => {
            format!("ticks come at {actual} Hz, but this coordination counts at {expected} Hz")
        }
        CoordinationError::ClockRegression { last, current } => {
            format!("time went back from {last} to {current}; it may only go on")
        }
        CoordinationError::WorkFailed { work_id } => {
            format!("work {work_id} failed, and its failure policy ends the coordination")
        }
    }
}

fn read_sentence(text: &str) -> Option<CoordinationError> {
    let between = |before: &str, after: &str| text.strip_prefix(before)?.strip_suffix(after);
    if let Some(field) = between("the budget is invalid: ", " must be greater than zero") {
        return Some(CoordinationError::InvalidBudget { field: field.to_owned() });
    }
    if let Some(numbers) = between("the work queue holds ", " are allowed") {
        let (actual, max) = numbers.split_once(" items; at most ")?;
        let (actual, max) = (actual.parse().ok()?, max.parse().ok()?);
        return Some(CoordinationError::WorkQueueSizeExceeded { actual, max });
    }
    if let Some(numbers) = between("ticks come at ", " Hz") {
        let (actual, expected) = numbers.split_once(" Hz, but this coordination counts at ")?;
        let (actual, expected) = (actual.parse().ok()?, expected.parse().ok()?);
        return Some(CoordinationError::TickRateMismatch { expected, actual });
    }
    if let Some(numbers) = between("time went back from ", "; it may only go on") {
        let (last, current) = numbers.split_once(" to ")?;
        let (last, current) = (last.parse().ok()?, current.parse().ok()?);
        return Some(CoordinationError::ClockRegression { last, current });
    }
    let id = between("work ", " failed, and its failure policy ends the coordination")?;
    Some(CoordinationError::WorkFailed { work_id: WorkId::new(id).ok()? })
}
