//! The engine: owns one ledger, decides in one task, writes in one thread, carries out sessions.

mod door;
mod output;
mod reader;
mod subscription;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use antiphon_core::coordination::{
    Blocked, Capability, CoordinationConfig, Raise, SessionSpawner, WorkSpec,
};
use antiphon_core::digest::Digest;
use antiphon_core::envelope::Blob;
use antiphon_core::event::StopKind;
use antiphon_core::id::{CommandId, CoordinationId, RunnerName, StreamName, Version};
use antiphon_core::world::{Adder, Command, EraseRequest, Reply};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::DropGuard;

pub use reader::Reader;
pub use subscription::Subscription;

use crate::decider::{self, Recovered};
use crate::incidents::CaughtError;
use crate::ledger::verify::{Scope, verify};
use crate::ledger::{Location, MarkFinding, Opened, Owner, Store};
use crate::mailbox::{Ended, EngineError, Handle, Request, StartError, Status, operator};
use crate::orphans::{self, Leftovers, Orphans};
use crate::process::{WardenSetup, Wardens, WardensError};
use crate::session::{
    Output, Processes, RunnerFn, Secrets, SessionContext, SessionResult, adapted, boxed,
};

/// How long a session that was asked to stop has before it is abandoned, unless the setup says
/// otherwise.
const DEFAULT_GRACE: Duration = Duration::from_secs(10);

/// Name of the socket in the state directory, by which sessions reach the engine where it listens.
const SOCKET: &str = "api.sock";

/// Events of a coordination after which a snapshot is worth its cost, unless the setup says
/// otherwise.
const SNAPSHOT_EVENTS: u64 = 10_000;

/// A ledger that was taken over, before anything runs: register functions, then [`Setup::start`].
pub struct Setup {
    store: Arc<dyn Store>,
    recovered: Recovered,
    functions: Vec<(RunnerName, Capability, RunnerFn)>,
    plans: Vec<(RunnerName, CoordinationConfig)>,
    /// The state directory, if the ledger has one.
    directory: Option<PathBuf>,
    processes: Option<Arc<Processes>>,
    grace: Duration,
    snapshot_every: u64,
}

impl std::fmt::Debug for Setup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Setup").field("functions", &self.functions.len()).finish_non_exhaustive()
    }
}

impl Setup {
    /// Registers a function under a name that work items give as their runner.
    ///
    /// It may be called at any time with any session of such an item, also again for an item that a
    /// crash took it from.
    ///
    /// # Panics
    /// If the name is not a valid identifier; names are constants of the program.
    pub fn register<F, Fut>(&mut self, name: &str, function: F)
    where
        F: Fn(SessionContext) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = SessionResult> + Send + 'static,
    {
        self.register_reporting(name, Capability::default(), function);
    }

    /// Registers a function that reports what it uses, and so is granted tokens and cost.
    ///
    /// # Panics
    /// As [`Setup::register`].
    pub fn register_reporting<F, Fut>(&mut self, name: &str, capability: Capability, function: F)
    where
        F: Fn(SessionContext) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = SessionResult> + Send + 'static,
    {
        let name = RunnerName::new(name).unwrap_or_else(|error| panic!("{error}"));
        self.functions.push((name, capability, boxed(function)));
    }

    /// Registers a blocking [`SessionSpawner`], as the kernel's contract has it. It reports tokens,
    /// and so is granted some.
    ///
    /// A session of it cannot be stopped, only abandoned: the trait has no call for that.
    ///
    /// # Panics
    /// As [`Setup::register`].
    pub fn register_spawner(&mut self, name: &str, spawner: impl SessionSpawner + 'static) {
        let name = RunnerName::new(name).unwrap_or_else(|error| panic!("{error}"));
        let capability = Capability { reports_tokens: true, ..Capability::default() };
        self.functions.push((name, capability, adapted(Arc::new(spawner))));
    }

    /// Registers a configuration that items with a plan as their runner are carried out by, as
    /// nested coordinations.
    ///
    /// # Panics
    /// As [`Setup::register`].
    pub fn register_plan(&mut self, name: &str, config: CoordinationConfig) {
        let name = RunnerName::new(name).unwrap_or_else(|error| panic!("{error}"));
        self.plans.push((name, config));
    }

    /// Lets items be carried out by processes, each session under a warden. Without this they stay
    /// ready, and `why` says so.
    ///
    /// # Errors
    /// [`WardensError`] if the ledger has no directory, this program cannot be its own warden and
    /// names no other, or the system has not what it takes.
    pub fn run_processes(&mut self, setup: WardenSetup) -> Result<(), WardensError> {
        let directory = self.directory.as_ref().ok_or(WardensError::NoDirectory)?;
        let wardens = Wardens::open(directory, setup)?;
        // Sessions run in directories of their own, so nothing that they are told may be relative
        // to this process's.
        let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
        let processes = Processes {
            wardens,
            secrets: Secrets::default(),
            scratch_root: absolute(std::env::temp_dir()),
            socket: absolute(directory.join(SOCKET)),
            charged: Arc::default(),
        };
        self.processes = Some(Arc::new(processes));
        Ok(())
    }

    /// Sets how long a session that was asked to stop has before it is abandoned.
    #[must_use]
    pub fn with_grace(self, grace: Duration) -> Self {
        Self { grace, ..self }
    }

    /// Sets after how many events of a coordination its state is saved, so that the next start
    /// replays only what follows.
    #[must_use]
    pub fn with_snapshot_every(self, events: u64) -> Self {
        Self { snapshot_every: events, ..self }
    }

    /// Starts the engine: takes up what an earlier one left, and goes on. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`StartError`] if time, timers or the writer thread cannot be had.
    pub async fn start(self) -> Result<Engine, StartError> {
        // Ending what an earlier engine left may take seconds.
        let swept = tokio::task::spawn_blocking(move || self.swept()).await;
        let (setup, orphans) = swept
            .map_err(|error| StartError::System { what: "a thread", source: error.into() })??;
        let Setup { store, recovered, functions, plans, processes, grace, snapshot_every, .. } =
            setup;
        let parts = decider::Parts {
            store,
            recovered,
            functions,
            plans,
            processes,
            grace,
            snapshot_every,
            orphans,
        };
        let (handle, guard, task, leftovers) = decider::spawn(parts)?;
        Ok(Engine { handle, task, leftovers, _guard: guard })
    }
}

impl Setup {
    /// Ends what an earlier engine left running, whether this one runs processes or not.
    fn swept(self) -> Result<(Self, Orphans), StartError> {
        let orphans = match &self.directory {
            // What a newer version runs is that version's to look after.
            Some(directory) if !self.recovered.is_newer() => {
                orphans::sweep(self.recovered.world(), self.store.as_ref(), directory)?
            }
            _ => Orphans::default(),
        };
        Ok((self, orphans))
    }
}

/// A running engine. Dropping it without [`Engine::close`] is a crash: what ran is found lost at
/// the next start.
#[derive(Debug)]
pub struct Engine {
    handle: Handle,
    task: JoinHandle<()>,
    leftovers: Arc<Leftovers>,
    // Tells the decider when the engine is dropped.
    _guard: DropGuard,
}

impl Engine {
    /// Takes over the ledger in a state directory, creating it if there is none.
    ///
    /// # Errors
    /// [`StartError`] if another engine owns it, it is damaged, or it does not reach its head mark.
    pub fn open(dir: impl AsRef<Path>) -> Result<Setup, StartError> {
        Self::open_at(&Location::directory(dir.as_ref()))
    }

    /// Takes over the ledger at a location.
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub fn open_at(location: &Location) -> Result<Setup, StartError> {
        let mut setup = Self::open_store(location.store())?;
        setup.directory = Some(location.path().to_owned());
        Ok(setup)
    }

    /// Takes over a ledger in any store.
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub fn open_store(store: Arc<dyn Store>) -> Result<Setup, StartError> {
        let owner = Owner::this_process(crate::clock::wall());
        let opened: Opened = store.open(&owner)?;
        if opened.needs_verification {
            let report = verify(store.as_ref(), &Scope::Ledger)?;
            if let Some(finding) = report.findings.first() {
                return Err(StartError::NotVerified { finding: finding.to_string() });
            }
            store.declare_verified()?;
        }
        let accepted_shorter = opened.mark != MarkFinding::Agrees;
        let recovered = decider::recover(store.as_ref(), &owner, opened, accepted_shorter)?;
        if recovered.is_newer() {
            // Reading needs no ownership, and a version that can write must be able to take it.
            store.close()?;
        }
        Ok(Setup {
            store,
            recovered,
            functions: Vec::new(),
            plans: Vec::new(),
            directory: None,
            processes: None,
            grace: DEFAULT_GRACE,
            snapshot_every: SNAPSHOT_EVENTS,
        })
    }

    /// Submits a coordination and returns its id once it is on the record. A chosen id that was
    /// submitted before with the same configuration finds that coordination.
    ///
    /// # Errors
    /// [`EngineError`] if it is refused.
    pub async fn submit(&self, config: CoordinationConfig) -> Result<CoordinationId, EngineError> {
        self.submit_with(config, Vec::new()).await
    }

    /// The same with inputs: bytes that items name by their digest.
    ///
    /// # Errors
    /// As [`Engine::submit`].
    pub async fn submit_with(
        &self,
        config: CoordinationConfig,
        inputs: Vec<Vec<u8>>,
    ) -> Result<CoordinationId, EngineError> {
        self.submit_holding(config, inputs, BTreeMap::new()).await
    }

    /// The same with the values of the secrets that its processes need, by name. They stay in
    /// memory while the coordination runs and are written nowhere; after a restart, submitting
    /// again under the chosen id brings them back.
    ///
    /// # Errors
    /// As [`Engine::submit`].
    pub async fn submit_holding(
        &self,
        config: CoordinationConfig,
        inputs: Vec<Vec<u8>>,
        secrets: BTreeMap<String, String>,
    ) -> Result<CoordinationId, EngineError> {
        let (id, minted) = match config.id() {
            Some(id) => (id.clone(), false),
            None => (Self::mint()?, true),
        };
        let blobs = inputs.into_iter().map(Blob::new).collect();
        self.handle.start(id.clone(), config, blobs, operator(None), minted, secrets).await?;
        Ok(id)
    }

    /// Waits until a coordination has ended; returns at once if it has.
    ///
    /// # Errors
    /// [`EngineError::UnknownCoordination`] if there is none, or the engine stops first.
    pub async fn wait(&self, id: &CoordinationId) -> Result<Ended, EngineError> {
        self.handle.wait(id).await
    }

    /// Ends a coordination: running sessions are asked to stop first.
    ///
    /// # Errors
    /// [`EngineError`] if it is not running or ending already.
    pub async fn cancel(&self, id: &CoordinationId, reason: &str) -> Result<(), EngineError> {
        self.stop(id, StopKind::Cancel, reason).await
    }

    /// Lets running sessions come to their end and starts nothing new.
    ///
    /// # Errors
    /// As [`Engine::cancel`].
    pub async fn drain(&self, id: &CoordinationId, reason: &str) -> Result<(), EngineError> {
        self.stop(id, StopKind::Drain, reason).await
    }

    /// Takes no more work; the coordination ends when what is there is done.
    ///
    /// # Errors
    /// As [`Engine::cancel`].
    pub async fn close_coordination(&self, id: &CoordinationId) -> Result<(), EngineError> {
        self.stop(id, StopKind::Close, "closed").await
    }

    async fn stop(
        &self,
        id: &CoordinationId,
        kind: StopKind,
        reason: &str,
    ) -> Result<(), EngineError> {
        let command = Command::Stop { coordination: id.clone(), kind, reason: reason.to_owned() };
        self.handle.command(command, None).await.map(|_| ())
    }

    /// Starts nothing new until continued; running sessions go on.
    ///
    /// # Errors
    /// [`EngineError`] if it is not running or paused already.
    pub async fn pause(&self, id: &CoordinationId, reason: &str) -> Result<(), EngineError> {
        let command = Command::Pause { coordination: id.clone(), reason: reason.to_owned() };
        self.handle.command(command, None).await.map(|_| ())
    }

    /// Goes on after a pause, with higher ceilings if given.
    ///
    /// # Errors
    /// [`EngineError`] if it is not paused, or its budget is used up and not raised.
    pub async fn continue_(&self, id: &CoordinationId, raise: Raise) -> Result<(), EngineError> {
        self.handle
            .command(Command::Continue { coordination: id.clone(), raise }, None)
            .await
            .map(|_| ())
    }

    /// Adds work to a running coordination. With a command id, repeating the call adds nothing and
    /// gives the same answer, also once the coordination has ended.
    ///
    /// # Errors
    /// [`EngineError`] if the items are refused.
    pub async fn add_work(
        &self,
        id: &CoordinationId,
        items: Vec<WorkSpec>,
        command: Option<CommandId>,
    ) -> Result<Version, EngineError> {
        match self.handle.add_work(id.clone(), items, Adder::Operator, operator(command)).await? {
            Reply::Done { version } => Ok(version),
            Reply::Existing { .. } | Reply::WriteRefused => Err(EngineError::Stopped),
        }
    }

    /// Everything that keeps an item from running now; empty if it would start at the next turn.
    ///
    /// # Errors
    /// [`EngineError`] if there is no such live coordination or item.
    pub async fn why(&self, id: &CoordinationId, work: &str) -> Result<Vec<Blocked>, EngineError> {
        let (id, work) = (id.clone(), work.to_owned());
        let mut reasons = self.handle.query(move |world, now| world.why(&id, &work, now)).await??;
        self.leftovers.explain(&mut reasons);
        Ok(reasons)
    }

    /// A coordination at a glance, running or ended.
    ///
    /// # Errors
    /// [`EngineError::UnknownCoordination`] if there is none.
    pub async fn status(&self, id: &CoordinationId) -> Result<Status, EngineError> {
        self.handle.status(id).await
    }

    /// Follows a coordination's events from after a version on: first what is recorded, then live,
    /// each once.
    ///
    /// # Errors
    /// [`EngineError::UnknownCoordination`] if there is none.
    pub async fn follow(
        &self,
        id: &CoordinationId,
        after: Version,
    ) -> Result<Subscription, EngineError> {
        self.handle.follow(id, after).await
    }

    /// Follows any stream's events from after a version on: first what is recorded, then live, each
    /// once. The stream `ledger` tells who opened and closed the ledger, and what was erased; a
    /// stream that does not exist yet is waited for.
    #[must_use]
    pub fn follow_stream(&self, stream: &StreamName, after: Version) -> Subscription {
        Subscription::new(self.handle.clone(), stream.clone(), after)
    }

    /// Follows a coordination under a name: from after the last event that was acknowledged under
    /// it, in this process or an earlier one.
    ///
    /// ```
    /// use antiphon::coordination::{CoordinationBudget, CoordinationConfig, WorkSpec};
    /// use antiphon::{Engine, Output};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// let mut setup = Engine::open(dir.path().join("state"))?;
    /// setup.register("greet", |_| async { Ok(Output::text("hello")) });
    /// let engine = setup.start().await?;
    /// let budget = CoordinationBudget::new(10, 60_000, 1_000, None)?;
    /// let id = engine.submit(CoordinationConfig::of_work(vec![WorkSpec::function("a", "greet")?], budget)?).await?;
    ///
    /// let mut reader = engine.reader("mailer", &id).await?;
    /// while let Some(event) = reader.next().await? {
    ///     println!("{} {}", event.version, event.kind);
    ///     reader.acknowledge().await?;
    /// }
    /// engine.close().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`EngineError`] if there is no such coordination, or the name reads another one.
    pub async fn reader(&self, name: &str, id: &CoordinationId) -> Result<Reader, EngineError> {
        Reader::open(&self.handle, name, id).await
    }

    /// Errors that the engine has dealt with by itself since it started, by kind: none stopped it,
    /// and all are in the log.
    #[must_use]
    pub fn caught(&self) -> BTreeMap<CaughtError, u64> {
        self.handle.caught()
    }

    /// The bytes of a blob: an input, an output or a receipt.
    ///
    /// # Errors
    /// [`EngineError`] if the ledger cannot be read.
    pub async fn blob(&self, digest: Digest) -> Result<Option<Vec<u8>>, EngineError> {
        self.handle.blob(digest).await
    }

    /// What an item has put out, if it has.
    ///
    /// # Errors
    /// [`EngineError`] if the ledger cannot be read.
    pub async fn output(
        &self,
        id: &CoordinationId,
        work: &str,
    ) -> Result<Option<Output>, EngineError> {
        self.handle.output(id, work).await
    }

    /// Erases payloads of ended coordinations, or blobs, for good. Chains and receipts stay
    /// verifiable.
    ///
    /// # Errors
    /// [`EngineError`] if the coordination runs, or the store refuses.
    pub async fn erase(&self, request: EraseRequest) -> Result<(), EngineError> {
        self.handle.command(Command::Erase(request), None).await.map(|_| ())
    }

    /// Stops in good order: nothing new starts, running sessions have the grace to end, the ledger
    /// is closed.
    ///
    /// After the grace, functions that still run are abandoned. Processes are asked to stop and
    /// have their own grace, then they are killed: none is left when this returns, however long
    /// those graces are. What is cut off so is recorded as lost, and its item goes on with the next
    /// start.
    ///
    /// # Errors
    /// [`EngineError`] if the ledger could not be closed in order; nothing acknowledged is lost
    /// then either.
    pub async fn close(self) -> Result<(), EngineError> {
        let (reply, answer) = oneshot::channel();
        self.handle.send(Request::Close { reply }).await?;
        let answer = answer.await.map_err(|_| EngineError::Stopped)?;
        // The decider has nothing left to do; a panic of its would be a broken invariant and is
        // passed on.
        self.task.await.map_err(|_| EngineError::Stopped)?;
        answer
    }
}
