//! A cheap way to reach the decider, shared by the engine's methods and the sessions.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use antiphon_core::coordination::{
    ControllerError, CoordinationConfig, MAX_REMEMBERED_COMMANDS, WorkSpec,
};
use antiphon_core::digest::Digest;
use antiphon_core::envelope::{Blob, Recorded};
use antiphon_core::event::{Event, SessionUnbound};
use antiphon_core::id::{
    Actor, CommandId, CoordinationId, Fence, SessionId, StreamName, Version, WorkId,
};
use antiphon_core::time::Now;
use antiphon_core::world::{Adder, Command, Origin, Reply, World};
use tokio::sync::{mpsc, oneshot};

use super::caught::{Caught, CaughtError};
use super::decider::engine_origin;
use super::feed::Feed;
use super::leftovers::Leftovers;
use super::request::Request;
use super::{Ended, EngineError, Output, Status, Subscription, operator, status_of};
use crate::ledger::{Cursor, HeadQuery, ReadError, Store};
use crate::plan::PlanSpec;

/// Events read from the store at a time.
pub(super) const PAGE: usize = 1_000;

/// Reaches the decider and reads the ledger.
#[derive(Clone)]
pub(crate) struct Handle {
    mailbox: mpsc::Sender<Request>,
    store: Arc<dyn Store>,
    caught: Arc<Caught>,
    leftovers: Arc<Leftovers>,
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}

impl Handle {
    pub(super) fn new(
        mailbox: mpsc::Sender<Request>,
        store: Arc<dyn Store>,
        caught: Arc<Caught>,
    ) -> Self {
        Self { mailbox, store, caught, leftovers: Arc::default() }
    }

    pub(super) async fn send(&self, request: Request) -> Result<(), EngineError> {
        self.mailbox.send(request).await.map_err(|_| EngineError::Stopped)
    }

    /// Waits until the decider is gone.
    pub(super) async fn stopped(&self) {
        self.mailbox.closed().await;
    }

    pub(super) fn has_room(&self) -> bool {
        self.mailbox.capacity() > 0
    }

    /// What is known to be left of sessions that hold their items.
    pub(super) fn leftovers(&self) -> &Leftovers {
        &self.leftovers
    }

    pub(super) fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    pub(super) async fn ask(
        &self,
        command: Command,
        origin: Origin,
        minted: bool,
    ) -> Result<Reply, EngineError> {
        let repeated = origin.id.clone().zip(command.coordination().cloned());
        let answer = self.send_command(command, origin, minted, BTreeMap::new()).await;
        // What is asked of a coordination that has ended may be the repeat of a command that it has
        // accepted.
        if let (Some((id, coordination)), Err(EngineError::Rejected(rejection))) =
            (repeated, &answer)
            && rejection.is_not_running()
            && let Some(version) =
                self.read(move |store| accepted(store, coordination, &id)).await?
        {
            return Ok(Reply::Done { version });
        }
        answer
    }

    async fn send_command(
        &self,
        command: Command,
        origin: Origin,
        minted: bool,
        secrets: BTreeMap<String, String>,
    ) -> Result<Reply, EngineError> {
        let (reply, answer) = oneshot::channel();
        self.send(Request::Command { command, origin, minted, secrets, reply }).await?;
        answer.await.map_err(|_| EngineError::Stopped)?
    }

    pub(super) async fn command(
        &self,
        command: Command,
        id: Option<CommandId>,
    ) -> Result<Reply, EngineError> {
        self.ask(command, operator(id), false).await
    }

    pub(super) async fn start(
        &self,
        id: CoordinationId,
        config: CoordinationConfig,
        blobs: Vec<Blob>,
        origin: Origin,
        minted: bool,
        secrets: BTreeMap<String, String>,
    ) -> Result<Reply, EngineError> {
        let command = Command::Start { id, config: Box::new(config), blobs };
        self.send_command(command, origin, minted, secrets).await
    }

    pub(crate) async fn add_work_from(
        &self,
        session: &SessionId,
        fence: Fence,
        items: Vec<WorkSpec>,
    ) -> Result<(), EngineError> {
        let by = Adder::Session(session.number, fence);
        let actor = Actor::new(format!("session:{session}"))?;
        match self
            .add_work(session.coordination.clone(), items, by, Origin { actor, id: None })
            .await?
        {
            Reply::WriteRefused => {
                Err(ControllerError::SessionNotBound { session_id: session.to_string() }.into())
            }
            Reply::Done { .. } | Reply::Existing { .. } => Ok(()),
        }
    }

    /// Answers the decider's question for the configuration that a blob holds.
    pub(super) async fn expand(&self, coordination: CoordinationId, work: WorkId, input: Digest) {
        let config = match self.blob(input).await {
            Ok(Some(bytes)) => nested_config(&bytes)
                .map(Box::new)
                .map_err(|error| format!("blob {input}: {error}")),
            Ok(None) => Err(format!("blob {input}, which holds its plan, is gone")),
            Err(error) => Err(error.to_string()),
        };
        let subject = format!("{work} of {coordination}");
        if let Err(error) =
            self.ask(Command::Expanded { coordination, work, config }, engine_origin(), false).await
        {
            self.caught.note(CaughtError::LateExpansion, &subject, &error);
        }
    }

    /// Reads the live world; the answer comes once what it rests on is durable.
    pub(super) async fn query<T: Send + 'static>(
        &self,
        look: impl FnOnce(&World, &Now) -> T + Send + 'static,
    ) -> Result<T, EngineError> {
        let (reply, answer) = oneshot::channel();
        let look = Request::Look(Box::new(move |world, now| {
            let seen = look(world, now);
            // A caller that no longer waits is no error.
            Box::new(move |durable| drop(reply.send(durable.map(|()| seen))))
        }));
        self.send(look).await?;
        answer.await.map_err(|_| EngineError::Stopped)?
    }

    /// Reads the store off the runtime's threads.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn Store) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let store = Arc::clone(&self.store);
        let result = tokio::task::spawn_blocking(move || read(store.as_ref())).await;
        Ok(result.map_err(|_| EngineError::Stopped)??)
    }

    pub(crate) async fn blob(&self, digest: Digest) -> Result<Option<Vec<u8>>, EngineError> {
        self.read(move |store| store.blob(&digest)).await
    }

    pub(super) async fn status(&self, id: &CoordinationId) -> Result<Status, EngineError> {
        let (store, id) = (Arc::clone(&self.store), id.clone());
        tokio::task::spawn_blocking(move || status_of(store.as_ref(), &id))
            .await
            .map_err(|_| EngineError::Stopped)?
    }

    pub(super) async fn wait(&self, id: &CoordinationId) -> Result<Ended, EngineError> {
        let (reply, answer) = oneshot::channel();
        self.send(Request::Wait { coordination: id.clone(), reply }).await?;
        if let Some(ended) = answer.await.map_err(|_| EngineError::Stopped)? {
            return Ok(ended);
        }
        // Not live: it has ended before, and its head row says how.
        let status = self.status(id).await?;
        let unknown = || EngineError::UnknownCoordination { coordination: id.clone() };
        let receipt = status.summary["receipt"]
            .as_str()
            .and_then(|text| text.parse().ok())
            .ok_or_else(unknown)?;
        let verdict = serde_json::from_value(serde_json::Value::String(status.state))
            .map_err(|_| unknown())?;
        Ok(Ended { coordination: id.clone(), verdict, receipt })
    }

    pub(super) async fn follow(
        &self,
        id: &CoordinationId,
        after: Version,
    ) -> Result<Subscription, EngineError> {
        self.status(id).await?;
        Ok(Subscription::new(self.clone(), id.clone(), after))
    }

    /// What happens in a stream from now on.
    pub(super) async fn feed(&self, id: &CoordinationId) -> Result<Feed, EngineError> {
        let (reply, answer) = oneshot::channel();
        self.send(Request::Follow { coordination: id.clone(), reply }).await?;
        answer.await.map_err(|_| EngineError::Stopped)
    }

    /// Moves a cursor; it is durable when this returns.
    pub(super) async fn acknowledge(&self, cursor: Cursor) -> Result<(), EngineError> {
        let (reply, answer) = oneshot::channel();
        self.send(Request::Acknowledge { cursor, reply }).await?;
        answer.await.map_err(|_| EngineError::Stopped)?
    }

    /// The errors caught so far.
    pub(super) fn caught(&self) -> BTreeMap<CaughtError, u64> {
        self.caught.counts()
    }

    /// The events of a coordination after a version, one page.
    pub(super) async fn page(
        &self,
        id: &CoordinationId,
        after: Version,
    ) -> Result<Vec<Recorded>, EngineError> {
        let stream = StreamName::Coordination(id.clone());
        self.read(move |store| store.read_stream(&stream, after, PAGE)).await
    }

    /// What an item's last session put out, found in the stream.
    pub(super) async fn output(
        &self,
        id: &CoordinationId,
        work: &str,
    ) -> Result<Option<Output>, EngineError> {
        self.status(id).await?;
        let (stream, work) = (StreamName::Coordination(id.clone()), work.to_owned());
        let found = self.read(move |store| last_session(store, &stream, &work)).await?;
        let Some(unbound) = found else { return Ok(None) };
        let bytes = match unbound.output {
            Some(digest) => self.blob(digest).await?,
            None => None,
        };
        Ok(Some(Output {
            bytes,
            text: unbound.text,
            report: None,
            scores: unbound.scores,
            tree: unbound.tree,
            printed: Vec::new(),
        }))
    }
}

/// The version that a coordination first recorded an accepted command at, among the last ones that
/// it remembers: read backwards, and not on the decider's path.
fn accepted(
    store: &dyn Store,
    coordination: CoordinationId,
    id: &CommandId,
) -> Result<Option<Version>, ReadError> {
    let mut seen = 0;
    let found = backwards(store, &StreamName::Coordination(coordination), |recorded| {
        let Some(cause) = &recorded.cause else { return ControlFlow::Continue(()) };
        seen += 1;
        match cause == id {
            true => ControlFlow::Break(Some(recorded.version)),
            false if seen == MAX_REMEMBERED_COMMANDS => ControlFlow::Break(None),
            false => ControlFlow::Continue(()),
        }
    })?;
    Ok(found.flatten())
}

/// How the last session of an item ended.
fn last_session(
    store: &dyn Store,
    stream: &StreamName,
    work: &str,
) -> Result<Option<SessionUnbound>, ReadError> {
    backwards(store, stream, |recorded| {
        let payload =
            recorded.payload.bytes().filter(|_| recorded.kind == "coordination.session_unbound");
        match payload.map(|payload| Event::decode(&recorded.kind, recorded.schema, payload)) {
            Some(Ok(Event::SessionUnbound(unbound))) if unbound.work == *work => {
                ControlFlow::Break(unbound)
            }
            _ => ControlFlow::Continue(()),
        }
    })
}

/// Looks at the events of a stream, the last one first, until something is found.
fn backwards<T>(
    store: &dyn Store,
    stream: &StreamName,
    mut look: impl FnMut(&Recorded) -> ControlFlow<T>,
) -> Result<Option<T>, ReadError> {
    let head = store.heads(&HeadQuery::Stream(stream.clone()))?.into_iter().next();
    let mut before = head.map_or(Version(0), |head| head.tip.version).next();
    while before > Version(1) {
        let after = Version((before.0 - 1).saturating_sub(PAGE as u64));
        let page = store.read_stream(stream, after, PAGE)?;
        for recorded in page.iter().rev().filter(|recorded| recorded.version < before) {
            if let ControlFlow::Break(found) = look(recorded) {
                return Ok(Some(found));
            }
        }
        before = after.next();
    }
    Ok(None)
}

/// The configuration that a nested plan was recorded as.
fn nested_config(bytes: &[u8]) -> Result<CoordinationConfig, String> {
    let plan = PlanSpec::from_bytes(bytes).map_err(|error| error.to_string())?;
    plan.config().map_err(|error| error.to_string())
}
