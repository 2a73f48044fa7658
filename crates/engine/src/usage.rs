//! What a process session says of itself: its usage, how it went, what it put out. Each member is
//! read by itself, and one that could not be read is told.
//!
//! Nothing here is believed that was not read: a process that exits with 0 and reports an error has
//! failed, and so has an agent whose result is missing; one without a report is charged an estimate.

mod charged;
mod claude;
mod limit;
mod members;
mod objects;
mod plain_text;
mod result_file;

use std::collections::BTreeMap;

use antiphon_core::coordination::Report;
use antiphon_core::time::WallTime;
use serde_json::Value;

pub use charged::Charged;
pub use claude::claude;
pub use result_file::result_file;

/// Longest text that is taken over from a report, in bytes; the kernel cuts it again to its own
/// limit.
const MAX_TEXT: usize = 4_096;

/// A run whose output is read.
#[derive(Debug, Clone, Copy, Default)]
pub struct AgentRun<'a> {
    /// What it printed; the beginning of it if not all was kept.
    pub printed: &'a [u8],
    /// The end of what it printed, if something before that was left out.
    pub tail: Option<&'a [u8]>,
    /// Whether it was started to resume an earlier run.
    pub resumed: bool,
    /// What earlier runs were charged; this one is added.
    pub charged: Option<&'a Charged>,
}

impl<'a> AgentRun<'a> {
    /// A run of its own, of which everything was kept.
    #[must_use]
    pub fn of(printed: &'a [u8]) -> Self {
        Self { printed, ..Self::default() }
    }
}

#[derive(Debug, Clone, PartialEq, Default)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct SessionReport {
    /// Tokens and cost; `None` if nothing was reported, and an estimate is charged.
    pub report: Option<Report>,
    /// How the session says it went.
    pub outcome: ReportedOutcome,
    /// What it put out.
    pub output: Option<Value>,
    /// Scores in millionths, by name.
    pub scores: BTreeMap<String, i64>,
    /// What could not be read, in one sentence.
    pub degraded: Option<String>,
}

/// How a session says it went.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the names say it")]
pub enum ReportedOutcome {
    /// Nothing: its exit code decides.
    #[default]
    Nothing,
    /// It did its work.
    Succeeded,
    /// It failed, whatever its exit code is.
    Failed(String),
    /// What it should have said could not be read, and so it has failed: why.
    Unread(String),
    /// A quota or rate limit keeps it from working.
    Deferred {
        /// Until when, if it says so.
        until: Option<WallTime>,
        text: String,
    },
}

fn cut(text: &str) -> String {
    let end = text
        .char_indices()
        .map(|(at, char)| at + char.len_utf8())
        .take_while(|end| *end <= MAX_TEXT)
        .last();
    text[..end.unwrap_or(0)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(cut(&"ä".repeat(3_000)).len(), MAX_TEXT);
        assert_eq!(cut("short"), "short");
    }
}
