//! What became of the command that a plan names for the end of its run.

use antiphon::OnEnd;
use serde::{Deserialize, Serialize};

/// What became of the command for the end of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnEndAnswer {
    /// The run.
    pub run: String,
    /// How far it is.
    pub on_end: OnEndState,
    /// Why it failed, if it did and the engine that saw it still runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// How far the command for the end of a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnEndState {
    /// The run has none, or has not ended.
    None,
    /// It is carried out by the next engine that runs processes.
    Waiting,
    /// It is being carried out.
    Running,
    /// It has ended, well or not.
    Ended,
}

impl OnEndAnswer {
    /// What is said of a run's command, `None` while it is being carried out.
    #[must_use]
    pub fn of(run: impl Into<String>, seen: Option<OnEnd>) -> Self {
        let (on_end, failure) = match seen {
            None => (OnEndState::Running, None),
            Some(OnEnd::Waiting) => (OnEndState::Waiting, None),
            Some(OnEnd::Ended { failure }) => (OnEndState::Ended, failure),
            Some(_) => (OnEndState::None, None),
        };
        Self { run: run.into(), on_end, failure }
    }
}
