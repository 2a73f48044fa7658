//! Colours on a terminal, so that what went wrong is seen first.

use antiphon::coordination::{Stage, Verdict, WorkStage};

/// What a colour means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Colour {
    #[default]
    Plain,
    /// Green: it is as it should be.
    Good,
    /// Red: something is wrong.
    Bad,
    /// Yellow: it did not come to its end, or not yet.
    Caution,
    /// Cyan: it is under way.
    Active,
}

impl From<WorkStage> for Colour {
    fn from(stage: WorkStage) -> Self {
        match stage {
            WorkStage::Running => Self::Active,
            WorkStage::Delayed | WorkStage::Interrupted | WorkStage::Skipped => Self::Caution,
            WorkStage::AwaitingCleanup | WorkStage::Failed => Self::Bad,
            WorkStage::Succeeded => Self::Good,
            _ => Self::Plain,
        }
    }
}

impl From<Stage> for Colour {
    fn from(stage: Stage) -> Self {
        match stage {
            Stage::Starting | Stage::Running => Self::Active,
            Stage::Waiting | Stage::Paused | Stage::Stopping => Self::Caution,
            Stage::Ended(verdict) => verdict.into(),
            _ => Self::Plain,
        }
    }
}

impl From<Verdict> for Colour {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Succeeded => Self::Good,
            Verdict::Partial => Self::Caution,
            Verdict::Failed | Verdict::Aborted => Self::Bad,
        }
    }
}

/// A text in a colour.
pub(crate) fn painted(text: &str, colour: impl Into<Colour>) -> String {
    let code = match colour.into() {
        Colour::Plain => return text.to_owned(),
        Colour::Good => 32,
        Colour::Bad => 31,
        Colour::Caution => 33,
        Colour::Active => 36,
    };
    format!("\u{1b}[{code}m{text}\u{1b}[0m")
}
