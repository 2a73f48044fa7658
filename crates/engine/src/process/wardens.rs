//! Starts sessions: written down first, then spawned under a warden, then let run.

use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::net::UnixStream as StdStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use antiphon_core::id::SessionId;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::folder::{Begun, Opened, SESSIONS, SessionFolder};
use super::identity::{ProcessIdentity, Where, ticks_now};
use super::launch::{Guard, Launch, LaunchError, WardensError};
use super::running::{Running, Watch};
use super::sweep::{Marks, Swept, end_marked};
use super::tattoo::Tattoo;
use super::wire::{
    FromWarden, Inbox, Order, Text, ToWarden, VERSION, WARDEN_NAME, WARDEN_WORD, frame,
};
use super::{entry, scratch};
use crate::clock;

/// How long a warden may take to answer before the session runs.
const WARDEN_ANSWERS_WITHIN: Duration = Duration::from_secs(20);

/// Which program is the warden.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum WardenProgram {
    /// This program itself, which must have called [`enter`](super::enter).
    #[default]
    Itself,
    /// An executable that calls [`enter`](super::enter), of this very version: the `antiphon`
    /// binary.
    At(PathBuf),
}

/// How sessions are guarded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WardenSetup {
    /// Which program is the warden.
    pub program: WardenProgram,
    /// What keeps a session from signalling its warden.
    pub guard: Guard,
    /// How often a warden says that it lives.
    pub beat: Duration,
    /// After which silence a warden is taken for lost.
    pub silence: Duration,
    /// How long ending a tree may take before its rest is reported as left over.
    pub end_within: Duration,
}

impl Default for WardenSetup {
    fn default() -> Self {
        Self {
            program: WardenProgram::default(),
            guard: Guard::default(),
            beat: Duration::from_secs(5),
            silence: Duration::from_secs(20),
            end_within: Duration::from_secs(10),
        }
    }
}

/// The sessions folder of a state directory, and the way to start sessions in it.
#[derive(Debug, Clone)]
pub struct Wardens {
    sessions: PathBuf,
    setup: WardenSetup,
}

impl Wardens {
    /// Prepares a state directory whose lock the caller holds, and makes this process the one to
    /// which orphans of lost wardens come.
    ///
    /// # Errors
    /// If this program cannot be its own warden and names no other, or the folder cannot be made.
    pub fn open(state_directory: &Path, setup: WardenSetup) -> Result<Self, WardensError> {
        if setup.program == WardenProgram::Itself && !entry::has_entered() {
            return Err(WardensError::NotEntered);
        }
        let fault = |error| WardensError::Folder { path: state_directory.join(SESSIONS), error };
        let state_directory = state_directory.canonicalize().map_err(fault)?;
        let sessions = state_directory.join(SESSIONS);
        match std::fs::DirBuilder::new().mode(0o700).create(&sessions) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(fault(error)),
            _ => std::fs::File::open(&state_directory)
                .and_then(|dir| dir.sync_all())
                .map_err(fault)?,
        }
        let own = rustix::process::getpid();
        rustix::process::set_child_subreaper(Some(own))
            .map_err(|error| WardensError::Subreaper(error.into()))?;
        Ok(Self { sessions, setup })
    }

    /// Ends what an earlier start has left running; to be done before any session is started.
    /// Blocks.
    ///
    /// # Errors
    /// If the folder of the sessions cannot be read.
    pub fn sweep(&self) -> io::Result<Vec<Swept>> {
        super::sweep(self.sessions.parent().unwrap_or(&self.sessions))
    }

    /// Looks once more for what an unclean session left, and ends it if it can; `None` if nothing
    /// is written down of the session. To be done before its item is tried again, and never while
    /// the session runs. Blocks.
    ///
    /// # Errors
    /// If what is written down cannot be read.
    pub fn sweep_again(&self, session: &SessionId) -> io::Result<Option<Swept>> {
        super::sweep::sweep_folder(&self.folder(session))
    }

    /// What is kept of a session until its end is recorded.
    #[must_use]
    pub fn folder(&self, session: &SessionId) -> SessionFolder {
        SessionFolder::of(&self.sessions, session)
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
    ) -> Result<Running, LaunchError> {
        launch.validate(&self.sessions)?;
        let start = Start {
            session: session.clone(),
            folder: self.folder(session),
            setup: self.setup.clone(),
        };
        let failed = start.failed("start a task");
        match tokio::spawn(start.run(launch)).await {
            Ok(result) => result,
            Err(error) => Err(failed(io::Error::other(error))),
        }
    }
}

/// One session on its way to run.
struct Start {
    session: SessionId,
    folder: SessionFolder,
    setup: WardenSetup,
}

/// A warden that was spawned, and what was written down before.
struct Spawned {
    warden: Child,
    control: StdStream,
    opened: Opened,
    launch: Launch,
}

impl Start {
    fn failed(&self, doing: &'static str) -> impl Fn(io::Error) -> LaunchError + use<> {
        let session = self.session.clone();
        move |error| LaunchError::System { session: session.clone(), doing, error }
    }

    async fn run(self, launch: Launch) -> Result<Running, LaunchError> {
        let failed = self.failed("start a thread");
        // Syncs wait for a disk.
        let (start, spawned) = tokio::task::spawn_blocking(move || {
            let spawned = self.spawn(launch);
            (self, spawned)
        })
        .await
        .map_err(|error| failed(io::Error::other(error)))?;
        let Spawned { mut warden, control, opened, launch } = spawned?;
        let begun = match start.agree(&mut warden, control, &opened, launch).await {
            Ok(begun) => begun,
            Err(error) => {
                start.abandon(warden, opened).await;
                return Err(error);
            }
        };
        let (stream, inbox, begun) = begun;
        let Self { session, folder, setup } = start;
        Ok(Running::new(
            session,
            Watch {
                warden,
                stream,
                inbox,
                folder,
                marks: Marks::of(&opened, Some(begun)),
                opened,
                setup,
            },
            begun,
        ))
    }

    /// Writes down that there will be something, then spawns the warden. Blocks.
    fn spawn(&self, launch: Launch) -> Result<Spawned, LaunchError> {
        let tattoo =
            Tattoo::fresh().map_err(self.failed("draw a mark"))?.ok_or(LaunchError::TooDeep)?;
        let opened = Opened {
            session: self.session.clone(),
            tattoo,
            place: Where::here(),
            user: rustix::process::geteuid().as_raw(),
            engine: ProcessIdentity::of(rustix::process::getpid().as_raw_nonzero().get()),
            since: ticks_now(),
            wall: clock::wall().0,
            scratch: launch.scratch.as_ref().map(|scratch| scratch.directory().into()),
        };
        match self.folder.open(&opened) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(LaunchError::StillThere(self.session.clone()));
            }
            Err(error) => {
                let _ = self.folder.remove();
                return Err(self.failed("write down that it is to start")(error));
            }
            Ok(()) => {}
        }
        match self.spawn_warden(&launch, tattoo) {
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
        tattoo: Tattoo,
    ) -> Result<(Child, StdStream), LaunchError> {
        if let Some(scratch) = &launch.scratch {
            scratch::make(scratch).map_err(self.failed("make its scratch directory"))?;
        }
        let input = input_of(launch).map_err(self.failed("prepare its input"))?;
        let (control, theirs) = StdStream::pair().map_err(self.failed("make a socket"))?;
        control.set_nonblocking(true).map_err(self.failed("make a socket"))?;
        let program = match &self.setup.program {
            // Also right after an upgrade has put another file in its place.
            WardenProgram::Itself => Path::new("/proc/self/exe"),
            WardenProgram::At(path) => path,
        };
        let warden = Command::new(program)
            .arg0(WARDEN_NAME)
            // The mark is how a sweep knows a warden that was not written down any more; the
            // session is for people.
            .args([WARDEN_WORD, &tattoo.to_string(), &self.session.to_string()])
            // Nothing of the engine's environment, which may hold secrets, belongs to a warden.
            .env_clear()
            .stdin(OwnedFd::from(theirs))
            .stdout(input)
            .stderr(Stdio::null())
            .spawn()
            .map_err(self.failed("spawn a warden"))?;
        Ok((warden, control))
    }

    /// Tells the warden what to do, writes down who it is and what it forked, and lets that run.
    async fn agree(
        &self,
        warden: &mut Child,
        control: StdStream,
        opened: &Opened,
        launch: Launch,
    ) -> Result<(UnixStream, Inbox, Begun), LaunchError> {
        let talking = self.failed("talk to its warden");
        let mut stream = UnixStream::from_std(control).map_err(&talking)?;
        let mut inbox = Inbox::default();
        let agreeing = async {
            match self.hear(&mut stream, &mut inbox).await? {
                FromWarden::Hello { version } if version == VERSION => {}
                FromWarden::Unprepared(problem) => return Err(self.unprepared(problem)),
                other => return Err(self.stranger(&other)),
            }
            let order = self.order(opened, launch);
            stream
                .write_all(&frame(&ToWarden::Prepare(Box::new(order))))
                .await
                .map_err(&talking)?;
            match self.hear(&mut stream, &mut inbox).await? {
                FromWarden::Born(agent) => Ok(agent),
                FromWarden::Unprepared(problem) => Err(self.unprepared(problem)),
                other => Err(self.stranger(&other)),
            }
        };
        let agent = match tokio::time::timeout(WARDEN_ANSWERS_WITHIN, agreeing).await {
            Ok(agreed) => agreed?,
            Err(late) => return Err(talking(io::Error::new(io::ErrorKind::TimedOut, late))),
        };
        let begun = Begun { warden: ProcessIdentity::of(warden.id().cast_signed()), agent };
        let folder = self.folder.clone();
        let written = tokio::task::spawn_blocking(move || folder.begin(&begun)).await;
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

    fn stranger(&self, said: &FromWarden) -> LaunchError {
        let found = match said {
            FromWarden::Hello { version } => format!("it is of version {version}"),
            other => format!("it said {other:?}"),
        };
        LaunchError::NotAWarden { session: self.session.clone(), found, expected: VERSION }
    }

    fn order(&self, opened: &Opened, launch: Launch) -> Order {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let texts = |texts: &[std::ffi::OsString]| {
            texts.iter().map(|text| text.as_os_str().into()).collect::<Vec<Text>>()
        };
        Order {
            folder: self.folder.path().into(),
            engine: rustix::process::getpid().as_raw_nonzero().get(),
            tattoo: opened.tattoo,
            command: texts(&launch.command),
            directory: launch.directory.as_path().into(),
            environment: launch
                .environment
                .iter()
                .map(|(name, value)| (name.as_os_str().into(), value.as_os_str().into()))
                .collect(),
            has_stdin: launch.stdin.is_some(),
            limits: launch.limits,
            time_limit_ms: launch.time_limit.map(ms),
            grace_ms: ms(launch.grace),
            output_cap: launch.output_cap,
            check: launch.check.as_ref().map(|check| (texts(&check.command), ms(check.time_limit))),
            scratch: launch
                .scratch
                .as_ref()
                .map(|scratch| (scratch.directory().into(), scratch.result_cap)),
            secrets: launch.secrets,
            guard: self.setup.guard,
            beat_ms: ms(self.setup.beat).max(1),
            end_within_ms: ms(self.setup.end_within),
        }
    }

    /// Takes back everything, before anything of the session has run.
    async fn abandon(self, mut warden: Child, opened: Opened) {
        let taken_back = tokio::task::spawn_blocking(move || {
            let _ = warden.kill();
            let _ = warden.wait();
            // What waited at its gate has come to this process.
            let marked = end_marked(&Marks::of(&opened, None), self.setup.end_within);
            if marked.is_clean {
                self.forget(&opened);
            } else {
                tracing::warn!(session = %self.session, leftovers = ?marked.leftovers, "a session that did not start could not be ended");
            }
        });
        let _ = taken_back.await;
    }

    fn forget(&self, opened: &Opened) {
        if let Some(directory) = &opened.scratch {
            scratch::remove(&directory.path());
        }
        if let Err(error) = self.folder.remove() {
            tracing::warn!(session = %self.session, %error, "the folder of a session that did not start cannot be removed");
        }
    }
}

/// The session's input as a file in memory, so that nobody has to feed it and it is on no disk.
fn input_of(launch: &Launch) -> io::Result<Stdio> {
    let Some(bytes) = &launch.stdin else { return Ok(Stdio::null()) };
    let file = rustix::fs::memfd_create("antiphon-stdin", rustix::fs::MemfdFlags::CLOEXEC)?;
    let mut file = std::fs::File::from(file);
    file.write_all(bytes)?;
    Ok(file.into())
}
