//! Why a signal cannot be sent.

use std::time::Duration;

use super::state::StateError;
use crate::id::{AgentId, SessionId};

/// Why a signal cannot be sent. Nothing has changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields' names say it")]
pub enum SignalError {
    /// The coordination does not take it now.
    #[error(transparent)]
    State(#[from] StateError),
    /// A name is longer than signals have room for.
    #[error(
        "{whose} {name} is {actual} bytes long; signals take at most {max}, give a shorter one"
    )]
    NameTooLong { whose: &'static str, name: AgentId, actual: usize, max: usize },
    /// It goes to more agents than one signal can name.
    #[error("the signal names {actual} agents; at most {max} can be named, none means everybody")]
    TooManyAddressees { actual: usize, max: usize },
    /// Its data is larger than signals have room for.
    #[error(
        "the data takes {actual} bytes; signals take at most {max}: leave the rest in a file or key \
         and send its name"
    )]
    DataTooLarge { actual: usize, max: usize },
    /// A number of its deduplication is out of range.
    #[error("the {field} is {actual}; it must be between 1 and {max}")]
    Dedup { field: &'static str, actual: u64, max: u64 },
    /// A session sends under a name that is not its own.
    #[error("session {session} speaks as {agent}, not as {claimed}; leave the sender out")]
    Forged { session: SessionId, agent: AgentId, claimed: AgentId },
    /// A session sends faster than it may.
    #[error(
        "session {session} sends too many signals: {per_second} a second are let through, {burst} at \
         once; send this one again in {} ms", retry_after.as_millis().max(1)
    )]
    TooFast { session: SessionId, per_second: u64, burst: u64, retry_after: Duration },
}
