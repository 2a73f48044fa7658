//! How a run ended, for people: why, what became of its items, and what failed first.

use antiphon::report::{FailedItem, RunReport};
use serde::{Deserialize, Serialize};

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct RunEnd {
    pub run: String,
    /// How it went.
    pub verdict: String,
    /// Why it ended with work left, in words; absent if it came to the end of its work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The last items of those whose failures tripped its breaker, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tripped_by: Vec<String>,
    pub items: ItemCounts,
    /// The items that failed first, at most ten, in the order in which they did.
    pub failures: Vec<Failure>,
}

/// What became of the items of a run, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct ItemCounts {
    pub succeeded: u64,
    /// Those among them that were taken over from an earlier run.
    pub taken_over: u64,
    pub failed: u64,
    pub skipped: u64,
    /// Those without an outcome.
    pub unfinished: u64,
}

/// An item that failed for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct Failure {
    pub item: String,
    /// Its last session.
    pub session: u64,
    /// The nested run that carried that out, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nested_run: Option<String>,
    /// How that ended, such as `FAILURE` or `TIMEOUT`.
    pub outcome: String,
    /// Why, on one line.
    pub why: String,
    /// The last line of what it printed to standard error, else to standard output, that says
    /// anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_line: Option<String>,
}

impl From<&RunReport> for RunEnd {
    fn from(report: &RunReport) -> Self {
        let counts = &report.counts;
        let tripped = report.tripped.as_ref().map(|streak| streak.last()).unwrap_or_default();
        Self {
            run: report.run.to_string(),
            verdict: report.verdict.as_str().to_owned(),
            why: report.why.clone(),
            tripped_by: tripped.iter().map(ToString::to_string).collect(),
            items: ItemCounts {
                succeeded: counts.work_succeeded,
                taken_over: counts.work_reused,
                failed: counts.work_failed,
                skipped: counts.work_skipped + counts.work_skipped_by_rule,
                unfinished: counts.work_unfinished,
            },
            failures: report.failures.iter().map(Failure::from).collect(),
        }
    }
}

impl From<&FailedItem> for Failure {
    fn from(failed: &FailedItem) -> Self {
        Self {
            item: failed.work.to_string(),
            session: failed.session.number,
            nested_run: failed.nested.then(|| failed.session.to_string()),
            outcome: failed.outcome.as_str().to_owned(),
            why: failed.why.clone(),
            last_line: failed.last_line.clone(),
        }
    }
}
