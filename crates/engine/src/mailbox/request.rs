//! What reaches the decider, and how it answers once the state that the answer rests on is durable.

use std::collections::BTreeMap;
use std::sync::Weak;

use antiphon_core::id::{CoordinationId, StreamName};
use antiphon_core::time::Now;
use antiphon_core::world::{Asker, Done, EraseRequest, Started, World, commands};
use tokio::sync::oneshot;

use super::error::{AskError, EraseError, SubmitError, Unavailable};
use super::on_end::{AttemptsEnd, OnEnd};
use super::status::Ended;
use super::waiting::WaitRequest;
use crate::feed::Feed;
use crate::ledger::Cursor;

/// Answers one caller, or tells it why there is no answer.
pub(crate) type Release = Box<dyn FnOnce(Result<(), Unavailable>) + Send>;

/// Looks at the world and prepares the answer.
pub(crate) type Look = Box<dyn FnOnce(&World, &Now) -> Release + Send>;

/// Carries a command out, or is told why none is taken in, and prepares the answer: each command
/// has an answer of its own type, which the decider need not know.
pub(crate) type Carry = Box<dyn FnOnce(Result<&mut World, Unavailable>, &Now) -> Release + Send>;

/// Something asked of the decider.
pub(crate) enum Request {
    Start {
        start: commands::Start,
        asker: Asker,
        /// Whether the id was made for it, so that no other run can have it.
        minted: bool,
        /// Values of secrets that come with it, by name.
        secrets: BTreeMap<String, String>,
        reply: oneshot::Sender<Result<Started, SubmitError>>,
    },
    /// Send a signal from outside.
    SendSignal {
        send: commands::SendSignal,
        asker: Asker,
        reply: oneshot::Sender<Result<Done, AskError>>,
    },
    Erase {
        request: EraseRequest,
        asker: Asker,
        /// Whether blobs stay that were named since a prune began.
        spares: bool,
        reply: oneshot::Sender<Result<(), EraseError>>,
    },
    /// A prune begins, and goes on as long as its token is held; it looks at the ledger once this is
    /// answered.
    BeginPrune { prune: Weak<()>, reply: oneshot::Sender<Result<(), Unavailable>> },
    /// More values of secrets, by name, for a run that is there.
    HoldSecrets {
        run: CoordinationId,
        secrets: BTreeMap<String, String>,
        /// The names of all that it needs, as far as that was recorded.
        needed: Vec<String>,
        reply: oneshot::Sender<()>,
    },
    /// Any other command.
    Command(Carry),
    /// A read of the live state.
    Look(Look),
    /// A caller waits for an end; `None` if the coordination is not live.
    Wait {
        coordination: CoordinationId,
        reply: oneshot::Sender<Result<Option<Ended>, Unavailable>>,
    },
    /// A caller waits for something in a run.
    WaitFor(Box<WaitRequest>),
    /// A caller waits for something in a run no more.
    WaitGivenUp { run: CoordinationId },
    /// A caller follows a stream live.
    Follow { stream: StreamName, reply: oneshot::Sender<Feed> },
    /// A named reader is done with what it was given.
    Acknowledge { cursor: Cursor, reply: oneshot::Sender<Result<(), Unavailable>> },
    /// Whether commands are taken in; answered at once, as it rests on no state.
    Health { reply: oneshot::Sender<Result<(), Unavailable>> },
    /// A caller waits for the command for the end of a run.
    OnEnd { run: CoordinationId, reply: oneshot::Sender<OnEnd> },
    /// The runs whose commands for their ends are carried out now.
    OnEnds { reply: oneshot::Sender<Vec<CoordinationId>> },
    /// The command for the end of a run has ended, or could not be carried out.
    OnEndDone { run: CoordinationId, end: Result<AttemptsEnd, String> },
    /// Stop in good order.
    Close { reply: oneshot::Sender<Result<(), Unavailable>> },
}
