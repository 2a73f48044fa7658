//! Ceilings of a budget that are reached: how much was used, and what would be enough to go on.

use std::fmt;

use super::budget::{BudgetUsage, CoordinationBudget};
use super::stop::BudgetType;
use crate::time::nanos;

/// A ceiling that is reached, so that nothing new starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpentCeiling {
    meter: BudgetType,
    used: u64,
    ceiling: u64,
    unit: Unit,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Unit {
    Count,
    /// Ticks, so many in a second.
    Ticks(u64),
    /// Millionths of a currency.
    Money(Option<String>),
}

impl CoordinationBudget {
    /// The ceilings that are reached, in the order in which their exhaustion is reported.
    #[must_use]
    pub fn spent(&self, usage: &BudgetUsage) -> Vec<SpentCeiling> {
        let used = |meter| match meter {
            BudgetType::Duration => usage.elapsed_ticks(),
            BudgetType::Tokens => usage.consumed_tokens(),
            BudgetType::Cost => usage.consumed_cost(),
            BudgetType::Episodes => usage.consumed_episodes().into(),
        };
        let reached = self.ceilings().into_iter().filter_map(|(meter, ceiling, unit)| {
            let (used, ceiling) = (used(meter), ceiling?);
            (used >= ceiling).then_some(SpentCeiling { meter, used, ceiling, unit })
        });
        reached.collect()
    }

    /// The first ceiling that another budget would lower: what it limits, how high it is, and what
    /// it would be.
    pub(super) fn lowered_by(&self, other: &Self) -> Option<(BudgetType, String, String)> {
        let mut both = self.ceilings().into_iter().zip(other.ceilings());
        both.find_map(|((meter, ceiling, unit), (_, asked, _))| {
            let (ceiling, asked) = (ceiling?, asked?);
            (asked < ceiling).then(|| (meter, unit.amount(ceiling, true), unit.amount(asked, true)))
        })
    }

    fn ceilings(&self) -> [(BudgetType, Option<u64>, Unit); 4] {
        let ticks = Unit::Ticks(self.tick_rate_hz());
        let money = Unit::Money(self.currency().map(ToOwned::to_owned));
        [
            (BudgetType::Duration, Some(self.max_duration_ticks()), ticks),
            (BudgetType::Tokens, self.max_tokens(), Unit::Count),
            (BudgetType::Cost, self.max_cost(), money),
            (BudgetType::Episodes, Some(self.max_episodes().into()), Unit::Count),
        ]
    }
}

impl SpentCeiling {
    /// What it limits.
    #[must_use]
    pub fn meter(&self) -> BudgetType {
        self.meter
    }

    /// What was used, in its own unit: sessions, ticks, tokens or millionths.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.used
    }

    /// The ceiling, in the same unit.
    #[must_use]
    pub fn ceiling(&self) -> u64 {
        self.ceiling
    }

    /// The lowest ceiling that is not reached, as plans and commands take it.
    #[must_use]
    pub fn enough(&self) -> String {
        self.unit.amount(self.used.saturating_add(1), true)
    }

    /// How much was used, as plans and commands take it.
    #[must_use]
    pub fn used_text(&self) -> String {
        self.unit.amount(self.used, true)
    }

    /// The ceiling, as plans and commands take it.
    #[must_use]
    pub fn ceiling_text(&self) -> String {
        self.unit.amount(self.ceiling, true)
    }

    /// The option of `antiphon continue` that raises it far enough for the next session, in one
    /// word after its name: one session, token or millionth more, or as much time as it had. A
    /// tick more would only start a session that is stopped at once.
    #[must_use]
    pub fn option(&self) -> String {
        let more = match self.meter {
            BudgetType::Duration => self.ceiling.max(1),
            _ => 1,
        };
        let amount = self.unit.amount(self.used.saturating_add(more), true);
        format!("--{} {}", self.meter.key(), amount.replace(' ', ""))
    }
}

impl Unit {
    /// An amount, with its currency if that is asked for.
    fn amount(&self, amount: u64, with_currency: bool) -> String {
        match self {
            Self::Count => amount.to_string(),
            Self::Ticks(rate) => duration(nanos(amount, *rate)),
            Self::Money(currency) => {
                let digits = format!("{}.{:06}", amount / 1_000_000, amount % 1_000_000);
                let least = digits.len() - 4;
                let digits = &digits[..digits.trim_end_matches('0').len().max(least)];
                match currency.as_ref().filter(|_| with_currency) {
                    Some(currency) => format!("{digits} {currency}"),
                    None => digits.to_owned(),
                }
            }
        }
    }
}

/// As the end of a sentence about a run: what is spent, with use and ceiling.
impl fmt::Display for SpentCeiling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let used = self.unit.amount(self.used, false);
        let ceiling = self.unit.amount(self.ceiling, true);
        write!(f, "the {} is spent: {used} of {ceiling}", self.meter.budget())
    }
}

/// A duration to the millisecond, rounded up, as plans and commands take it.
fn duration(nanos: u64) -> String {
    let millis = nanos.div_ceil(1_000_000);
    let (hours, minutes) = (millis / 3_600_000, millis / 60_000 % 60);
    let (seconds, rest) = (millis / 1_000 % 60, millis % 1_000);
    let mut text = String::new();
    if hours > 0 {
        text.push_str(&format!("{hours}h"));
    }
    if minutes > 0 {
        text.push_str(&format!("{minutes}m"));
    }
    match (seconds, rest) {
        (0, 0) if !text.is_empty() => {}
        (seconds, 0) => text.push_str(&format!("{seconds}s")),
        (seconds, rest) => {
            let fraction = format!("{rest:03}");
            text.push_str(&format!("{seconds}.{}s", fraction.trim_end_matches('0')));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordination::Usage;

    #[test]
    fn spent_ceilings_are_told_with_use_and_what_would_be_enough() {
        let budget = CoordinationBudget::new(2, 90_000, 1_000, Some(100)).unwrap();
        let budget = budget.with_max_cost(2_500_000, "USD");
        let mut usage = BudgetUsage::with_tick_rate(1_000);
        assert_eq!(budget.spent(&usage), []);
        usage.charge(&Usage { sessions: 2, tokens: 130, cost: 2_500_000, ..Usage::default() });
        usage.advance(90_250);
        let said = budget.spent(&usage);
        let options: Vec<_> = said.iter().map(SpentCeiling::option).collect();
        assert_eq!(
            options,
            ["--duration 3m0.25s", "--tokens 131", "--cost 2.500001USD", "--sessions 3"]
        );
        let said: Vec<_> = said.iter().map(|spent| (spent.to_string(), spent.enough())).collect();
        let expected = [
            ("the time budget is spent: 1m30.25s of 1m30s", "1m30.251s"),
            ("the token budget is spent: 130 of 100", "131"),
            ("the cost budget is spent: 2.50 of 2.50 USD", "2.500001 USD"),
            ("the session budget is spent: 2 of 2", "3"),
        ];
        let expected = expected.map(|(text, enough)| (text.to_owned(), enough.to_owned()));
        assert_eq!(said, expected);
    }

    #[test]
    fn durations_are_as_short_as_they_are_exact() {
        let said = [0, 1, 1_000_000_000, 600_000_000_000, 3_600_000_000_000, 5_430_500_000_000];
        assert_eq!(said.map(duration), ["0s", "0.001s", "1s", "10m", "1h", "1h30m30.5s"]);
    }
}
