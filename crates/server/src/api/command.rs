//! Commands to a run in progress, and their answer.

use serde::{Deserialize, Serialize};

/// A command that takes nothing but a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Steer {
    /// End it: running sessions are asked to stop.
    Cancel,
    /// Let running sessions end, and start nothing new.
    Drain,
    /// Take no more work, and end when the present work is done.
    Close,
    /// Start nothing new until continued.
    Pause,
    /// Start nothing new until resumed; running sessions come to their end.
    Interrupt,
    /// The same, and running sessions are ended.
    InterruptNow,
    /// Carry it out again after it was interrupted.
    Resume,
}

impl Steer {
    /// The word in the path.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Drain => "drain",
            Self::Close => "close",
            Self::Pause => "pause",
            Self::Interrupt => "interrupt",
            Self::InterruptNow => "interrupt-now",
            Self::Resume => "resume",
        }
    }
}

/// Higher ceilings; what is absent stays as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct RaiseRequest {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sessions: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// In millionths of the budget's currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<u64>,
}

/// A command that is on the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct Accepted {
    pub run: String,
    /// The version of the event that the command caused.
    pub version: u64,
}
