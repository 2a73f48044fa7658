//! The sessions folder of a state directory: what an earlier engine left in it is swept, and
//! sessions are started in it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use antiphon_core::id::SessionId;
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;

use super::descriptors::Descriptors;
use super::folder::{SESSIONS, SessionFolder};
use super::launch::{Launch, LaunchError, WardensError};
use super::reexec;
use super::running::RunningTree;
use super::setup::{WardenProgram, WardenSetup};
use super::start::SessionStart;
use super::subreaper::Left;
use super::subreapers::Subreapers;
use super::sweep::{self, Swept};
use crate::folder::Folder;
use crate::room::Shortage;

/// The sessions folder of a state directory, and the way to start sessions in it.
#[derive(Debug, Clone)]
pub struct Wardens {
    state: Folder,
    /// The path of the state directory without links, which no scratch directory may be in.
    path: PathBuf,
    setup: WardenSetup,
    subreapers: Arc<Subreapers>,
    descriptors: Descriptors,
    /// As many as sessions can run at a time.
    places: Arc<Semaphore>,
    /// The name of the folder is durable.
    named: Arc<OnceCell<()>>,
}

impl Wardens {
    /// Prepares a state directory whose lock the caller holds.
    ///
    /// # Errors
    /// If this program cannot be its own warden and names no other, or the folder cannot be made.
    pub fn open(state_directory: &Path, setup: WardenSetup) -> Result<Self, WardensError> {
        let path = || state_directory.join(SESSIONS);
        let absolute = std::path::absolute(state_directory);
        let state = absolute.and_then(|absolute| Folder::open(&absolute));
        Self::in_folder(state.map_err(|error| WardensError::Folder { path: path(), error })?, setup)
    }

    /// The same for a state directory that is held open.
    pub(crate) fn in_folder(state: Folder, setup: WardenSetup) -> Result<Self, WardensError> {
        if setup.program == WardenProgram::Itself && !reexec::has_entered() {
            return Err(WardensError::NotEntered);
        }
        let fault = |error| WardensError::Folder { path: state.shown_of(SESSIONS), error };
        let path = state.shown().canonicalize().map_err(fault)?;
        match state.create_folder(SESSIONS) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                // What is there may be none.
                state.below(SESSIONS).map_err(fault)?;
            }
            made => drop(made.map_err(fault)?),
        }
        let descriptors = Descriptors::raise();
        let places = Arc::new(Semaphore::new(descriptors.sessions().min(Semaphore::MAX_PERMITS)));
        let subreapers = Arc::new(Subreapers::new(setup.program.clone(), state.clone()));
        let named = Arc::default();
        Ok(Self { state, path, setup, subreapers, descriptors, places, named })
    }

    /// A place for one session, to be held until its end. Where there is none, `full` is told why,
    /// and one is waited for.
    pub(crate) async fn place(&self, full: impl FnOnce(String)) -> OwnedSemaphorePermit {
        let places = || Arc::clone(&self.places);
        if let Ok(place) = places().try_acquire_owned() {
            return place;
        }
        full(format!(
            "{} carries {} sessions at a time; one has to end first",
            Shortage::OpenFiles.limit().unwrap_or_default(),
            self.descriptors.sessions()
        ));
        places().acquire_owned().await.unwrap_or_else(|_| panic!("BUG: nobody closes the places"))
    }

    /// Ends what an earlier start has left running; to be done before any session is started.
    /// Blocks.
    ///
    /// # Errors
    /// If the folder of the sessions cannot be read.
    pub fn sweep(&self) -> io::Result<Vec<Swept>> {
        sweep::sweep_in(&self.state)
    }

    /// Looks once more for what an unclean session left, and ends it if it can; `None` if nothing
    /// is written down of the session. To be done before its item is tried again, and never while
    /// the session runs. Blocks.
    ///
    /// # Errors
    /// If what is written down cannot be read.
    pub fn sweep_again(&self, session: &SessionId) -> io::Result<Option<Swept>> {
        let swept = sweep::sweep_folder(&self.folder(session))?;
        // What has shed its marks is seen here alone, and whose it is cannot be told.
        let mut left = self.subreapers.left().map(Left::into_leftovers).unwrap_or_default();
        left.extend(sweep::subreapers_left(&self.state)?);
        Ok(swept.map(|swept| if left.is_empty() { swept } else { swept.but_for(left) }))
    }

    /// What is kept of a session until its end is recorded.
    #[must_use]
    pub fn folder(&self, session: &SessionId) -> SessionFolder {
        SessionFolder::of(&self.state, session)
    }

    /// Removes what is kept of a session, once its end is recorded.
    ///
    /// # Errors
    /// If the folder cannot be removed.
    pub fn forget(&self, session: &SessionId) -> io::Result<()> {
        self.folder(session).remove()
    }

    /// Starts a session. It runs when this returns, unless its program cannot be started, which its
    /// end tells.
    ///
    /// Dropping the future does not leave anything behind: what was started is ended.
    ///
    /// # Errors
    /// If it is refused, or the system refuses something. Then nothing of the session has run and
    /// nothing is left.
    pub async fn launch(
        &self,
        session: &SessionId,
        launch: Launch,
    ) -> Result<RunningTree, LaunchError> {
        launch.validate(&self.path)?;
        let (folder, setup) = (self.folder(session), self.setup.clone());
        let start = SessionStart::new(session.clone(), folder, setup, Arc::clone(&self.subreapers));
        // Here, as an engine that starts none needs none.
        let state = self.state.clone();
        let name = async || spawn_blocking(move || state.sync()).await.map_err(io::Error::other)?;
        let unnamed = start.failed("sync the state directory");
        self.named.get_or_try_init(name).await.map_err(unnamed)?;
        let failed = start.failed("start a task");
        match tokio::spawn(start.run(launch)).await {
            Ok(result) => result,
            Err(error) => Err(failed(io::Error::other(error))),
        }
    }
}
