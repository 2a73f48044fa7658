//! Where a coordination is in its life, in one word: what lists, the API and displays say.

use std::fmt;
use std::str::FromStr;

use crate::coordination::event::StopKind;
use crate::coordination::{Coordination, CoordinationStatus, Verdict};

/// Where a coordination is in its life; a head row has it as its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names of its variants say it")]
#[non_exhaustive]
pub enum Stage {
    /// Its start is not recorded whole.
    Starting,
    /// Work is bound as slots and budget allow.
    Running,
    /// All that is left of it waits for secrets that its engine does not have. No head row says so, as
    /// what an engine has is not on the record.
    Waiting,
    /// Nothing new starts until it is continued.
    Paused,
    /// Nobody carries it out until it is resumed.
    Interrupted,
    /// Nothing new starts, or no more work is taken, and it ends.
    Stopping,
    Ended(Verdict),
}

impl Stage {
    /// Every stage, in the order of a life.
    pub const ALL: [Self; 10] = [
        Self::Starting,
        Self::Running,
        Self::Waiting,
        Self::Paused,
        Self::Interrupted,
        Self::Stopping,
        Self::Ended(Verdict::Succeeded),
        Self::Ended(Verdict::Partial),
        Self::Ended(Verdict::Failed),
        Self::Ended(Verdict::Aborted),
    ];

    /// The stage as one word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Paused => "paused",
            Self::Interrupted => "interrupted",
            Self::Stopping => "stopping",
            Self::Ended(verdict) => verdict.as_str(),
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text is no stage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no status; they are {}", Stage::ALL.map(Stage::as_str).join(", "))]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct UnknownStage {
    pub text: String,
}

impl FromStr for Stage {
    type Err = UnknownStage;

    fn from_str(text: &str) -> Result<Self, UnknownStage> {
        let found = Self::ALL.into_iter().find(|stage| stage.as_str() == text);
        found.ok_or_else(|| UnknownStage { text: text.to_owned() })
    }
}

impl Coordination {
    /// Where it is in its life.
    #[must_use]
    pub fn stage(&self) -> Stage {
        match self.status() {
            CoordinationStatus::Initializing => Stage::Starting,
            CoordinationStatus::Running => match self.stop_request().map(|stop| stop.kind) {
                Some(StopKind::Drain | StopKind::Cancel) => Stage::Stopping,
                _ if self.is_interrupted() => Stage::Interrupted,
                // Taking no more work ends nothing as long as the pause lasts.
                _ if self.pause_reason().is_some() => Stage::Paused,
                Some(StopKind::Close) => Stage::Stopping,
                None => Stage::Running,
            },
            CoordinationStatus::Completed(_) => Stage::Ended(self.totals().verdict()),
            CoordinationStatus::Aborted(_) => Stage::Ended(Verdict::Aborted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_is_read_back_from_its_word() {
        assert_eq!(Stage::ALL.map(|stage| stage.as_str().parse()), Stage::ALL.map(Ok));
        let refusal = "\"done\" is no status; they are starting, running, waiting, paused, interrupted, stopping, succeeded, partial, failed, aborted";
        assert_eq!(
            "done".parse::<Stage>().map_err(|error| error.to_string()),
            Err(refusal.to_owned())
        );
    }
}
