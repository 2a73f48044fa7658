//! How an operator raises the ceilings of a running coordination.

use std::time::Duration;

use super::budget::CoordinationBudget;
use super::error::RaiseError;

/// Higher ceilings for a coordination that runs, each to a total or by an amount. What is not named
/// stays as it is.
///
/// ```
/// use std::time::Duration;
/// use antiphon_core::coordination::{CoordinationBudget, Raise};
///
/// let budget = CoordinationBudget::new(10, 60_000, 1_000, Some(5_000))?;
/// let raised = budget.raised(&Raise::new().sessions(20).more_time(Duration::from_secs(30)))?;
/// assert_eq!(raised, CoordinationBudget::new(20, 90_000, 1_000, Some(5_000))?);
/// assert!(budget.raised(&Raise::new().sessions(9)).is_err(), "no ceiling is lowered");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Raise {
    sessions: Option<Step>,
    nanos: Option<Step>,
    tokens: Option<Step>,
    cost: Option<Step>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    To(u64),
    By(u64),
}

impl Step {
    fn from(self, ceiling: u64) -> u64 {
        match self {
            Self::To(total) => total,
            Self::By(amount) => ceiling.saturating_add(amount),
        }
    }
}

impl Raise {
    /// Nothing is raised yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// At most so many sessions in all.
    #[must_use]
    pub fn sessions(self, total: u32) -> Self {
        Self { sessions: Some(Step::To(total.into())), ..self }
    }

    /// So many sessions more.
    #[must_use]
    pub fn more_sessions(self, amount: u32) -> Self {
        Self { sessions: Some(Step::By(amount.into())), ..self }
    }

    /// At most so much time from start to end.
    #[must_use]
    pub fn within(self, total: Duration) -> Self {
        Self { nanos: Some(Step::To(nanos(total))), ..self }
    }

    /// So much time more.
    #[must_use]
    pub fn more_time(self, amount: Duration) -> Self {
        Self { nanos: Some(Step::By(nanos(amount))), ..self }
    }

    /// At most so many tokens in all.
    #[must_use]
    pub fn tokens(self, total: u64) -> Self {
        Self { tokens: Some(Step::To(total)), ..self }
    }

    /// So many tokens more.
    #[must_use]
    pub fn more_tokens(self, amount: u64) -> Self {
        Self { tokens: Some(Step::By(amount)), ..self }
    }

    /// At most this cost in all, in millionths of the budget's currency.
    #[must_use]
    pub fn cost(self, total: u64) -> Self {
        Self { cost: Some(Step::To(total)), ..self }
    }

    /// So much cost more, in millionths of the budget's currency.
    #[must_use]
    pub fn more_cost(self, amount: u64) -> Self {
        Self { cost: Some(Step::By(amount)), ..self }
    }

    /// Whether it raises nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl CoordinationBudget {
    /// This budget with higher ceilings.
    ///
    /// # Errors
    /// [`RaiseError::Lowered`] if one would be lower than it is,
    /// [`RaiseError::NoCeiling`] if there is none to raise.
    pub fn raised(&self, raise: &Raise) -> Result<Self, RaiseError> {
        let rate = self.tick_rate_hz();
        let ticks = match raise.nanos {
            Some(Step::To(total)) => crate::time::ticks(total, rate),
            Some(Step::By(amount)) => {
                self.max_duration_ticks().saturating_add(crate::time::ticks(amount, rate))
            }
            None => self.max_duration_ticks(),
        };
        let sessions = u64::from(self.max_episodes());
        let sessions = raise.sessions.map_or(sessions, |step| step.from(sessions));
        let sessions = u32::try_from(sessions).unwrap_or(u32::MAX);
        let meter = |meter, step: Option<Step>, ceiling: Option<u64>| match (step, ceiling) {
            (Some(step), Some(ceiling)) => Ok(Some(step.from(ceiling))),
            (Some(_), None) => Err(RaiseError::NoCeiling { meter }),
            (None, ceiling) => Ok(ceiling),
        };
        let tokens = meter("tokens", raise.tokens, self.max_tokens())?;
        let cost = meter("cost", raise.cost, self.max_cost())?;
        let raised =
            Self::new(sessions, ticks, rate, tokens).map_err(|_| RaiseError::BudgetNotRaised)?;
        let raised = match (cost, self.currency()) {
            (Some(cost), Some(currency)) => raised.with_max_cost(cost, currency),
            _ => raised,
        };
        if let Some((meter, ceiling, asked)) = self.lowered_by(&raised) {
            return Err(RaiseError::Lowered { meter: meter.key(), ceiling, asked });
        }
        if self.is_raised_by(&raised) { Ok(raised) } else { Err(RaiseError::BudgetNotRaised) }
    }
}
