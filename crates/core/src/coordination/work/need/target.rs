//! What a need names, without what it wants of it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::coordination::key::gate_of;
use crate::coordination::signal::SignalType;
use crate::id::{GroupName, KeyName, WorkId};

/// What a need names: what an item waited for in vain is recorded so.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names of its variants say it")]
#[non_exhaustive]
pub enum NeedTarget {
    Work(WorkId),
    Group(GroupName),
    Signal(SignalType),
    Key(KeyName),
    Approval(String),
    Route,
}

impl fmt::Display for NeedTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Work(id) => write!(f, "{id}"),
            Self::Group(name) => write!(f, "group {name}"),
            Self::Signal(kind) => write!(f, "signal {kind}"),
            Self::Key(key) => match gate_of(key) {
                Some(gate) => write!(f, "gate {gate}"),
                None => write!(f, "key {key}"),
            },
            Self::Approval(question) => write!(f, "the approval {question:?}"),
            Self::Route => f.write_str("a route"),
        }
    }
}
