//! The four meters: sessions, time, tokens and cost.

use antiphon::coordination::{BudgetUsage, Coordination};
use antiphon::time::{Now, nanos};

use super::line::Line;
use crate::colour::Colour;
use crate::labels;
use crate::text::printable;
use crate::timestamps;

/// One meter, in its own unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Meter {
    pub(crate) name: &'static str,
    pub(crate) used: u64,
    pub(crate) ceiling: Option<u64>,
    /// Whether some of it was not reported.
    pub(crate) estimated: bool,
    unit: Unit,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Unit {
    Count,
    Nanos,
    Money(Option<String>),
}

/// The meters as of a moment. Sessions that run count as used. What the end of a run says that it has
/// used is given where its other events cannot be read.
pub(crate) fn meters(run: &Coordination, now: &Now, at_end: Option<&BudgetUsage>) -> [Meter; 4] {
    let (budget, usage) = (run.budget(), at_end.unwrap_or_else(|| run.budget_usage()));
    let rate = budget.tick_rate_hz();
    let has_ended = at_end.is_some() || run.status().is_terminal();
    let elapsed = if has_ended { usage.elapsed_ticks() } else { run.elapsed_ticks_at(now.at) };
    let meter = |name, used, ceiling, unit| Meter { name, used, ceiling, estimated: false, unit };
    let reported = |name, used, ceiling, unit| Meter {
        name,
        used,
        ceiling,
        estimated: usage.is_estimated() && used > 0,
        unit,
    };
    let running = if has_ended { 0 } else { run.bindings().len() as u64 };
    let sessions = u64::from(usage.consumed_episodes()) + running;
    let currency = budget.currency().map(|currency| printable(currency).into_owned());
    [
        meter("sessions", sessions, Some(budget.max_episodes().into()), Unit::Count),
        meter(
            "time",
            nanos(elapsed, rate),
            Some(nanos(budget.max_duration_ticks(), rate)),
            Unit::Nanos,
        ),
        reported("tokens", usage.consumed_tokens(), budget.max_tokens(), Unit::Count),
        reported("cost", usage.consumed_cost(), budget.max_cost(), Unit::Money(currency)),
    ]
}

impl Meter {
    /// What was used, against the ceiling if there is one.
    pub(crate) fn text(&self) -> String {
        let estimated = if self.estimated { "~" } else { "" };
        let used = self.amount(self.used);
        let ceiling =
            self.ceiling.map(|ceiling| format!("/{}", self.amount(ceiling))).unwrap_or_default();
        let currency = self.currency().map(|currency| format!(" {currency}")).unwrap_or_default();
        format!("{estimated}{used}{ceiling}{currency}")
    }

    /// How much is left below the ceiling, if there is one.
    pub(crate) fn left(&self) -> Option<u64> {
        self.ceiling.map(|ceiling| ceiling.saturating_sub(self.used))
    }

    /// An amount of it, for people.
    pub(crate) fn told(&self, amount: u64) -> String {
        let currency = self.currency().map(|currency| format!(" {currency}")).unwrap_or_default();
        format!("{}{currency}", self.amount(amount))
    }

    /// What its amounts are millionths of, if it is money.
    pub(crate) fn currency(&self) -> Option<&str> {
        match &self.unit {
            Unit::Money(currency) => currency.as_deref(),
            Unit::Count | Unit::Nanos => None,
        }
    }

    /// A gauge as wide as asked; none without a ceiling.
    pub(crate) fn gauge(&self, cells: u64) -> Option<Line> {
        let ceiling = self.ceiling?.max(1);
        let share = |of: u64| {
            u64::try_from(u128::from(self.used.min(ceiling)) * u128::from(of) / u128::from(ceiling))
                .unwrap_or(of)
        };
        // Rounded, but full only if nothing is left.
        let full = share(2 * cells).div_ceil(2).min(if self.used < ceiling {
            cells.saturating_sub(1)
        } else {
            cells
        });
        let colour = match share(100) {
            100 => Colour::Bad,
            80.. => Colour::Caution,
            _ => Colour::Good,
        };
        let of = |mark: &str, count: u64| mark.repeat(usize::try_from(count).unwrap_or(0));
        let mut line = Line::default();
        line.painted(of("█", full), colour);
        line.push(of("░", cells - full));
        Some(line)
    }

    fn amount(&self, amount: u64) -> String {
        match self.unit {
            Unit::Count => count(amount),
            Unit::Nanos => timestamps::elapsed(amount),
            Unit::Money(_) => money(amount),
        }
    }
}

/// A count in thousands or millions, where it is large.
pub(super) fn count(amount: u64) -> String {
    let tenths = |unit: u64, name: &str| {
        let tenth = amount / (unit / 10) % 10;
        let point = if tenth > 0 { format!(".{tenth}") } else { String::new() };
        format!("{}{point}{name}", amount / unit)
    };
    match amount {
        0..10_000 => amount.to_string(),
        10_000..1_000_000 => tenths(1_000, "k"),
        _ => tenths(1_000_000, "M"),
    }
}

/// Millionths without zeros that say nothing.
pub(super) fn money(millionths: u64) -> String {
    let text = labels::cost(millionths);
    let (units, parts) = text.split_once('.').unwrap_or((&text, ""));
    let kept = parts.trim_end_matches('0').len().max(2);
    format!("{units}.{}", &parts[..kept.min(parts.len())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_short_and_never_say_more_than_there_is() {
        let counts = [0, 9_999, 10_000, 12_345, 999_999, 1_000_000, 2_540_000];
        assert_eq!(counts.map(count), ["0", "9999", "10k", "12.3k", "999.9k", "1M", "2.5M"]);
        assert_eq!(
            [0, 120_000, 1_234_567, 2_500_000].map(money),
            ["0.00", "0.12", "1.234567", "2.50"]
        );
    }
}
