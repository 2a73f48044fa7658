//! The engine of a state directory in this process, and the socket at which everybody reaches it,
//! this process included.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use antiphon::id::CoordinationId;
use antiphon::ledger::Location;
use antiphon::process::{WardenSetup, session_of};
use antiphon::{Engine, TakenUp, Unavailable};
use antiphon_server::Server;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::command_error::{CommandError, Kind};
use crate::stderr;

/// How long sessions run on while the ledger takes nothing in: their ends are kept until it does.
const RUNS_ON: Duration = Duration::from_secs(10 * 60);

/// Whether an engine carries out sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SessionPolicy {
    Run,
    /// It only records: what is ready stays ready.
    Leave,
}

/// What an engine does of what it may.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HostSetup {
    sessions: SessionPolicy,
    /// Which of the runs that it finds it carries out.
    taken_up: TakenUp,
    /// Whether a signal to a run that is not there begins one.
    allows_undeclared: bool,
}

impl HostSetup {
    pub(crate) fn new(sessions: SessionPolicy, taken_up: TakenUp) -> Self {
        Self { sessions, taken_up, allows_undeclared: false }
    }

    pub(crate) fn allowing_undeclared(self, allows_undeclared: bool) -> Self {
        Self { allows_undeclared, ..self }
    }
}

/// An engine with its server.
pub(crate) struct Host {
    pub(crate) engine: Engine,
    server: JoinHandle<()>,
    stop: CancellationToken,
    /// How many clients are connected.
    clients: watch::Receiver<usize>,
}

impl Host {
    /// Takes over the ledger, creating it if there is none, and opens the socket.
    pub(crate) async fn open(
        location: &Location,
        HostSetup { sessions, taken_up, allows_undeclared }: HostSetup,
    ) -> Result<Self, CommandError> {
        // There are only processes here, each of which has a grace of its own once it is asked to
        // stop.
        let mut setup = Engine::builder_at(location)?
            .with_grace(Duration::ZERO)
            .with_patience(RUNS_ON)
            .taking_up(taken_up);
        let processes = setup.run_processes(WardenSetup::default()).map(drop);
        if sessions == SessionPolicy::Run {
            processes.map_err(|error| CommandError::because(Kind::State, &error))?;
        } else {
            // What needs none can do without them.
            setup = setup.binding_nothing();
        }
        if allows_undeclared {
            setup = setup.allowing_undeclared();
        }
        let engine = setup.start().await?;
        if let Err(refusal) = engine.health().await {
            // A ledger of a newer version can be read, not served.
            engine.close().await?;
            return Err(refusal.into());
        }
        let server = match bind(location.path(), &engine).await {
            Ok(server) => server,
            Err(error) => {
                engine.close().await?;
                return Err(error);
            }
        };
        let (stop, clients) = (CancellationToken::new(), server.connections());
        Ok(Self { engine, server: tokio::spawn(server.serve(stop.clone())), stop, clients })
    }

    /// The coordinations that stopping would interrupt; `None` while that is not known, as the
    /// ledger takes nothing in for now.
    pub(crate) async fn at_work(&self) -> Result<Option<BTreeSet<CoordinationId>>, CommandError> {
        match self.engine.at_work().await {
            Ok(at_work) => Ok(Some(at_work)),
            Err(Unavailable::ReadOnly { .. } | Unavailable::NotTaken { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The ended runs whose commands are carried out here; none while that is not known.
    pub(crate) async fn on_ends(&self) -> Vec<CoordinationId> {
        self.engine.on_ends().await.unwrap_or_default()
    }

    /// Waits until nobody is connected, nothing runs, and nothing will run without a command.
    pub(crate) async fn idle(&self) -> Result<(), CommandError> {
        let mut clients = self.clients.clone();
        loop {
            let none = clients.wait_for(|connected| *connected == 0).await;
            none.map_err(|_| CommandError::internal("the server stopped"))?;
            match self.at_work().await?.and_then(|at_work| at_work.first().cloned()) {
                None => match self.on_ends().await.first() {
                    None => return Ok(()),
                    Some(run) => drop(self.engine.run(run)?.on_end().await?),
                },
                // What it does next may be its end.
                Some(run) => self.next_event(&run).await?,
            }
        }
    }

    /// Waits until somebody connects or leaves.
    pub(crate) async fn called(&self) -> Result<(), CommandError> {
        let mut clients = self.clients.clone();
        clients.mark_unchanged();
        clients.changed().await.map_err(|_| CommandError::internal("the server stopped"))
    }

    /// Waits until something happens to a run.
    pub(crate) async fn next_event(&self, run: &CoordinationId) -> Result<(), CommandError> {
        let run = self.engine.run(run)?;
        let version = run.status().await?.version;
        let mut events = run.follow_after(version).await?;
        events.next().await?;
        Ok(())
    }

    /// Why it has stopped although nobody asked it to.
    pub(crate) async fn stopped(&self) -> CommandError {
        let why = match self.engine.health().await {
            Err(why) => format!("the engine in this process stopped: {why}"),
            Ok(()) => "the engine in this process stopped unexpectedly".to_owned(),
        };
        CommandError::new(Kind::State, why)
            .with_hint("`antiphon doctor` examines the state directory")
    }

    /// Stops in order: clients are informed, sessions are asked to stop, the ledger is closed.
    pub(crate) async fn close(self) -> Result<(), CommandError> {
        let left = self.on_ends().await;
        if !left.is_empty() {
            let left = left.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            stderr::say(format!("`on_end` of {left} is left to the next engine"));
        }
        self.stop.cancel();
        self.server
            .await
            .map_err(|error| CommandError::internal(format!("the server failed: {error}")))?;
        Ok(self.engine.close().await?)
    }
}

/// Makes the socket of an engine. Whose process a caller is is looked up in the directory as it is
/// open now.
async fn bind(dir: &Path, engine: &Engine) -> Result<Server, CommandError> {
    // What the engine found is on the record before anybody asks for it; that its ledger takes nothing
    // in is told to whoever does.
    let _taken_over = engine.at_work().await;
    let server = Server::bind(dir, engine.clone())
        .await
        .map_err(|error| CommandError::because(Kind::State, &error))?;
    let opened = File::open(dir).map_err(|error| {
        CommandError::new(Kind::State, format!("cannot open {}: {error}", dir.display()))
    })?;
    Ok(server.with_sessions(Arc::new(move |pid| session_of(&opened, pid))))
}
