//! What a coordination may use, what it has used, and what one session is granted.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::fault::CoordinationError;
use super::stop::BudgetType;

/// Longest name of a currency that a raised budget may bring, in bytes.
const MAX_CURRENCY_BYTES: usize = 64;

/// Tick rate of old budgets that give milliseconds and no rate.
const LEGACY_TICK_RATE_HZ: u64 = 1000;

/// The ceilings of a coordination. Sessions and time always have one; tokens and cost may.
///
/// Built by [`CoordinationBudget::new`] and checked again whenever it is read, so no budget with a
/// zero ceiling exists.
///
/// ```
/// use antiphon_core::coordination::CoordinationBudget;
/// let budget = CoordinationBudget::new(10, 5_000_000, 1_000_000, None)?.with_max_cost(2_500_000, "EUR");
/// assert_eq!(budget.max_episodes(), 10);
/// # Ok::<(), antiphon_core::coordination::CoordinationError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BudgetFields")]
pub struct CoordinationBudget {
    max_episodes: u32,
    max_duration_ticks: u64,
    tick_rate_hz: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_cost: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<String>,
}

/// A budget in the making: sessions and time always have a ceiling, tokens and cost may.
///
/// ```
/// use std::time::Duration;
/// use antiphon_core::coordination::{Budget, CoordinationBudget};
/// let budget = Budget::sessions(10)
///     .within(Duration::from_secs(60))
///     .tokens(100_000)
///     .cost(2_500_000, "EUR") // millionths
///     .build()?;
/// assert_eq!(budget, CoordinationBudget::new(10, 60_000, 1_000, Some(100_000))?.with_max_cost(2_500_000, "EUR"));
/// assert!(Budget::sessions(10).build().is_err(), "no time");
/// # Ok::<(), antiphon_core::coordination::CoordinationError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "build it"]
pub struct Budget {
    sessions: u32,
    milliseconds: u64,
    tokens: Option<u64>,
    cost: Option<(u64, String)>,
}

impl Budget {
    /// At most so many sessions.
    pub fn sessions(sessions: u32) -> Self {
        Self { sessions, milliseconds: 0, tokens: None, cost: None }
    }

    /// At most so long from start to end, in milliseconds rounded up.
    pub fn within(self, duration: Duration) -> Self {
        let milliseconds = duration.as_nanos().div_ceil(1_000_000);
        Self { milliseconds: u64::try_from(milliseconds).unwrap_or(u64::MAX), ..self }
    }

    /// At most so many tokens, fresh input and output.
    pub fn tokens(self, tokens: u64) -> Self {
        Self { tokens: Some(tokens), ..self }
    }

    /// At most such a cost, in millionths of a currency.
    pub fn cost(self, millionths: u64, currency: impl Into<String>) -> Self {
        Self { cost: Some((millionths, currency.into())), ..self }
    }

    /// The budget, if sessions and time have a ceiling above zero.
    ///
    /// # Errors
    /// [`CoordinationError::InvalidBudget`] names the one that has none.
    pub fn build(self) -> Result<CoordinationBudget, CoordinationError> {
        let budget = CoordinationBudget::new(self.sessions, self.milliseconds, 1_000, self.tokens)?;
        let (cost, currency) = self.cost.unzip();
        Ok(budget.with_cost(cost, currency))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BudgetFields {
    max_episodes: u32,
    #[serde(alias = "max_duration_ms")]
    max_duration_ticks: u64,
    #[serde(default = "legacy_tick_rate")]
    tick_rate_hz: u64,
    #[serde(default)]
    max_tokens: Option<u64>,
    #[serde(default)]
    max_cost: Option<u64>,
    #[serde(default)]
    currency: Option<String>,
}

fn legacy_tick_rate() -> u64 {
    LEGACY_TICK_RATE_HZ
}

impl TryFrom<BudgetFields> for CoordinationBudget {
    type Error = CoordinationError;
    fn try_from(fields: BudgetFields) -> Result<Self, CoordinationError> {
        let budget = Self::new(
            fields.max_episodes,
            fields.max_duration_ticks,
            fields.tick_rate_hz,
            fields.max_tokens,
        )?;
        Ok(budget.with_cost(fields.max_cost, fields.currency))
    }
}

impl CoordinationBudget {
    /// Sets the ceilings: sessions ("episodes"), duration in ticks, ticks per second, tokens (fresh
    /// input and output).
    ///
    /// A token ceiling of 0 is allowed: it is exhausted from the start.
    ///
    /// # Errors
    /// [`CoordinationError::InvalidBudget`] names the first of the other three that is zero.
    pub fn new(
        max_episodes: u32,
        max_duration_ticks: u64,
        tick_rate_hz: u64,
        max_tokens: Option<u64>,
    ) -> Result<Self, CoordinationError> {
        let positive = |field: &str, value: u64| match value {
            0 => Err(CoordinationError::InvalidBudget { field: field.to_owned() }),
            _ => Ok(()),
        };
        positive("max_episodes", max_episodes.into())?;
        positive("max_duration_ticks", max_duration_ticks)?;
        positive("tick_rate_hz", tick_rate_hz)?;
        Ok(Self {
            max_episodes,
            max_duration_ticks,
            tick_rate_hz,
            max_tokens,
            max_cost: None,
            currency: None,
        })
    }

    /// The same with a ceiling on cost, in millionths of the currency.
    #[must_use]
    pub fn with_max_cost(mut self, millionths: u64, currency: impl Into<String>) -> Self {
        self.max_cost = Some(millionths);
        self.currency = Some(currency.into());
        self
    }

    /// The same with the cost and the currency that were recorded, each if it is there.
    pub(super) fn with_cost(self, max_cost: Option<u64>, currency: Option<String>) -> Self {
        Self { max_cost, currency, ..self }
    }

    /// Most sessions.
    #[must_use]
    pub fn max_episodes(&self) -> u32 {
        self.max_episodes
    }

    /// Longest duration, in ticks.
    #[must_use]
    pub fn max_duration_ticks(&self) -> u64 {
        self.max_duration_ticks
    }

    /// Ticks per second.
    #[must_use]
    pub fn tick_rate_hz(&self) -> u64 {
        self.tick_rate_hz
    }

    /// Most tokens, if there is a ceiling.
    #[must_use]
    pub fn max_tokens(&self) -> Option<u64> {
        self.max_tokens
    }

    /// Highest cost in millionths of [`CoordinationBudget::currency`], if there is a ceiling.
    #[must_use]
    pub fn max_cost(&self) -> Option<u64> {
        self.max_cost
    }

    /// The currency of the cost ceiling.
    #[must_use]
    pub fn currency(&self) -> Option<&str> {
        self.currency.as_deref()
    }

    /// The budget of a nested coordination: its own ceilings, none above what its session was
    /// granted.
    ///
    /// # Errors
    /// [`CoordinationError::InvalidBudget`] if the grant's ticks come at no rate.
    pub fn within(&self, grant: &Grant, grant_rate_hz: u64) -> Result<Self, CoordinationError> {
        if grant_rate_hz == 0 {
            return Err(CoordinationError::InvalidBudget { field: "grant_rate_hz".to_owned() });
        }
        let granted_ns = crate::time::nanos(grant.ticks, grant_rate_hz);
        let lower = |own: Option<u64>, granted: Option<u64>| match (own, granted) {
            (Some(own), Some(granted)) => Some(own.min(granted)),
            (own, granted) => own.or(granted),
        };
        Ok(Self {
            max_episodes: self.max_episodes.min(grant.sessions).max(1),
            max_duration_ticks: self
                .max_duration_ticks
                .min(crate::time::ticks(granted_ns, self.tick_rate_hz))
                .max(1),
            tick_rate_hz: self.tick_rate_hz,
            max_tokens: lower(self.max_tokens, grant.tokens),
            max_cost: lower(self.max_cost, grant.cost),
            currency: self.currency.clone(),
        })
    }

    /// Whether another budget may replace this one while the coordination runs: same tick rate, no
    /// ceiling lower.
    #[must_use]
    pub fn is_raised_by(&self, other: &Self) -> bool {
        let at_least = |new: Option<u64>, old: Option<u64>| match (new, old) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(new), Some(old)) => new >= old,
        };
        other.tick_rate_hz == self.tick_rate_hz
            && other.max_episodes >= self.max_episodes
            && other.max_duration_ticks >= self.max_duration_ticks
            && at_least(other.max_tokens, self.max_tokens)
            && at_least(other.max_cost, self.max_cost)
            && (self.currency.is_none() || self.currency == other.currency)
            && other.currency.as_ref().is_none_or(|currency| currency.len() <= MAX_CURRENCY_BYTES)
    }
}

/// What a coordination has used. No counter ever goes down.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BudgetUsage {
    consumed_episodes: u32,
    #[serde(alias = "elapsed_ms")]
    elapsed_ticks: u64,
    #[serde(default = "legacy_tick_rate")]
    tick_rate_hz: u64,
    consumed_tokens: u64,
    #[serde(default)]
    consumed_cache_tokens: u64,
    #[serde(default)]
    consumed_cost: u64,
    #[serde(default)]
    estimated: bool,
}

impl BudgetUsage {
    /// Nothing used yet, at a tick rate.
    #[must_use]
    pub fn with_tick_rate(tick_rate_hz: u64) -> Self {
        Self { tick_rate_hz, ..Self::default() }
    }

    /// Sessions that ended, those of nested coordinations included.
    #[must_use]
    pub fn consumed_episodes(&self) -> u32 {
        self.consumed_episodes
    }

    /// Ticks since the start, without pauses, as of the last event.
    #[must_use]
    pub fn elapsed_ticks(&self) -> u64 {
        self.elapsed_ticks
    }

    /// Ticks per second.
    #[must_use]
    pub fn tick_rate_hz(&self) -> u64 {
        self.tick_rate_hz
    }

    /// Fresh input and output tokens.
    #[must_use]
    pub fn consumed_tokens(&self) -> u64 {
        self.consumed_tokens
    }

    /// Tokens read from a cache; they are not charged to the token ceiling.
    #[must_use]
    pub fn consumed_cache_tokens(&self) -> u64 {
        self.consumed_cache_tokens
    }

    /// Cost in millionths of the budget's currency.
    #[must_use]
    pub fn consumed_cost(&self) -> u64 {
        self.consumed_cost
    }

    /// Whether any of it is an estimate, because a session ended without a report.
    #[must_use]
    pub fn is_estimated(&self) -> bool {
        self.estimated
    }

    /// Moves the elapsed time on.
    ///
    /// # Errors
    /// [`CoordinationError::TickRateMismatch`] or [`CoordinationError::ClockRegression`]; nothing
    /// has changed then.
    pub fn update_elapsed_ticks(
        &mut self,
        elapsed_ticks: u64,
        tick_rate_hz: u64,
    ) -> Result<(), CoordinationError> {
        if self.tick_rate_hz != 0 && tick_rate_hz != self.tick_rate_hz {
            return Err(CoordinationError::TickRateMismatch {
                expected: self.tick_rate_hz,
                actual: tick_rate_hz,
            });
        }
        if elapsed_ticks < self.elapsed_ticks {
            return Err(CoordinationError::ClockRegression {
                last: self.elapsed_ticks,
                current: elapsed_ticks,
            });
        }
        self.tick_rate_hz = tick_rate_hz;
        self.elapsed_ticks = elapsed_ticks;
        Ok(())
    }

    /// Moves the elapsed time on, in ticks of this usage's rate; it never goes back.
    pub(super) fn advance(&mut self, elapsed_ticks: u64) {
        self.elapsed_ticks = self.elapsed_ticks.max(elapsed_ticks);
    }

    /// Adds what a session used; counters stay at their end instead of wrapping.
    pub fn charge(&mut self, used: &Usage) {
        self.consumed_episodes = self.consumed_episodes.saturating_add(used.sessions);
        self.consumed_tokens = self.consumed_tokens.saturating_add(used.tokens);
        self.consumed_cache_tokens = self.consumed_cache_tokens.saturating_add(used.cache_tokens);
        self.consumed_cost = self.consumed_cost.saturating_add(used.cost);
        self.estimated |= used.estimated;
    }

    /// The strongest exhausted ceiling: duration, tokens, cost, sessions.
    #[must_use]
    pub fn check_budget_exhausted(&self, budget: &CoordinationBudget) -> Option<BudgetType> {
        self.exhausted_after(0, budget)
    }

    /// The same once so much time has passed.
    pub(super) fn exhausted_after(
        &self,
        elapsed_ticks: u64,
        budget: &CoordinationBudget,
    ) -> Option<BudgetType> {
        if self.elapsed_ticks.max(elapsed_ticks) >= budget.max_duration_ticks {
            Some(BudgetType::Duration)
        } else if budget.max_tokens.is_some_and(|max| self.consumed_tokens >= max) {
            Some(BudgetType::Tokens)
        } else if budget.max_cost.is_some_and(|max| self.consumed_cost >= max) {
            Some(BudgetType::Cost)
        } else if self.consumed_episodes >= budget.max_episodes {
            Some(BudgetType::Episodes)
        } else {
            None
        }
    }
}

/// What one session may use: reserved when it is bound, settled when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// Sessions: 1, or the ceiling of a nested coordination.
    pub sessions: u32,
    /// Time, in ticks of the budget's rate.
    pub ticks: u64,
    /// Tokens, where the runner reports them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Cost in millionths, where the runner reports it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<u64>,
}

/// What one session has used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// Sessions: 1, or those of the nested coordination.
    pub sessions: u32,
    /// Time, in ticks of the budget's rate.
    pub ticks: u64,
    /// Fresh input and output tokens.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tokens: u64,
    /// Tokens read from a cache.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cache_tokens: u64,
    /// Cost in millionths.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cost: u64,
    /// Whether tokens and cost are an estimate, as nothing was reported.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub estimated: bool,
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}
