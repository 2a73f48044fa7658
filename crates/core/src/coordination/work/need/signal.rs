//! A signal that an item waits for.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::coordination::error::NeedError;
use crate::coordination::limits::MAX_AGENT_NAME_BYTES;
use crate::coordination::signal::{About, SignalType};
use crate::id::AgentId;

/// A signal that an item waits for. Items are heard, too: their sessions as `agent_initialized`,
/// their outcomes as `agent_completed`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignalNeed {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: SignalType,
    /// The agent that it must be about, if it matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<AgentId>,
    /// The agent that must have sent it, if it matters; not together with `about`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<AgentId>,
    /// Whether one that tells of a failure does not count.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub success: bool,
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands in a reference")]
fn is_yes(value: &bool) -> bool {
    *value
}

impl SignalNeed {
    /// Any of a type that does not tell of a failure.
    #[must_use]
    pub fn new(kind: SignalType) -> Self {
        Self { kind, about: None, from: None, success: true }
    }

    /// Only one about this agent.
    #[must_use]
    pub fn about(self, agent: AgentId) -> Self {
        Self { about: Some(agent), ..self }
    }

    /// Only one that this agent sent.
    #[must_use]
    pub fn from(self, agent: AgentId) -> Self {
        Self { from: Some(agent), ..self }
    }

    /// Also one that tells of a failure.
    #[must_use]
    pub fn even_failed(self) -> Self {
        Self { success: false, ..self }
    }

    /// Which signals of its type are meant.
    #[must_use]
    pub fn subject(&self) -> About {
        match (&self.about, &self.from) {
            (Some(agent), _) => About::Agent(agent.clone()),
            (None, Some(agent)) => About::From(agent.clone()),
            (None, None) => About::Any,
        }
    }

    /// The agent that is meant, if one is.
    #[must_use]
    pub fn agent(&self) -> Option<&AgentId> {
        self.about.as_ref().or(self.from.as_ref())
    }

    pub(super) fn check(&self) -> Result<(), NeedError> {
        if self.about.is_some() && self.from.is_some() {
            return Err(NeedError::AboutAndFrom { kind: self.kind.clone() });
        }
        let (actual, max) =
            (self.agent().map_or(0, |name| name.as_str().len()), MAX_AGENT_NAME_BYTES);
        match self.agent() {
            Some(name) if actual > max => {
                Err(NeedError::NameTooLong { name: name.clone(), actual, max })
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for SignalNeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "signal {}", self.kind)?;
        match (&self.about, &self.from) {
            (Some(agent), _) => write!(f, " about {agent}"),
            (None, Some(agent)) => write!(f, " from {agent}"),
            (None, None) => Ok(()),
        }
    }
}
