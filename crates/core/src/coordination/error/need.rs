//! What can be wrong with what an item waits for.

use crate::coordination::signal::SignalType;
use crate::id::{AgentId, KeyName};

/// What is wrong with what an item waits for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields' names say it")]
pub enum NeedError {
    /// Whom a signal is about and who sent it cannot both be asked for.
    #[error("signal {kind} is wanted both about an agent and from one; name one of them")]
    AboutAndFrom { kind: SignalType },
    /// No agent has such a name.
    #[error("the agent name {name} has {actual} bytes; at most {max} are allowed")]
    NameTooLong { name: AgentId, actual: usize, max: usize },
    /// No value of a key that is compared is as large.
    #[error("the value that key {key} is to be has {actual} bytes; at most {max} are compared")]
    ValueTooLarge { key: KeyName, actual: usize, max: usize },
    /// A question has no text, or more than a person is asked.
    #[error(
        "the question for its approval has {actual} bytes; it must have some text, and at most {max}"
    )]
    Question { actual: usize, max: usize },
    /// A time-out belongs to no need.
    #[error("a time-out is given for need {need}, counted from 0, of {needs}")]
    TimeoutOfNothing { need: u32, needs: usize },
    /// A need times out at once.
    #[error("the time-out of need {need}, counted from 0, is 0; give it at least a nanosecond")]
    NoTime { need: u32 },
}
