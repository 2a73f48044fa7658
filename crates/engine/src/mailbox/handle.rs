//! A cheap way to reach the decider, shared by the engine's methods and the sessions.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use antiphon_core::coordination::{
    CoordinationConfig, Effect, MAX_REMEMBERED_COMMANDS, TerminationError, WorkSpec,
};
use antiphon_core::digest::Digest;
use antiphon_core::envelope::{Blob, Recorded};
use antiphon_core::event::{AggregateEvent as _, CoordinationEvent};
use antiphon_core::id::{
    Actor, CommandId, CoordinationId, Fence, SessionId, StreamName, Version, WorkId,
};
use antiphon_core::time::Now;
use antiphon_core::world::{
    Ask, Asker, Done, EraseRequest, Rejection, Started, World, Written, commands,
};
use tokio::sync::{mpsc, oneshot};

use super::erased;
use super::error::{AskError, EraseError, QueryError, SubmitError, Unavailable};
use super::on_end::OnEnd;
use super::request::Request;
use super::status::{Ended, Status, end_of, head_of, status_of};
use crate::feed::Feed;
use crate::identity::{Identity, identify};
use crate::incidents::{Incident, Incidents};
use crate::ledger::{Cursor, PAGE, ReadError, Store, backwards};
use crate::plan::PlanSpec;
use crate::secrets::Secrets;
use crate::shortages::Shortages;
use crate::signal_schemas::ReadySchemas;
use crate::stats::Stats;

/// Reaches the decider and reads the ledger.
#[derive(Clone)]
pub(crate) struct Handle {
    mailbox: mpsc::Sender<Request>,
    store: Arc<dyn Store>,
    incidents: Arc<Incidents>,
    shortages: Arc<Shortages>,
    secrets: Arc<Secrets>,
    schemas: Arc<ReadySchemas>,
    stats: Stats,
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}

impl Handle {
    pub(crate) fn new(
        mailbox: mpsc::Sender<Request>,
        store: Arc<dyn Store>,
        incidents: Arc<Incidents>,
        shortages: Shortages,
        secrets: Arc<Secrets>,
    ) -> Self {
        let (shortages, stats) = (Arc::new(shortages), Stats::default());
        let schemas = Arc::default();
        Self { mailbox, store, incidents, shortages, secrets, schemas, stats }
    }

    /// What sessions wait for, as their machine has no room.
    pub(crate) fn shortages(&self) -> &Shortages {
        &self.shortages
    }

    /// The schemas that signals must fit.
    pub(crate) fn schemas(&self) -> &ReadySchemas {
        &self.schemas
    }

    /// Values of secrets, which nothing that is recorded may hold.
    pub(crate) fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// What is measured.
    pub(crate) fn stats(&self) -> &Stats {
        &self.stats
    }

    pub(crate) async fn send(&self, request: Request) -> Result<(), Unavailable> {
        self.mailbox.send(request).await.map_err(|_| Unavailable::Stopped)
    }

    /// The same if there is room now: what is lost otherwise must do no harm.
    pub(crate) fn mention(&self, request: Request) {
        let _lost = self.mailbox.try_send(request);
    }

    /// Waits until the decider is gone.
    pub(crate) async fn stopped(&self) {
        self.mailbox.closed().await;
    }

    pub(crate) fn has_room(&self) -> bool {
        self.mailbox.capacity() > 0
    }

    /// Has a command carried out, and waits for what it came to.
    pub(crate) async fn ask<C>(&self, command: C, asker: Asker) -> Result<C::Reply, AskError>
    where
        C: Ask<Reply: Send> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let carry = Request::Command(Box::new(move |world, now| {
            let result = match world {
                Ok(world) => world.handle(command, asker, now).map_err(AskError::from),
                Err(unavailable) => Err(unavailable.into()),
            };
            // A caller that no longer waits is no error.
            Box::new(move |durable| {
                drop(reply.send(durable.map_err(AskError::from).and(result)));
            })
        }));
        self.send(carry).await?;
        answer.await.map_err(|_| Unavailable::Stopped)?
    }

    /// Gives a run a command, and the version that it is recorded at.
    pub(crate) async fn command<C>(
        &self,
        run: &CoordinationId,
        command: C,
        asker: Asker,
    ) -> Result<Version, AskError>
    where
        C: Ask<Reply = Done> + Send + 'static,
    {
        let (id, effects) = (asker.id.clone(), command.effects());
        match self.ask(command, asker).await {
            Err(AskError::Rejected(rejection)) => {
                self.accepted_before(run, id, effects, rejection).await
            }
            answer => answer.map(|done| done.version),
        }
    }

    /// Where a refused command was recorded before: what is asked of a run that has ended may be
    /// the repeat of a command that it has accepted.
    pub(crate) async fn accepted_before<E: From<Rejection> + From<Unavailable>>(
        &self,
        run: &CoordinationId,
        id: Option<CommandId>,
        effects: Vec<Effect>,
        rejection: Rejection,
    ) -> Result<Version, E> {
        let Some(id) = id.filter(|_| rejection.is_not_running()) else {
            return Err(rejection.into());
        };
        let (run, command) = (run.clone(), id.clone());
        match self.read(move |store| accepted(store, run, &id)).await? {
            None => Err(rejection.into()),
            Some((version, None)) => Ok(version),
            Some((version, Some(effect))) if effects.contains(&effect) => Ok(version),
            Some(_) => Err(Rejection::OtherCommand { command }.into()),
        }
    }

    /// Starts a run, or finds it. Where its id is taken, what is submitted is compared with what was
    /// recorded: it may be the same, said in the form of an earlier version.
    pub(crate) async fn start(
        &self,
        id: CoordinationId,
        config: CoordinationConfig,
        blobs: Vec<Blob>,
        asker: Asker,
        minted: bool,
        secrets: BTreeMap<String, String>,
    ) -> Result<Started, SubmitError> {
        let submitted = (!minted).then(|| (config.clone(), blobs.clone()));
        let start = commands::Start { id: id.clone(), config: Box::new(config), blobs };
        let started = self.start_once(start, asker.clone(), minted, secrets.clone()).await;
        let (Err(SubmitError::Rejected(Rejection::Conflict { .. })), Some((config, blobs))) =
            (&started, submitted)
        else {
            return started;
        };
        let run = id.clone();
        match self.read(move |store| identify(store, &run, config, blobs)).await? {
            Identity::Same(config, blobs) => {
                let start = commands::Start { id, config, blobs };
                self.start_once(start, asker, minted, secrets).await
            }
            Identity::Different { differences, ended } => {
                Err(SubmitError::Different { run: id, differences, ended })
            }
        }
    }

    async fn start_once(
        &self,
        start: commands::Start,
        asker: Asker,
        minted: bool,
        secrets: BTreeMap<String, String>,
    ) -> Result<Started, SubmitError> {
        self.require_inputs(start.config.work(), &start.blobs).await?;
        self.require_origin(&start.config, &start.blobs).await?;
        self.require_on_end(&start.config, &start.blobs).await?;
        self.require_schemas(&start.config, &start.blobs).await?;
        self.require_forerunner(&start.config).await?;
        let (reply, answer) = oneshot::channel();
        self.send(Request::Start { start, asker, minted, secrets, reply }).await?;
        answer.await.map_err(|_| Unavailable::Stopped)?
    }

    pub(crate) async fn erase(
        &self,
        request: EraseRequest,
        asker: Asker,
    ) -> Result<(), EraseError> {
        let (reply, answer) = oneshot::channel();
        self.send(Request::Erase { request, asker, spares: false, reply }).await?;
        answer.await.map_err(|_| Unavailable::Stopped)??;
        self.erased_is_gone().await
    }

    /// Waits until nothing that was erased is in any file.
    pub(super) async fn erased_is_gone(&self) -> Result<(), EraseError> {
        erased::is_gone(&self.store).await
    }

    pub(crate) async fn add_work_from(
        &self,
        session: &SessionId,
        fence: Fence,
        items: Vec<WorkSpec>,
        inputs: Vec<Blob>,
    ) -> Result<(), SubmitError> {
        let actor = Actor::new(format!("session:{session}")).map_err(SubmitError::Session)?;
        let asker = Asker { actor, id: None };
        match self.add_session_work(session, Some(fence), items, inputs, asker).await? {
            Written::Done(_) => Ok(()),
            Written::Refused => {
                let error = TerminationError::SessionNotBound { session_id: session.to_string() };
                Err(SubmitError::Rejected(error.into()))
            }
        }
    }

    /// Answers the decider's question for the configuration that a blob holds.
    pub(crate) async fn expand(&self, coordination: CoordinationId, work: WorkId, input: Digest) {
        let subject = format!("{work} of {coordination}");
        let config = match self.plan_of(&coordination, &work, input).await {
            Ok(Some(bytes)) => nested_config(&bytes)
                .map(Box::new)
                .map_err(|error| format!("blob {input}: {error}")),
            Ok(None) => Err(format!("blob {input}, which holds its plan, is gone")),
            Err(error) => Err(error.to_string()),
        };
        let expanded = commands::Expanded { coordination, work, config };
        if let Err(error) = self.ask(expanded, Asker::engine()).await {
            self.incidents.note(Incident::LateExpansion, &subject, &error);
        }
    }

    /// The blob that holds a nested plan. What the machine is short of is waited for: it is nothing
    /// that the item could fail for.
    async fn plan_of(
        &self,
        run: &CoordinationId,
        item: &WorkId,
        input: Digest,
    ) -> Result<Option<Vec<u8>>, Unavailable> {
        let mut wait = self.shortages.wait();
        loop {
            let error = match self.blob(input).await {
                Ok(read) => return Ok(read),
                Err(error) => error,
            };
            let Some(what) = error.shortage() else { return Err(error) };
            if !wait.has_begun() {
                tracing::warn!(%run, %item, what, "a nested plan waits for room on this machine");
            }
            if wait.pause(&what, self.stopped()).await.is_err() {
                return Err(error);
            }
        }
    }

    /// Reads the live world; the answer comes once what it rests on is durable.
    pub(crate) async fn query<T: Send + 'static>(
        &self,
        look: impl FnOnce(&World, &Now) -> T + Send + 'static,
    ) -> Result<T, Unavailable> {
        let (reply, answer) = oneshot::channel();
        let look = Request::Look(Box::new(move |world, now| {
            let seen = look(world, now);
            // A caller that no longer waits is no error.
            Box::new(move |durable| drop(reply.send(durable.map(|()| seen))))
        }));
        self.send(look).await?;
        answer.await.map_err(|_| Unavailable::Stopped)?
    }

    /// Reads the store off the runtime's threads: a read may wait for a disk, and a thread that waits
    /// carries out nothing else.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn Store) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, Unavailable> {
        if !self.store.waits() {
            return Ok(read(self.store.as_ref())?);
        }
        let store = Arc::clone(&self.store);
        let result = tokio::task::spawn_blocking(move || read(store.as_ref())).await;
        Ok(result.map_err(|_| Unavailable::Stopped)??)
    }

    pub(crate) async fn blob(&self, digest: Digest) -> Result<Option<Vec<u8>>, Unavailable> {
        self.read(move |store| store.blob(&digest)).await
    }

    pub(crate) async fn status(&self, id: &CoordinationId) -> Result<Status, QueryError> {
        let (store, id) = (Arc::clone(&self.store), id.clone());
        tokio::task::spawn_blocking(move || status_of(store.as_ref(), &id))
            .await
            .map_err(|_| Unavailable::Stopped)?
    }

    pub(crate) async fn wait(&self, id: &CoordinationId) -> Result<Ended, QueryError> {
        let (reply, answer) = oneshot::channel();
        self.send(Request::Wait { coordination: id.clone(), reply }).await?;
        if let Some(ended) = answer.await.map_err(|_| Unavailable::Stopped)?? {
            return Ok(ended);
        }
        // Not live: it has ended before, and its last event says how.
        let of = id.clone();
        let ended = self.read(move |store| Ok(end_of(store, &of))).await??;
        ended.ok_or_else(|| QueryError::UnknownRun { run: id.clone() })
    }

    /// Refuses what is asked of a run that was never submitted.
    pub(crate) async fn require(&self, id: &CoordinationId) -> Result<(), QueryError> {
        let run = id.clone();
        match self.read(move |store| head_of(store, &run)).await? {
            Some(_) => Ok(()),
            None => Err(QueryError::UnknownRun { run: id.clone() }),
        }
    }

    /// What happens in a stream from now on.
    pub(crate) async fn feed(&self, stream: StreamName) -> Result<Feed, Unavailable> {
        let (reply, answer) = oneshot::channel();
        self.send(Request::Follow { stream, reply }).await?;
        answer.await.map_err(|_| Unavailable::Stopped)
    }

    /// Moves a cursor; it is durable when this returns.
    pub(crate) async fn acknowledge(&self, cursor: Cursor) -> Result<(), Unavailable> {
        let (reply, answer) = oneshot::channel();
        self.send(Request::Acknowledge { cursor, reply }).await?;
        answer.await.map_err(|_| Unavailable::Stopped)?
    }

    /// The runs whose commands for their ends are carried out now.
    pub(crate) async fn on_ends(&self) -> Result<Vec<CoordinationId>, Unavailable> {
        let (reply, answer) = oneshot::channel();
        self.send(Request::OnEnds { reply }).await?;
        answer.await.map_err(|_| Unavailable::Stopped)
    }

    /// What is known here of the command for the end of a run, once it has ended.
    pub(crate) async fn on_end(&self, run: &CoordinationId) -> Result<OnEnd, Unavailable> {
        let (reply, answer) = oneshot::channel();
        self.send(Request::OnEnd { run: run.clone(), reply }).await?;
        answer.await.map_err(|_| Unavailable::Stopped)
    }

    /// The errors dealt with so far.
    pub(crate) fn incidents(&self) -> BTreeMap<Incident, u64> {
        self.incidents.counts()
    }

    /// The events of a stream after a version, one page.
    pub(crate) async fn page(
        &self,
        stream: StreamName,
        after: Version,
    ) -> Result<Vec<Recorded>, Unavailable> {
        self.read(move |store| store.read_stream(&stream, after, PAGE)).await
    }
}

/// The version that a coordination first recorded an accepted command at, among the last ones that
/// it remembers, and what its event tells of it, if that was not erased: read backwards, and not on
/// the decider's path.
fn accepted(
    store: &dyn Store,
    coordination: CoordinationId,
    id: &CommandId,
) -> Result<Option<(Version, Option<Effect>)>, ReadError> {
    let mut seen = 0;
    let found = backwards(store, &StreamName::Coordination(coordination), |recorded| {
        let Some(cause) = &recorded.cause else { return ControlFlow::Continue(()) };
        seen += 1;
        match cause == id {
            true => {
                let effect = CoordinationEvent::of(recorded).ok().as_ref().map(Effect::of);
                ControlFlow::Break(Some((recorded.version, effect)))
            }
            false if seen == MAX_REMEMBERED_COMMANDS => ControlFlow::Break(None),
            false => ControlFlow::Continue(()),
        }
    })?;
    Ok(found.flatten())
}

/// The configuration that a nested plan was recorded as.
pub(super) fn nested_config(bytes: &[u8]) -> Result<CoordinationConfig, String> {
    let plan = PlanSpec::from_bytes(bytes).map_err(|error| error.to_string())?;
    plan.config().map_err(|error| error.to_string())
}
