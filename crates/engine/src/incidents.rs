//! Errors that the engine deals with by itself: logged and counted here, so that none goes unseen.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

/// An error that stopped nothing, by what went without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Incident {
    /// A snapshot was not saved; the next start replays more.
    SnapshotNotSaved,
    /// The head mark was not written and is tried again; until then a loss of the ledger's end
    /// could go unseen.
    HeadMarkNotWritten,
    /// An append failed; the callers that waited for it got the error.
    AppendFailed,
    /// A cursor was not moved; the reader that acknowledged got the error.
    CursorNotMoved,
    /// The plan of a nested item arrived after its coordination had ended or gone ahead without it.
    LateExpansion,
    /// A session reported its end without a valid fence.
    StaleEnd,
    /// A session's end came after that of its coordination.
    LateEnd,
    /// A session could not be recorded as lost when the engine was closed; the next start does it.
    LossNotRecorded,
    /// The timer for the next deadline could not be set.
    DeadlineNotArmed,
    /// The system gave no randomness; tokens were derived from the time.
    NoRandomness,
    /// The writer's thread is gone.
    WriterGone,
    /// The state directory is gone, or another one has its name.
    DirectoryGone,
    /// The command for the end of a run failed.
    OnEndFailed,
}

use Incident as Kind;

const KINDS: [Kind; 13] = [
    Kind::SnapshotNotSaved,
    Kind::HeadMarkNotWritten,
    Kind::AppendFailed,
    Kind::CursorNotMoved,
    Kind::LateExpansion,
    Kind::StaleEnd,
    Kind::LateEnd,
    Kind::LossNotRecorded,
    Kind::DeadlineNotArmed,
    Kind::NoRandomness,
    Kind::WriterGone,
    Kind::DirectoryGone,
    Kind::OnEndFailed,
];

impl Incident {
    /// Its name, as it is in logs and reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SnapshotNotSaved => "snapshot_not_saved",
            Self::HeadMarkNotWritten => "head_mark_not_written",
            Self::AppendFailed => "append_failed",
            Self::CursorNotMoved => "cursor_not_moved",
            Self::LateExpansion => "late_expansion",
            Self::StaleEnd => "stale_end",
            Self::LateEnd => "late_end",
            Self::LossNotRecorded => "loss_not_recorded",
            Self::DeadlineNotArmed => "deadline_not_armed",
            Self::NoRandomness => "no_randomness",
            Self::WriterGone => "writer_gone",
            Self::DirectoryGone => "directory_gone",
            Self::OnEndFailed => "on_end_failed",
        }
    }

    /// Whether it is no more than what a busy engine meets every day.
    fn is_usual(self) -> bool {
        matches!(
            self,
            Self::LateExpansion | Self::StaleEnd | Self::LateEnd | Self::SnapshotNotSaved
        )
    }
}

impl fmt::Display for Incident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How often each occurred since the engine started.
#[derive(Debug, Default)]
pub(crate) struct Incidents([AtomicU64; KINDS.len()]);

impl Incidents {
    /// Logs an error and counts it. `subject` is what it concerns: a session, a stream.
    pub(crate) fn note(&self, kind: Kind, subject: &dyn fmt::Display, error: &dyn fmt::Display) {
        self.0[kind as usize].fetch_add(1, Ordering::Relaxed);
        if kind.is_usual() {
            tracing::warn!(incident = %kind, %subject, %error, "the engine dealt with an error by itself");
        } else {
            tracing::error!(incident = %kind, %subject, %error, "the engine dealt with an error by itself");
        }
    }

    /// The counts that are not 0.
    pub(crate) fn counts(&self) -> BTreeMap<Kind, u64> {
        let counts =
            KINDS.into_iter().map(|kind| (kind, self.0[kind as usize].load(Ordering::Relaxed)));
        counts.filter(|(_, count)| *count > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_counted_by_itself_under_one_name() {
        let incidents = Incidents::default();
        for (times, kind) in KINDS.into_iter().enumerate() {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
            for _ in 0..times {
                incidents.note(kind, &"a test", &"an error");
            }
        }
        let expected: BTreeMap<_, _> = KINDS.into_iter().zip(0..).skip(1).collect();
        assert_eq!(incidents.counts(), expected);
    }
}
