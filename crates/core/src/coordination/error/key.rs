//! Why keys cannot be changed.

use std::time::Duration;

use super::state::StateError;
use crate::coordination::key::Expected;
use crate::id::{KeyName, SessionId, Version, WorkId};

/// Why keys cannot be changed. Nothing has changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields' names say it")]
pub enum KeyError {
    /// The coordination does not take it now.
    #[error(transparent)]
    State(#[from] StateError),
    /// A key is not as the change expects it to be.
    #[error("key {key} {}, {}; read it again", actually(*actual), expectation(*expected))]
    Stale { key: KeyName, expected: Expected, actual: Option<Version> },
    /// A value is larger than keys have room for.
    #[error("the value of key {key} takes {actual} bytes; at most {max} are allowed")]
    TooLarge { key: KeyName, actual: usize, max: usize },
    /// One command changes more keys than one event can hold.
    #[error("{actual} keys are too many for one command; at most {max} can be changed at once")]
    TooManyChanges { actual: usize, max: usize },
    /// The changes of one command take more bytes than one event can hold.
    #[error(
        "the changes take {actual} bytes together; at most {max} fit one command: change fewer keys \
         at once"
    )]
    TooManyBytes { actual: usize, max: usize },
    /// There are as many keys as a coordination may have.
    #[error("the run would have more than {max} keys; delete some that are not needed")]
    TooManyKeys { max: usize },
    /// One command changes a key twice.
    #[error("key {key} is changed twice in one command; say once what it is to be")]
    Twice { key: KeyName },
    /// The prefix of a key says what its value is, and this is something else.
    #[error("the value of key {key} must be {must_be}")]
    NotOfItsKind { key: KeyName, must_be: &'static str },
    /// A session writes below a prefix that is not its own.
    #[error("sessions may not write key {key}: what is below `{prefix}` is set for them")]
    Foreign { key: KeyName, prefix: &'static str },
    /// A session scores a gate that its item is not named for.
    #[error(
        "this session may not score gate {gate}; only sessions of items that the plan names under \
         `gates`, as `{gate}: {{ by: [ITEM] }}`, and callers outside of sessions may"
    )]
    NotScorer { gate: String },
    /// A session writes a key that all share and that its item was not lent.
    #[error(
        "item {work} was not lent key {key} of those that all share; only what its plan names under \
         `shared` is"
    )]
    NotLent { key: KeyName, work: WorkId },
    /// A session writes faster than it may.
    #[error(
        "session {session} writes too often: {per_second} times a second, {burst} at once; write this \
         again in {} ms", retry_after.as_millis().max(1)
    )]
    TooFast { session: SessionId, per_second: u64, burst: u64, retry_after: Duration },
}

fn actually(actual: Option<Version>) -> String {
    actual.map_or("is not there".to_owned(), |version| format!("was set at version {version}"))
}

fn expectation(expected: Expected) -> String {
    match expected {
        Expected::Anything => "whatever it is".to_owned(),
        Expected::Nothing => "and was expected not to be there".to_owned(),
        Expected::At(version) => format!("and was expected to be as of version {version}"),
    }
}
