//! How a session ended, and what follows for its item.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::coordination::route::Route;
use crate::coordination::work::WorkItemOutcome;
use crate::digest::Digest;
use crate::time::{Deadline, LedgerTime};

/// How a session ended. Written in capitals, as in `session_unbound(reason = SPAWN_FAILED)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names of its variants say it")]
pub enum SessionOutcome {
    /// It did its work.
    Success,
    Failure,
    /// Its time was over.
    Timeout,
    /// It was ended from outside. A session is charged, but no attempt.
    Cancelled,
    /// The engine died under it. A session is charged, but no attempt.
    Lost,
    /// It could not be started.
    SpawnFailed,
    /// A quota or rate limit keeps it from working before this moment. A session is charged, but no
    /// attempt.
    Deferred {
        /// When to try again.
        until: Deadline,
    },
}

impl SessionOutcome {
    /// The outcome's name, in capitals.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "SUCCESS",
            Self::Failure => "FAILURE",
            Self::Timeout => "TIMEOUT",
            Self::Cancelled => "CANCELLED",
            Self::Lost => "LOST",
            Self::SpawnFailed => "SPAWN_FAILED",
            Self::Deferred { .. } => "DEFERRED",
        }
    }

    /// Whether it counts against the attempts of its item.
    #[must_use]
    pub fn is_attempt(self) -> bool {
        !matches!(self, Self::Lost | Self::Cancelled | Self::Deferred { .. })
    }

    /// Whether it is a failed attempt: it may be retried, and fails the item for good with the last
    /// one.
    #[must_use]
    pub fn is_failed_attempt(self) -> bool {
        matches!(self, Self::Failure | Self::Timeout | Self::SpawnFailed)
    }
}

/// What follows from a session's end for its item; decided once and recorded, so that replay
/// computes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NextStep {
    /// The item has its outcome.
    Done(WorkItemOutcome),
    /// The item is ready again from this ledger time on.
    Retry(LedgerTime),
    /// The item waits for a moment that was set from outside.
    Wait(Deadline),
    /// The item waits until nothing of the session is left.
    Hold,
}

/// What became of the processes of a session.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TreeReport {
    /// How its own program ended: `exit 0`, `signal 9`; absent if it never ran or its end was not
    /// seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<String>,
    /// Digest of its standard output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdout: Option<Digest>,
    /// Digest of its standard error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stderr: Option<Digest>,
    /// Whether some of what it printed was dropped.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
    /// What held them, in one word: `namespace`, `cgroup`, `warden`, `subreaper` or
    /// `best-effort`.
    pub containment: String,
    /// Whether nothing was left when the session ended.
    pub clean: bool,
    /// Processes that had to be killed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub killed: u32,
    /// What could not be ended, each with its number and the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leftovers: Vec<String>,
    /// Digest of the blob that says what it left of its declared files. Came with schema 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<Digest>,
    /// What went wrong with its own program, where neither the session's outcome nor `exit` tells.
    /// Came with schema 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<ProgramFault>,
}

/// What kept the program of a session from running, or ended it from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ProgramFault {
    /// There is no such program.
    NotFound,
    /// There is one, and it cannot be executed.
    NotExecutable,
    /// It was ended at a limit on the memory, processes or CPU time of its tree.
    OverLimit,
}

fn is_zero(value: &u32) -> bool {
    *value == 0
}

/// What a session reports when it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct SessionEnd {
    pub outcome: SessionOutcome,
    /// What it says about it: an error, a reason, a summary.
    pub text: Option<String>,
    /// Tokens, cost and, for a nested coordination, sessions it used; `None` if nothing was
    /// reported.
    pub reported: Option<Report>,
    /// Digest of what it put out.
    pub output: Option<Digest>,
    /// Scores it gives, in millionths, by name.
    pub scores: std::collections::BTreeMap<String, i64>,
    /// What became of its processes, if it had some.
    pub tree: Option<Box<TreeReport>>,
    /// How long it really ran, if that is known. The time of the ledger stands while no engine runs.
    pub ran: Option<Duration>,
    /// What was decided to follow it, if somebody decided.
    pub route: Option<Box<Route>>,
}

impl SessionEnd {
    /// An end without anything to say.
    #[must_use]
    pub fn new(outcome: SessionOutcome) -> Self {
        Self {
            outcome,
            text: None,
            reported: None,
            output: None,
            scores: std::collections::BTreeMap::new(),
            tree: None,
            ran: None,
            route: None,
        }
    }

    /// The same with a text.
    #[must_use]
    pub fn with_text(self, text: impl Into<String>) -> Self {
        Self { text: Some(text.into()), ..self }
    }

    /// The same with a remark before its text.
    #[must_use]
    pub(in crate::coordination) fn noting(self, remark: String) -> Self {
        let text = self.text.map_or(remark.clone(), |text| format!("{remark}; {text}"));
        Self { text: Some(text), ..self }
    }

    /// The same with what follows it, if it was an attempt.
    #[must_use]
    pub fn with_route(self, route: Route) -> Self {
        Self { route: Some(Box::new(route)), ..self }
    }

    /// The same with what became of its processes.
    #[must_use]
    pub fn with_tree(self, tree: TreeReport) -> Self {
        Self { tree: Some(Box::new(tree)), ..self }
    }

    /// The same with reported usage.
    #[must_use]
    pub fn with_report(self, report: Report) -> Self {
        Self { reported: Some(report), ..self }
    }
}

/// Usage as a session reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Report {
    /// Sessions of a nested coordination; 0 means one, the session itself.
    pub sessions: u32,
    /// Fresh input and output tokens.
    pub tokens: u64,
    /// How they are charged.
    pub tokens_charge: Charge,
    /// Tokens read from a cache.
    pub cache_tokens: u64,
    /// Cost in millionths.
    pub cost: u64,
    /// How it is charged.
    pub cost_charge: Charge,
    /// Whether the figures are an estimate.
    pub estimated: bool,
}

/// How a figure of a report is charged. Whatever is not as reported makes the usage an estimate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Charge {
    /// The figure is what was used.
    #[default]
    AsReported,
    /// The session ended before it could tell: the share of its grant by the time that it ran, if
    /// that is more than the figure.
    ByTime,
    /// More was used than can be counted, or it was not told: the grant, if that is more than the
    /// figure.
    AtLeastGrant,
}

/// Why a running session is asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum StopCause {
    /// Its time is over.
    Timeout,
    /// Its coordination is ending.
    Ending,
}

/// Cuts a text at a character boundary and says so.
pub(crate) fn shortened(mut text: String, max: usize) -> String {
    const MARK: &str = " [cut]";
    if text.len() > max {
        let mut end = max - MARK.len();
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str(MARK);
    }
    text
}
