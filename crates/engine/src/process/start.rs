//! One session on its way to run: written down first, then spawned under a warden, then let run.

use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use antiphon_core::id::SessionId;
use rustix::process::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::folder::{Begun, OpenRecord, SessionFolder};
use super::launch::{Launch, LaunchError};
use super::mark::Mark;
use super::running::RunningTree;
use super::scratch;
use super::session_processes::{SessionProcesses, end_processes};
use super::setup::WardenSetup;
use super::subreapers::{NotSpawned, SpawnedWarden, Subreapers};
use super::wire::{FromWarden, Inbox, MAX_FRAME, Order, ToWarden, VERSION, frame};
use crate::room::explained;

/// How long a warden may take to answer before the session runs.
const WARDEN_ANSWERS_WITHIN: Duration = Duration::from_secs(20);

/// One session on its way to run.
pub(super) struct SessionStart {
    session: SessionId,
    folder: SessionFolder,
    setup: WardenSetup,
    subreapers: Arc<Subreapers>,
}

/// A warden that was spawned, and what was written down before.
struct Spawned {
    warden: SpawnedWarden,
    control: StdStream,
    opened: OpenRecord,
    launch: Launch,
}

impl SessionStart {
    pub(super) fn new(
        session: SessionId,
        folder: SessionFolder,
        setup: WardenSetup,
        subreapers: Arc<Subreapers>,
    ) -> Self {
        Self { session, folder, setup, subreapers }
    }

    pub(super) fn failed(&self, doing: &'static str) -> impl Fn(io::Error) -> LaunchError + use<> {
        let session = self.session.clone();
        move |error| LaunchError::System { session: session.clone(), doing, error }
    }

    pub(super) async fn run(self, launch: Launch) -> Result<RunningTree, LaunchError> {
        let failed = self.failed("start a thread");
        // fsync blocks: keep it off the runtime.
        let (start, spawned) = tokio::task::spawn_blocking(move || {
            let spawned = self.spawn(launch);
            (self, spawned)
        })
        .await
        .map_err(|error| failed(io::Error::other(error)))?;
        let Spawned { warden, control, opened, launch } = spawned?;
        let begun = match start.agree(&warden, control, &opened, launch).await {
            Ok(begun) => begun,
            Err(error) => {
                start.abandon(warden, opened).await;
                return Err(error);
            }
        };
        let (stream, inbox, begun) = begun;
        let Self { session, folder, setup, .. } = start;
        Ok(RunningTree::new(session, begun, warden, (stream, inbox), folder, opened, setup))
    }

    /// Writes down that there will be something, then spawns the warden. Blocks.
    fn spawn(&self, launch: Launch) -> Result<Spawned, LaunchError> {
        let mark =
            Mark::fresh().map_err(self.failed("draw a mark"))?.ok_or(LaunchError::TooDeep)?;
        let scratch = launch.scratch.as_ref().map(|scratch| scratch.directory().into());
        let opened = OpenRecord::now(self.session.clone(), mark, scratch, launch.files.clone());
        let written = match self.folder.open(&opened) {
            // Somebody has removed the folder of all sessions, or the whole directory with it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.folder.make_parent().and_then(|()| self.folder.open(&opened))
            }
            written => written,
        };
        match written {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(LaunchError::StillThere(self.session.clone()));
            }
            Err(error) => {
                let _ = self.folder.remove();
                let error = at(&self.folder.shown_parent(), &error);
                return Err(self.failed("write down that it is to start")(error));
            }
            Ok(()) => {}
        }
        match self.spawn_warden(&launch, mark) {
            Ok((warden, control)) => Ok(Spawned { warden, control, opened, launch }),
            Err(error) => {
                self.forget(&opened);
                Err(error)
            }
        }
    }

    fn spawn_warden(
        &self,
        launch: &Launch,
        mark: Mark,
    ) -> Result<(SpawnedWarden, StdStream), LaunchError> {
        if let Some(scratch) = &launch.scratch {
            let root = scratch.directory().parent().unwrap_or(scratch.directory());
            let made = scratch::make(scratch, mark).map_err(|error| at(root, &error));
            made.map_err(self.failed("make its scratch directory"))?;
        }
        let input = input_of(launch).map_err(self.failed("prepare its input"))?;
        let (control, theirs) = StdStream::pair().map_err(self.failed("make a socket"))?;
        control.set_nonblocking(true).map_err(self.failed("make a socket"))?;
        let spawned =
            self.subreapers.spawn(mark, &self.session, &OwnedFd::from(theirs), input.as_ref());
        match spawned {
            Ok(warden) => Ok((warden, control)),
            Err(NotSpawned::System { doing, error }) => Err(self.failed(doing)(error)),
            Err(NotSpawned::Unprepared(problem)) => Err(self.unprepared(problem)),
            Err(NotSpawned::Stranger { found }) => Err(self.stranger(found)),
        }
    }

    /// Tells the warden what to do, writes down who it is and what it forked, and lets that run.
    async fn agree(
        &self,
        warden: &SpawnedWarden,
        control: StdStream,
        opened: &OpenRecord,
        launch: Launch,
    ) -> Result<(UnixStream, Inbox, Begun), LaunchError> {
        let talking = self.failed("talk to its warden");
        let mut stream = UnixStream::from_std(control).map_err(&talking)?;
        let mut inbox = Inbox::default();
        let agreeing = async {
            match self.hear(&mut stream, &mut inbox).await? {
                FromWarden::Hello { version } if version == VERSION => {}
                FromWarden::Unprepared(problem) => return Err(self.unprepared(problem)),
                FromWarden::Hello { version } => {
                    return Err(self.stranger(format!("it is of version {version}")));
                }
                other => return Err(self.stranger(format!("it said {other:?}"))),
            }
            let order = Order::new(self.folder.place(), opened.mark, launch, &self.setup);
            let order = frame(&ToWarden::Prepare(Box::new(order)));
            if order.len() > MAX_FRAME {
                let problem = "its arguments and its environment are too large".to_owned();
                return Err(self.unprepared(problem));
            }
            stream.write_all(&order).await.map_err(&talking)?;
            match self.hear(&mut stream, &mut inbox).await? {
                FromWarden::Forked(agent) => Ok(agent),
                FromWarden::Unprepared(problem) => Err(self.unprepared(problem)),
                other => Err(self.stranger(format!("it said {other:?}"))),
            }
        };
        let agent = match tokio::time::timeout(WARDEN_ANSWERS_WITHIN, agreeing).await {
            Ok(agreed) => agreed?,
            Err(late) => return Err(talking(io::Error::new(io::ErrorKind::TimedOut, late))),
        };
        let begun = Begun::of(warden.pid(), agent);
        let folder = self.folder.clone();
        let written = tokio::task::spawn_blocking(move || {
            folder.begin(&begun).map_err(|error| at(&folder.shown(), &error))
        });
        let written = written.await;
        written
            .map_err(io::Error::other)
            .and_then(|written| written)
            .map_err(self.failed("write down who it is"))?;
        stream.write_all(&frame(&ToWarden::Go)).await.map_err(&talking)?;
        Ok((stream, inbox, begun))
    }

    async fn hear(
        &self,
        stream: &mut UnixStream,
        inbox: &mut Inbox,
    ) -> Result<FromWarden, LaunchError> {
        let talking = self.failed("talk to its warden");
        let mut chunk = [0; 4096];
        loop {
            match inbox.next() {
                Ok(Some(FromWarden::Beat)) => {}
                Ok(Some(message)) => return Ok(message),
                Ok(None) => match stream.read(&mut chunk).await.map_err(&talking)? {
                    0 => {
                        return Err(talking(io::Error::new(
                            io::ErrorKind::UnexpectedEof,
                            "the warden ended",
                        )));
                    }
                    length => inbox.push(&chunk[..length]),
                },
                Err(garbled) => return Err(talking(io::Error::other(garbled))),
            }
        }
    }

    fn unprepared(&self, problem: String) -> LaunchError {
        LaunchError::Unprepared { session: self.session.clone(), problem }
    }

    fn stranger(&self, found: String) -> LaunchError {
        LaunchError::NotAWarden { session: self.session.clone(), found, expected: VERSION }
    }

    /// Takes back everything, before anything of the session has run.
    async fn abandon(self, warden: SpawnedWarden, opened: OpenRecord) {
        let taken_back = tokio::task::spawn_blocking(move || {
            warden.signal(Signal::KILL);
            let within = self.setup.end_within;
            // What waited at its gate ends with it, and has run nothing.
            let cleared = match warden.has_ended_within(within).then(|| warden.left(within)) {
                Some(Some(left)) => left.into(),
                _ => end_processes(&SessionProcesses::of(&opened), within),
            };
            if cleared.clean {
                self.forget(&opened);
            } else {
                tracing::warn!(run = %self.session.coordination, session = %self.session, leftovers = ?cleared.leftovers, "a session \
                    that did not start could not be ended");
            }
        });
        let _ = taken_back.await;
    }

    fn forget(&self, opened: &OpenRecord) {
        if let Some(directory) = &opened.scratch {
            scratch::remove(&directory.path());
        }
        if let Err(error) = self.folder.remove() {
            tracing::warn!(run = %self.session.coordination, session = %self.session, %error, "the folder of a session that did not \
                start cannot be removed");
        }
    }
}

impl LaunchError {
    /// What of the machine keeps the session from starting, where it is no fault of what is to be
    /// run: the same may work in a while.
    #[must_use]
    pub fn shortage(&self) -> Option<String> {
        match self {
            Self::System { doing, error, .. } => {
                let text = format!("cannot {doing}: {error}");
                Some(explained(&text).unwrap_or(text))
            }
            // A warden has touched nothing yet of what the session names.
            Self::Unprepared { problem, .. } => explained(problem),
            _ => None,
        }
    }
}

/// An error with the place that it is about.
fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// The session's input as a file in memory, so that no task has to write it and it is on no disk.
fn input_of(launch: &Launch) -> io::Result<Option<OwnedFd>> {
    let Some(bytes) = &launch.stdin else { return Ok(None) };
    let file = rustix::fs::memfd_create("antiphon-stdin", rustix::fs::MemfdFlags::CLOEXEC)?;
    let mut file = std::fs::File::from(file);
    file.write_all(bytes)?;
    Ok(Some(file.into()))
}
