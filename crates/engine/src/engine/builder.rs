//! A ledger that was taken over, before anything runs on it: what carries sessions out is given here.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use antiphon_core::coordination::{Capability, CoordinationConfig, SessionSpawner};
use antiphon_core::id::{IdError, RunnerName};
use antiphon_core::world::TakenUp;

use super::Engine;
use crate::decider::{self, Recovered};
use crate::folder::Folder;
use crate::ledger::verify::{Scope, verify};
use crate::ledger::{Location, MarkFinding, Opened, Owner, Store};
use crate::mailbox::StartError;
use crate::on_end::ON_END_WITHIN;
use crate::orphans::{self, Orphans};
use crate::process::{WardenSetup, Wardens, WardensError};
use crate::session::{Processes, RunnerFn, SessionContext, SessionResult, adapted, boxed};
use crate::shortages::ROOM_WITHIN;

/// How long a session that was asked to stop has before it is abandoned, unless the builder says
/// otherwise.
const DEFAULT_GRACE: Duration = Duration::from_secs(10);

/// Name of the socket in the state directory, by which sessions reach the engine where it listens.
const SOCKET: &str = "api.sock";

/// An engine that is about to start: it holds the ledger already, and nothing runs yet. Register
/// what carries sessions out, then [`EngineBuilder::start`].
///
/// ```
/// use antiphon::{Engine, Output, RegisterError};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// let mut builder = Engine::builder(dir.path().join("state"))?;
/// builder.register("greet", |_| async { Ok(Output::text("hello")) })?;
/// let again = builder.register("greet", |_| async { Ok(Output::none()) });
/// assert!(matches!(again, Err(RegisterError::Taken { .. })));
/// let engine = builder.start().await?;
/// engine.close().await?;
/// # Ok(())
/// # }
/// ```
pub struct EngineBuilder {
    store: Arc<dyn Store>,
    recovered: Recovered,
    functions: Vec<(RunnerName, Capability, RunnerFn)>,
    plans: Vec<(RunnerName, CoordinationConfig)>,
    /// The state directory, if the ledger has one, as it was named and held open.
    directory: Option<(PathBuf, Folder)>,
    processes: Option<Arc<Processes>>,
    /// Where the scratch directories of sessions are made.
    scratch: PathBuf,
    grace: Duration,
    patience: Option<Duration>,
    room_within: Duration,
    on_end_within: Duration,
    snapshot_every: Option<u64>,
    taken_up: TakenUp,
    binds_nothing: bool,
    allows_undeclared: bool,
}

impl std::fmt::Debug for EngineBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EngineBuilder")
            .field("functions", &self.functions.len())
            .finish_non_exhaustive()
    }
}

/// Why a function or a plan was not registered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names of its variants say it")]
pub enum RegisterError {
    /// The name is not one that a work item could give.
    #[error(transparent)]
    Name(#[from] IdError),
    /// Something of the same kind was registered under the name before.
    #[error("{name:?} is registered already; give each function, and each plan, its own name")]
    Taken { name: RunnerName },
}

impl Engine {
    /// Takes over the ledger in a state directory, creating it if there is none, and starts an
    /// engine without functions, which carries nothing out: it steers runs and reads them.
    ///
    /// # Errors
    /// [`StartError`] if another engine owns it, it is damaged, it does not reach its head mark, or the
    /// system refuses what the engine needs.
    pub async fn open(dir: impl AsRef<Path>) -> Result<Self, StartError> {
        Self::builder(dir)?.start().await
    }

    /// Takes over the ledger in a state directory, creating it if there is none. What carries
    /// sessions out is registered before the engine starts.
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub fn builder(dir: impl AsRef<Path>) -> Result<EngineBuilder, StartError> {
        Self::builder_at(&Location::directory(dir.as_ref()))
    }

    /// The same for a ledger at a location.
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub fn builder_at(location: &Location) -> Result<EngineBuilder, StartError> {
        EngineBuilder::at(location)
    }

    /// Takes over a ledger in any store.
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub fn builder_on(store: Arc<dyn Store>) -> Result<EngineBuilder, StartError> {
        EngineBuilder::on(store)
    }
}

impl EngineBuilder {
    /// Takes over the ledger at a location.
    pub(super) fn at(location: &Location) -> Result<Self, StartError> {
        let taken_over = Self::on(location.store())?;
        let path = location.path();
        let folder = match taken_over.store.held() {
            Some(held) => held.folder().clone(),
            // A ledger that is only read is not held.
            None => Folder::open(path)
                .map_err(|error| StartError::System { what: "the state directory", error })?,
        };
        let directory = Some((path.to_owned(), folder));
        Ok(Self { directory, scratch: location.scratch(), ..taken_over })
    }

    /// Takes over a ledger in any store.
    pub(super) fn on(store: Arc<dyn Store>) -> Result<Self, StartError> {
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
        Ok(Self {
            store,
            recovered,
            functions: Vec::new(),
            plans: Vec::new(),
            directory: None,
            processes: None,
            scratch: std::env::temp_dir(),
            grace: DEFAULT_GRACE,
            patience: None,
            room_within: ROOM_WITHIN,
            on_end_within: ON_END_WITHIN,
            snapshot_every: None,
            taken_up: TakenUp::All,
            binds_nothing: false,
            allows_undeclared: false,
        })
    }

    /// Registers a function under a name that work items give as their runner.
    ///
    /// It may be called at any time with any session of such an item, also again for an item that a
    /// crash took it from.
    ///
    /// # Errors
    /// [`RegisterError`] if the name is not valid, or another function has it.
    pub fn register<F, Fut>(
        &mut self,
        name: impl AsRef<str>,
        function: F,
    ) -> Result<&mut Self, RegisterError>
    where
        F: Fn(SessionContext) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = SessionResult> + Send + 'static,
    {
        self.register_reporting(name, Capability::default(), function)
    }

    /// Registers a function that reports what it uses, and so is granted tokens and cost.
    ///
    /// # Errors
    /// As [`EngineBuilder::register`].
    pub fn register_reporting<F, Fut>(
        &mut self,
        name: impl AsRef<str>,
        capability: Capability,
        function: F,
    ) -> Result<&mut Self, RegisterError>
    where
        F: Fn(SessionContext) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = SessionResult> + Send + 'static,
    {
        self.add(name.as_ref(), capability, boxed(function))
    }

    /// Registers a blocking [`SessionSpawner`], as the kernel's contract has it. It reports tokens,
    /// and so is granted some.
    ///
    /// A session of it cannot be stopped, only abandoned: the trait has no call for that.
    ///
    /// # Errors
    /// As [`EngineBuilder::register`].
    pub fn register_spawner(
        &mut self,
        name: impl AsRef<str>,
        spawner: impl SessionSpawner + 'static,
    ) -> Result<&mut Self, RegisterError> {
        let capability = Capability { reports_tokens: true, ..Capability::default() };
        self.add(name.as_ref(), capability, adapted(Arc::new(spawner)))
    }

    fn add(
        &mut self,
        name: &str,
        capability: Capability,
        function: RunnerFn,
    ) -> Result<&mut Self, RegisterError> {
        let name = RunnerName::new(name)?;
        if self.functions.iter().any(|(taken, _, _)| *taken == name) {
            return Err(RegisterError::Taken { name });
        }
        self.functions.push((name, capability, function));
        Ok(self)
    }

    /// Registers a configuration that items with a plan as their runner are carried out by, as
    /// nested coordinations.
    ///
    /// # Errors
    /// [`RegisterError`] if the name is not valid, or another configuration has it.
    pub fn register_plan(
        &mut self,
        name: impl AsRef<str>,
        config: CoordinationConfig,
    ) -> Result<&mut Self, RegisterError> {
        let name = RunnerName::new(name)?;
        if self.plans.iter().any(|(taken, _)| *taken == name) {
            return Err(RegisterError::Taken { name });
        }
        self.plans.push((name, config));
        Ok(self)
    }

    /// Lets items be carried out by processes, each session under a warden. Without this they stay
    /// ready, and `why` says so.
    ///
    /// # Errors
    /// [`WardensError`] if the ledger has no directory, this program cannot be its own warden and
    /// names no other, or the system has not what it takes.
    pub fn run_processes(&mut self, setup: WardenSetup) -> Result<&mut Self, WardensError> {
        let (directory, folder) = self.directory.as_ref().ok_or(WardensError::NoDirectory)?;
        let wardens = Wardens::in_folder(folder.clone(), setup)?;
        // Sessions run in directories of their own, so no path that they get may be relative to
        // this process's.
        let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
        let processes = Processes::new(
            wardens,
            absolute(self.scratch.clone()),
            absolute(directory.join(SOCKET)),
        );
        self.processes = Some(Arc::new(processes));
        Ok(self)
    }

    /// Sets how long a session that was asked to stop has before it is abandoned.
    #[must_use]
    pub fn with_grace(self, grace: Duration) -> Self {
        Self { grace, ..self }
    }

    /// Sets how long sessions run on while the ledger takes nothing in, be its disk full or its
    /// database locked by another program; then they are asked to stop. As long as the grace where
    /// it is not set. Their ends are recorded once the ledger takes something in again.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience: Some(patience), ..self }
    }

    /// Sets how long a session waits for room on its machine (open files, processes, memory, room
    /// on a disk): ten minutes where it is not set. A process that could not be started by then
    /// counts as such, and what a function asks of its [`SessionContext`] has the error as its
    /// answer.
    #[must_use]
    pub fn with_room_within(self, room_within: Duration) -> Self {
        Self { room_within, ..self }
    }

    /// Sets how long all attempts at the command that a plan names for the end of its run may take
    /// together: a minute where it is not set. One that runs by then is ended with all that it started,
    /// and counts as failed.
    #[must_use]
    pub fn with_on_end_within(self, on_end_within: Duration) -> Self {
        Self { on_end_within, ..self }
    }

    /// Sets after how many events of a coordination its state is saved, however large it is, so that
    /// the next start replays only what follows. Unless it is set, a state is saved where that costs
    /// little beside what the events cost.
    #[must_use]
    pub fn with_snapshot_every(self, events: u64) -> Self {
        Self { snapshot_every: Some(events), ..self }
    }

    /// Sets which of the runs that an earlier engine left unfinished this one carries out from its
    /// start on: all of them where it is not set. What is left alone loses its sessions, which died
    /// with that engine, and does not age; [`Run::resume`](crate::Run::resume) takes it up.
    #[must_use]
    pub fn taking_up(self, taken_up: TakenUp) -> Self {
        Self { taken_up, ..self }
    }

    /// Has it carry out no sessions: it steers runs and reads them. Processes are then run only for
    /// the commands that plans name for the ends of their runs.
    #[must_use]
    pub fn binding_nothing(self) -> Self {
        Self { binds_nothing: true, ..self }
    }

    /// Has a signal to a run that is not there begin one: open, with ceilings that it does not reach,
    /// and labelled [`UNDECLARED`](crate::signals::UNDECLARED). Otherwise it is refused.
    #[must_use]
    pub fn allowing_undeclared(self) -> Self {
        Self { allows_undeclared: true, ..self }
    }

    /// Starts the engine, and with it what an earlier one left unfinished. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`StartError`] if the ledger cannot be read, the clock has gone back behind its time, or the
    /// system refuses what the engine needs.
    pub async fn start(self) -> Result<Engine, StartError> {
        // Ending what an earlier engine left may take seconds.
        let swept = tokio::task::spawn_blocking(move || self.swept()).await;
        let (taken_over, orphans) = swept
            .map_err(|error| StartError::System { what: "a thread", error: error.into() })??;
        let Self { store, recovered, functions, plans, processes, grace, patience, .. } =
            taken_over;
        let (snapshot_every, room_within) = (taken_over.snapshot_every, taken_over.room_within);
        let (taken_up, binds_nothing) = (taken_over.taken_up, taken_over.binds_nothing);
        let on_end_within = taken_over.on_end_within;
        let parts = decider::Parts::new(store, recovered, orphans, grace, snapshot_every)
            .with_patience(patience.unwrap_or(grace))
            .with_room_within(room_within)
            .with_on_end_within(on_end_within)
            .taking_up(taken_up)
            .with_runners(functions, plans, processes)
            .binding_nothing(binds_nothing)
            .allowing_undeclared(taken_over.allows_undeclared);
        let (handle, guard, task, leftovers) = decider::spawn(parts)?;
        Ok(Engine::new(handle, guard, task, leftovers))
    }

    /// Ends what an earlier engine left running, whether this one runs processes or not.
    fn swept(self) -> Result<(Self, Orphans), StartError> {
        let orphans = match &self.directory {
            // What a newer version runs is that version's to look after.
            Some((_, directory)) if !self.recovered.is_newer() => {
                orphans::sweep(self.recovered.world(), self.store.as_ref(), directory)?
            }
            _ => Orphans::default(),
        };
        Ok((self, orphans))
    }
}
