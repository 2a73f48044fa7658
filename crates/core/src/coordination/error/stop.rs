//! Why a coordination cannot complete with a stop condition.

use crate::coordination::stop::StopCondition;

/// The stop condition that was given, or that is recorded, does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the run cannot complete with {claimed}: {} holds",
    actual.as_ref().map_or_else(|| "no stop condition".to_owned(), ToString::to_string)
)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct WrongStopCondition {
    pub claimed: StopCondition,
    /// The one that does hold.
    pub actual: Option<StopCondition>,
}
