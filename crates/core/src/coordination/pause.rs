//! A pause as people are told of it: why, and what must be raised to end it.

use super::spent::SpentCeiling;
use super::state::Coordination;
use super::stop::StopCondition;

/// Why a coordination is paused, and what keeps it from being continued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    why: String,
    spent: Vec<SpentCeiling>,
}

impl Pause {
    /// Why, in words for people; empty if nobody said.
    #[must_use]
    pub fn why(&self) -> &str {
        &self.why
    }

    /// The ceilings that must be raised to continue it, in the order in which they are reported.
    #[must_use]
    pub fn spent(&self) -> &[SpentCeiling] {
        &self.spent
    }
}

impl Coordination {
    /// Its pause, if it is paused. Whoever paused it, the ceilings that are reached are named.
    #[must_use]
    pub fn pause(&self) -> Option<Pause> {
        let reason = self.pause_reason()?.trim();
        let spent = self.budget().spent(self.budget_usage());
        // What the engine recorded says less than the ceilings do.
        let is_said = spent.iter().any(|spent| {
            reason.is_empty() || reason == StopCondition::BudgetExhausted(spent.meter()).describe()
        });
        let recorded = (!is_said).then(|| reason.to_owned());
        let words = recorded.into_iter().chain(spent.iter().map(ToString::to_string));
        let why = words.filter(|words| !words.is_empty()).collect::<Vec<_>>().join("; ");
        Some(Pause { why, spent })
    }
}
