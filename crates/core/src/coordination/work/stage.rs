//! Where an item is in its life, in one word: what displays, `why` and the API say of it.

use std::fmt;

/// Where an item is in its life. This is the only table of the words for it; what else is known of
/// an item, such as why it waits or will be retried, is said beside the word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names of its variants say it")]
pub enum WorkStage {
    /// Some of its needs are not met yet.
    Waiting,
    /// It may start.
    Ready,
    /// It had a session, and the next one may start at a known moment. It stays so until then and
    /// until that session is bound.
    Delayed,
    /// A session carries it out.
    Running,
    /// A nested run carries it out, and nobody that, until the run is resumed.
    Interrupted,
    /// Its session has ended, and left something running.
    AwaitingCleanup,
    Succeeded,
    /// It failed for good.
    Failed,
    /// It never ran, or not to its end.
    Skipped,
    /// The coordination has ended, and the item has no outcome.
    Unfinished,
}

impl WorkStage {
    /// Every stage, in the order of a life.
    pub const ALL: &'static [Self] = &[
        Self::Waiting,
        Self::Ready,
        Self::Delayed,
        Self::Running,
        Self::Interrupted,
        Self::AwaitingCleanup,
        Self::Succeeded,
        Self::Failed,
        Self::Skipped,
        Self::Unfinished,
    ];

    /// The stage as one word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Ready => "ready",
            Self::Delayed => "delayed",
            Self::Running => "running",
            Self::Interrupted => "interrupted",
            Self::AwaitingCleanup => "awaiting cleanup",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Unfinished => "unfinished",
        }
    }

    /// Whether the item has its outcome.
    #[must_use]
    pub const fn has_outcome(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Skipped)
    }
}

impl fmt::Display for WorkStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
