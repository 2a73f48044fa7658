//! The result of a run: its last lines, with and without a terminal.

use antiphon::coordination::BudgetUsage;
use antiphon::id::CoordinationId;

use super::meters::{count, money};
use crate::colour::painted;
use crate::labels::counted;
use crate::run_outcome::RunOutcome;
use crate::text::printable;
use crate::timestamps::elapsed;

/// How it went, what it used and where the evidence is.
pub(super) struct Summary<'a> {
    id: &'a CoordinationId,
    outcome: &'a RunOutcome,
    took_ns: u64,
    sessions: u64,
    usage: &'a BudgetUsage,
    currency: Option<&'a str>,
}

impl<'a> Summary<'a> {
    pub(super) fn new(
        id: &'a CoordinationId,
        outcome: &'a RunOutcome,
        took_ns: u64,
        sessions: u64,
        usage: &'a BudgetUsage,
        currency: Option<&'a str>,
    ) -> Self {
        Self { id, outcome, took_ns, sessions, usage, currency }
    }

    pub(super) fn lines(&self) -> [String; 3] {
        let verdict = self.outcome.verdict.as_str();
        let stop =
            self.outcome.stop().map(|stop| format!(": {}", printable(&stop))).unwrap_or_default();
        let (took, sessions) = (elapsed(self.took_ns), self.sessions);
        [
            format!(
                "{} in {took}, {}{}{stop}",
                painted(verdict, self.outcome.verdict),
                counted(sessions, "session"),
                self.used()
            ),
            format!(
                "receipt {}{}",
                self.outcome.receipt,
                if self.outcome.is_verified() { ", verified" } else { "" }
            ),
            format!("details: `antiphon receipt show {}`", printable(self.id.as_str())),
        ]
    }

    /// Tokens and cost, if there were any.
    fn used(&self) -> String {
        let estimated = if self.usage.is_estimated() { "~" } else { "" };
        let mut text = String::new();
        if self.usage.consumed_tokens() > 0 {
            text.push_str(&format!(", {estimated}{} tokens", count(self.usage.consumed_tokens())));
        }
        if self.usage.consumed_cost() > 0 {
            let currency = self
                .currency
                .map(|currency| format!(" {}", printable(currency)))
                .unwrap_or_default();
            text.push_str(&format!(", {estimated}{}{currency}", money(self.usage.consumed_cost())));
        }
        text
    }
}
