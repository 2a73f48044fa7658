//! Sessions and items of a coordination, counted, and the verdict that follows from them.

use serde::{Deserialize, Serialize};

use crate::coordination::stop::Verdict;

/// Sessions and items of a coordination, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct Counts {
    /// Sessions that ended, in whatever way.
    pub sessions: u64,
    /// Sessions that succeeded.
    pub successful: u64,
    /// Sessions that failed, timed out or could not be started.
    pub failed: u64,
    /// Sessions that were ended from outside.
    pub cancelled: u64,
    /// Sessions that the engine's death took along.
    pub lost: u64,
    /// Sessions that a quota kept from working.
    pub deferred: u64,
    pub work_succeeded: u64,
    /// Items among those that were taken over from an earlier run.
    #[serde(skip_serializing_if = "is_zero")]
    pub work_reused: u64,
    /// Items that failed for good.
    pub work_failed: u64,
    /// Items skipped by their own rule.
    pub work_skipped_by_rule: u64,
    /// Items skipped because of others.
    pub work_skipped: u64,
    /// Items without an outcome; counted when the coordination ends.
    pub work_unfinished: u64,
    /// Critical items that neither succeeded nor were skipped by their own rule.
    pub critical_missed: u64,
    /// Times an engine took the coordination over.
    pub resumes: u64,
    /// Writes refused for want of a valid fence.
    pub writes_refused: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Counts {
    pub(in crate::coordination) fn items(&self) -> u64 {
        [
            self.work_succeeded,
            self.work_failed,
            self.work_skipped_by_rule,
            self.work_skipped,
            self.work_unfinished,
        ]
        .into_iter()
        .fold(0, u64::saturating_add)
    }

    /// How a coordination with these totals went, if it was not aborted.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        if self.critical_missed > 0 {
            Verdict::Failed
        } else if self.work_succeeded.saturating_add(self.work_skipped_by_rule) == self.items() {
            Verdict::Succeeded
        } else if self.work_succeeded == 0 {
            Verdict::Failed
        } else {
            Verdict::Partial
        }
    }
}
