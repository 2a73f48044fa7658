//! What reaches the decider, and how it answers once the state that the answer rests on is durable.

use std::collections::BTreeMap;

use antiphon_core::id::{CoordinationId, StreamName};
use antiphon_core::time::Now;
use antiphon_core::world::{Command, Origin, Reply, World};
use tokio::sync::oneshot;

use super::error::EngineError;
use super::feed::Feed;
use super::status::Ended;
use crate::ledger::Cursor;

/// Answers one caller, or tells it why there is no answer.
pub(crate) type Release = Box<dyn FnOnce(Result<(), EngineError>) + Send>;

/// Looks at the world and prepares the answer.
pub(crate) type Look = Box<dyn FnOnce(&World, &Now) -> Release + Send>;

/// Something asked of the decider.
pub(crate) enum Request {
    Command {
        command: Command,
        origin: Origin,
        minted: bool,
        /// Values of secrets that come with a start, by name.
        secrets: BTreeMap<String, String>,
        reply: oneshot::Sender<Result<Reply, EngineError>>,
    },
    /// A read of the live state.
    Look(Look),
    /// A caller waits for an end; `None` if the coordination is not live.
    Wait {
        coordination: CoordinationId,
        reply: oneshot::Sender<Result<Option<Ended>, EngineError>>,
    },
    /// A caller follows a stream live.
    Follow { stream: StreamName, reply: oneshot::Sender<Feed> },
    /// A named reader is done with what it was given.
    Acknowledge { cursor: Cursor, reply: oneshot::Sender<Result<(), EngineError>> },
    /// Whether commands are taken in; answered at once, as it rests on no state.
    Health { reply: oneshot::Sender<Result<(), EngineError>> },
    /// Stop in good order.
    Close { reply: oneshot::Sender<Result<(), EngineError>> },
}
