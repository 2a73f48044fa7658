//! `budget:`: what a run may use in all.

use crate::coordination::CoordinationBudget;
use crate::plan::mapping::{Fields, Object, ValueKind, key, required};
use crate::plan::text::{Cost, Diagnostics, Millis, Node, Span, Spanned, numbered};

pub(super) static BUDGET: Object = Object {
    name: "budget",
    what: "the budget",
    keys: &[
        required(
            "sessions",
            ValueKind::Integer(1, 4_294_967_295),
            "sessions: 20",
            "The most sessions; each attempt at an item is one.",
        ),
        required(
            "duration",
            ValueKind::Duration,
            "duration: 10m",
            "The longest time from start to end; it only passes while an engine is running.",
        ),
        key(
            "tokens",
            ValueKind::Count,
            "tokens: 200k",
            "The most tokens, uncached input and output together. Enforced only for sessions with \
            `usage`; a problem if no item has it.",
        ),
        key(
            "cost",
            ValueKind::Cost,
            "cost: 2.50 USD",
            "The highest cost, with a currency of three capital letters. Enforced as `tokens` is.",
        ),
    ],
    later: &[],
    open: false,
};

/// How often the engine counts time, in a second: durations are whole milliseconds.
pub(super) const TICK_RATE_HZ: u64 = 1_000;

#[derive(Debug, Default)]
pub(super) struct BudgetAst {
    sessions: Option<Spanned<u32>>,
    duration: Option<Millis>,
    tokens: Option<u64>,
    cost: Option<Cost>,
    /// The ceilings that only sessions that report their usage count against, each with its place.
    metered: Vec<(&'static str, Span)>,
}

impl BudgetAst {
    pub(super) fn read(node: &Node, diagnostics: &mut Diagnostics<'_>) -> Self {
        let Some(fields) = Fields::read(node, &BUDGET, diagnostics) else {
            return Self::default();
        };
        let sessions = fields
            .get("sessions")
            .and_then(|node| Some(Spanned::new(diagnostics.number(node, u32::MAX)?, node.span)));
        let metered =
            ["tokens", "cost"].into_iter().filter_map(|name| Some((name, fields.get(name)?.span)));
        Self {
            metered: metered.collect(),
            sessions,
            duration: fields.get("duration").and_then(|node| diagnostics.duration(node)),
            tokens: fields.get("tokens").and_then(|node| diagnostics.positive_count(node)),
            cost: fields.get("cost").and_then(|node| diagnostics.positive_cost(node)),
        }
    }

    pub(super) fn tokens(&self) -> Option<u64> {
        self.tokens
    }

    pub(super) fn cost(&self) -> Option<&Cost> {
        self.cost.as_ref()
    }

    /// The ceilings that only sessions that report their usage count against, each with its place.
    pub(super) fn metered(&self) -> &[(&'static str, Span)] {
        &self.metered
    }

    /// Where its sessions are limited.
    pub(super) fn sessions_span(&self) -> Span {
        self.sessions.as_ref().map_or(Span::default(), |sessions| sessions.span)
    }

    /// What is wrong with its sessions if they cannot be enough for so many items.
    pub(super) fn too_few_sessions(&self, items: usize) -> Option<String> {
        let few = self.sessions.as_ref().filter(|sessions| (sessions.value as usize) < items)?;
        Some(format!(
            "{} cannot be enough for {items} items, each of which takes at least one",
            numbered(few.value.into(), "session")
        ))
    }

    /// The budget of a run.
    pub(super) fn resolve(&self) -> CoordinationBudget {
        // What is missing was reported, and the plan is refused; the rest of it is looked at all
        // the same.
        let sessions = self.sessions.as_ref().map_or(1, |sessions| sessions.value);
        let duration = self.duration.map_or(1, |duration| duration.0);
        let budget = CoordinationBudget::new(sessions, duration, TICK_RATE_HZ, self.tokens);
        let budget = budget.expect("BUG: what was read is more than nothing");
        match &self.cost {
            Some(cost) => budget.with_max_cost(cost.millionths, &cost.currency),
            None => budget,
        }
    }
}
