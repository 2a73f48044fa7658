//! The result of a run: its last lines, with and without a terminal.

use antiphon::coordination::{BudgetUsage, Counts, SessionOutcome, WorkStage};
use antiphon::id::CoordinationId;
use antiphon::report::FailedItem;
use antiphon::time::nanos;

use super::meters::{count, money};
use crate::colour::painted;
use crate::labels::counted;
use crate::run_outcome::RunOutcome;
use crate::text::{printable, quoted};
use crate::timestamps::elapsed;

/// How it went, what it used and where the evidence is.
pub(super) struct Summary<'a> {
    id: &'a CoordinationId,
    outcome: &'a RunOutcome,
    sessions: u64,
    usage: &'a BudgetUsage,
    currency: Option<&'a str>,
}

impl<'a> Summary<'a> {
    pub(super) fn new(
        id: &'a CoordinationId,
        outcome: &'a RunOutcome,
        sessions: u64,
        usage: &'a BudgetUsage,
        currency: Option<&'a str>,
    ) -> Self {
        Self { id, outcome, sessions, usage, currency }
    }

    pub(super) fn lines(&self) -> Vec<String> {
        let verdict = self.outcome.verdict.as_str();
        let (took, sessions) = (took(self.usage), self.sessions);
        let report = self.outcome.report();
        let counts = report.map(|report| format!(": {}", item_counts(&report.counts)));
        let mut lines = vec![format!(
            "{} in {took}, {}{}{}",
            painted(verdict, self.outcome.verdict),
            counted(sessions, "session"),
            self.used(),
            counts.unwrap_or_default(),
        )];
        lines.extend(self.outcome.stop().map(|stop| printable(&stop).into_owned()));
        let failures = report.map(|report| report.failures.as_slice()).unwrap_or_default();
        lines.extend(failures.iter().map(|failed| self.failure(failed)));
        let all = report.map_or(0, |report| report.counts.work_failed);
        if let Some(more) = all.checked_sub(failures.len() as u64).filter(|more| *more > 0) {
            let id = printable(self.id.as_str());
            lines.push(format!("{more} more failed: `antiphon status {id} --failed`"));
        }
        // What cannot be read cannot be taken over.
        lines.extend(self.outcome.kind().and(report).map(|_| goes_on(self.id)));
        lines.push(format!("receipt {}{}", self.outcome.receipt, self.outcome.record().told()));
        lines.push(format!("details: `antiphon receipt show {}`", printable(self.id.as_str())));
        lines
    }

    /// An item that failed, with its last words and the command that shows more.
    fn failure(&self, failed: &FailedItem) -> String {
        let FailedItem { work, why, session, outcome, nested, .. } = failed;
        let item = quoted(work.as_str());
        let more = match outcome {
            _ if *nested => format!("antiphon status {session}"),
            // Nothing was there that could have printed.
            SessionOutcome::SpawnFailed => format!("antiphon show {} {item}", self.id),
            _ => format!("antiphon logs {} {item}", self.id),
        };
        let word = painted(WorkStage::Failed.as_str(), WorkStage::Failed);
        let text = format!("{work}: {why}; `{more}`");
        format!("{word} {}", printable(&text))
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

/// How long a run took: the time that counts against its budget.
pub(crate) fn took(usage: &BudgetUsage) -> String {
    elapsed(nanos(usage.elapsed_ticks(), usage.tick_rate_hz()))
}

/// What runs again what did not succeed. A nested run is run again by the one that it is in.
pub(crate) fn goes_on(id: &CoordinationId) -> String {
    let id = id.outermost();
    format!("`antiphon retry {}` runs again what did not succeed", printable(id.as_str()))
}

/// What became of the items, in words.
pub(crate) fn item_counts(counts: &Counts) -> String {
    let Counts { work_succeeded, work_failed, work_unfinished, work_reused, .. } = *counts;
    let taken_over = match work_reused {
        0 => String::new(),
        reused => format!(" ({reused} taken over)"),
    };
    let skipped = counts.work_skipped + counts.work_skipped_by_rule;
    let rest = [(work_failed, "failed"), (skipped, "skipped"), (work_unfinished, "unfinished")];
    let rest = rest.into_iter().filter(|(count, _)| *count > 0);
    let rest = rest.map(|(count, word)| format!(", {count} {word}")).collect::<String>();
    format!("{work_succeeded} ok{taken_over}{rest}")
}
