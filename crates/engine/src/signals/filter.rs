//! Which signals somebody wants.

use std::collections::BTreeMap;

use antiphon_core::coordination::{NotASignalType, SignalType};
use antiphon_core::id::AgentId;
use serde_json::Value;

use super::heard::HeardSignal;

/// The signals that somebody wants: all, unless it says otherwise.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SignalFilter {
    types: Vec<Pattern>,
    from: Option<AgentId>,
    to: Option<AgentId>,
    about: Option<AgentId>,
    failed: Option<bool>,
    data: BTreeMap<String, Value>,
}

/// What is wrong with a filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidFilter {
    /// It names something that cannot be the type of a signal, nor the beginning of one.
    #[error("{error}; a type, or the beginning of one with a star behind it, as in `review.*`")]
    Type {
        /// What is wrong with it.
        error: NotASignalType,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    Exactly(SignalType),
    Beginning(String),
}

impl SignalFilter {
    /// All signals.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Of this type, or of one that begins like this: `review.*`. Given again, of any of them.
    ///
    /// # Errors
    /// [`InvalidFilter`] if no type can be like this.
    pub fn of_type(mut self, pattern: impl AsRef<str>) -> Result<Self, InvalidFilter> {
        let pattern = pattern.as_ref();
        let invalid = |error| InvalidFilter::Type { error };
        self.types.push(match pattern.strip_suffix('*') {
            Some("") => Pattern::Beginning(String::new()),
            Some(beginning) => {
                SignalType::new(beginning).map_err(invalid)?;
                Pattern::Beginning(beginning.to_owned())
            }
            None => Pattern::Exactly(SignalType::new(pattern).map_err(invalid)?),
        });
        Ok(self)
    }

    /// Sent by this agent.
    #[must_use]
    pub fn from(self, agent: AgentId) -> Self {
        Self { from: Some(agent), ..self }
    }

    /// For this agent: those that name it, and those for everybody.
    #[must_use]
    pub fn to(self, agent: AgentId) -> Self {
        Self { to: Some(agent), ..self }
    }

    /// About this agent.
    #[must_use]
    pub fn about(self, agent: AgentId) -> Self {
        Self { about: Some(agent), ..self }
    }

    /// Only those that tell of a failure, or only those that do not.
    #[must_use]
    pub fn failed(self, failed: bool) -> Self {
        Self { failed: Some(failed), ..self }
    }

    /// Whose data has a member of this name and value.
    #[must_use]
    pub fn with_data(mut self, member: impl Into<String>, value: Value) -> Self {
        self.data.insert(member.into(), value);
        self
    }

    /// Whether it may be one of them, as far as is known without its data.
    pub(super) fn may_match(&self, signal: &HeardSignal) -> bool {
        let Self { types, from, to, about, failed, data: _ } = self;
        let is = |wanted: &Option<AgentId>, agent| wanted.as_ref().is_none_or(|name| name == agent);
        let addressed =
            |agent: &AgentId| signal.to.is_empty() || signal.to.iter().any(|to| to == agent);
        (types.is_empty() || types.iter().any(|pattern| pattern.matches(&signal.kind)))
            && is(from, &signal.from)
            && is(about, &signal.about)
            && to.as_ref().is_none_or(addressed)
            && failed.is_none_or(|failed| failed == signal.failed)
    }

    /// Whether its data is as wanted. What is not there is not.
    pub(super) fn matches_data(&self, signal: &HeardSignal) -> bool {
        if self.data.is_empty() {
            return true;
        }
        let data = signal.json().unwrap_or_default();
        self.data.iter().all(|(member, value)| data.get(member) == Some(value))
    }
}

impl Pattern {
    fn matches(&self, kind: &SignalType) -> bool {
        match self {
            Self::Exactly(wanted) => wanted == kind,
            Self::Beginning(beginning) => kind.as_str().starts_with(beginning),
        }
    }
}
