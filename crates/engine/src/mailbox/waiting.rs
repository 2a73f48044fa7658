//! What a caller that waits for something asks of the decider, and how that answers.

use std::time::Duration;

use antiphon_core::coordination::{Met, Need, NeedError};
use antiphon_core::id::{AgentId, CoordinationId, KeyName, SessionId, WorkId};
use tokio::sync::oneshot;

use super::error::{QueryError, Unavailable};

/// A caller waits until a run has all that it names.
pub(crate) struct WaitRequest {
    pub(crate) run: CoordinationId,
    pub(crate) needs: Vec<Need>,
    /// What of it the record has already, if that was read.
    pub(crate) recorded: Option<Vec<Option<Met>>>,
    pub(crate) timeout: Option<Duration>,
    /// The session that waits, if it is one.
    pub(crate) asking: Option<SessionId>,
    pub(crate) reply: WaitReply,
}

impl WaitRequest {
    pub(crate) fn new(run: CoordinationId, needs: Vec<Need>, reply: WaitReply) -> Self {
        Self { run, needs, recorded: None, timeout: None, asking: None, reply }
    }

    pub(crate) fn at_most(self, timeout: Option<Duration>) -> Self {
        Self { timeout, ..self }
    }

    pub(crate) fn asked_by(self, asking: Option<SessionId>) -> Self {
        Self { asking, ..self }
    }

    pub(crate) fn knowing(self, recorded: Option<Vec<Option<Met>>>) -> Self {
        Self { recorded, ..self }
    }
}

pub(crate) type WaitReply = oneshot::Sender<Result<WaitAnswer, WaitError>>;

/// How a wait ends, as far as the decider knows.
pub(crate) enum WaitAnswer {
    /// By what each of its needs is met.
    Met(Vec<Met>),
    TimedOut {
        unmet: Vec<Need>,
    },
    /// The run has ended without them.
    Ended {
        unmet: Vec<Need>,
    },
    /// The run is not live: what it had is on the record.
    NotLive,
    /// What is waited for may have come and left memory: the record is to be read first.
    LookBack,
}

/// Why nothing is waited for. Nothing has changed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields' names say it")]
pub enum WaitError {
    /// A wait is for something.
    #[error("a wait names nothing that it is for; name at least one need")]
    Nothing,
    /// It names too much.
    #[error("a wait names {actual} needs; at most {max} are allowed")]
    TooManyNeeds { actual: usize, max: usize },
    /// Something that it names cannot be waited for.
    #[error(transparent)]
    Need(#[from] NeedError),
    /// A caller waits in one run.
    #[error(
        "a caller waits for keys of one run; wait for {key} in the run `shared` where that of all runs \
         is meant"
    )]
    OfShared { key: KeyName },
    /// No more callers may wait in this run.
    #[error(
        "{max} callers wait in run {run} already, and no more may; wait for several things at once, \
         or let some of them go"
    )]
    TooManyWaits { run: CoordinationId, max: usize },
    /// No item of this id was ever added, and none will be.
    #[error("run {run} has no item {item}; `antiphon show {run}` names those that it has")]
    NoSuchItem { run: CoordinationId, item: WorkId },
    /// Those that wait for each other would wait for ever.
    #[error(
        "this wait closes a cycle of agents that wait for each other: {}; let one of them go on",
        joined(agents)
    )]
    Cycle {
        /// The agents, from the one that asks back to it.
        agents: Vec<AgentId>,
    },
    /// The session does not run any more.
    #[error("session {session} is not running any more; nothing is waited for in its name")]
    Stale { session: SessionId },
    /// The session was asked to stop while it waited.
    #[error("session {session} was asked to stop, and waits for nothing more")]
    Stopping { session: SessionId },
    /// Nothing is told of the run.
    #[error(transparent)]
    Query(#[from] QueryError),
}

fn joined(agents: &[AgentId]) -> String {
    agents.iter().map(AgentId::as_str).collect::<Vec<_>>().join(" -> ")
}

impl From<Unavailable> for WaitError {
    fn from(unavailable: Unavailable) -> Self {
        Self::Query(unavailable.into())
    }
}
