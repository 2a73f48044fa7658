//! What a router can decide, and the kinds of routers.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What happens next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RoutingDecision {
    /// The task has failed for good.
    Error,
    /// Nothing more is started.
    End,
    /// The task is tried again.
    Retry,
    /// Several tasks go on side by side.
    Parallel,
    /// Another task goes on.
    Branch,
    /// The task is left out.
    Skip,
    /// The next task goes on.
    Continue,
}

/// A kind of router.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RoutingStrategy {
    /// By rules over the state.
    Conditional,
    /// By what can run side by side.
    Parallel,
    /// By errors, gaps and size of the state.
    StateAnalysis,
    /// By the priority of the task.
    Priority,
}

impl RoutingDecision {
    /// Every decision, the strongest first.
    pub const ALL: [Self; 7] = [
        Self::Error,
        Self::End,
        Self::Retry,
        Self::Parallel,
        Self::Branch,
        Self::Skip,
        Self::Continue,
    ];

    /// The one of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|decision| decision.as_str() == name)
    }

    /// Its name, as it is printed and stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::End => "end",
            Self::Retry => "retry",
            Self::Parallel => "parallel",
            Self::Branch => "branch",
            Self::Skip => "skip",
            Self::Continue => "continue",
        }
    }
}

impl RoutingStrategy {
    /// Its name, as it is printed and stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Conditional => "conditional",
            Self::Parallel => "parallel",
            Self::StateAnalysis => "state_analysis",
            Self::Priority => "priority",
        }
    }

    /// How much its votes count, compared with those of the others.
    #[must_use]
    pub fn weight(self) -> u32 {
        match self {
            Self::Conditional => 100,
            Self::StateAnalysis => 80,
            Self::Parallel => 60,
            Self::Priority => 40,
        }
    }
}

impl fmt::Display for RoutingDecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for RoutingStrategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
