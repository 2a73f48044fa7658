//! The subreaper of an engine, as the engine sees it: started when the first warden is, asked for
//! wardens and for what lost ones left, and started anew where it was lost.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use antiphon_core::id::SessionId;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};

use super::mark::Mark;
use super::outlast::outlast;
use super::packets::Packets;
use super::proc_table;
use super::setup::WardenProgram;
use super::subreaper::{FromSubreaper, Left, SUBREAPER_NAME, SUBREAPER_WORD, ToSubreaper, key_of};
use super::wire::VERSION;
use crate::folder::Folder;
use crate::locked::locked;

/// How long a subreaper may take to answer what it can answer at once.
const ANSWERS_WITHIN: Duration = Duration::from_secs(20);
/// After this time without an answer it is looked whether it was stopped.
const LOOK_AFTER: Duration = Duration::from_millis(500);
/// How long one that has nothing more to do may take to go.
const GOES_WITHIN: Duration = Duration::from_millis(200);

/// The subreaper of the sessions of one state directory.
#[derive(Debug)]
pub(super) struct Subreapers {
    program: WardenProgram,
    state_directory: Folder,
    current: Mutex<Option<Arc<Subreaper>>>,
}

/// Why a warden was not spawned.
#[derive(Debug)]
pub(super) enum NotSpawned {
    /// The system refused something.
    System { doing: &'static str, error: io::Error },
    /// The program cannot be a subreaper as it is.
    Unprepared(String),
    /// It is not of this version.
    Stranger { found: String },
}

impl NotSpawned {
    fn while_doing(doing: &'static str) -> impl Fn(io::Error) -> Self {
        move |error| Self::System { doing, error }
    }
}

impl Subreapers {
    pub(super) fn new(program: WardenProgram, state_directory: Folder) -> Self {
        Self { program, state_directory, current: Mutex::default() }
    }

    /// Spawns a warden that has one end of this socket, the state directory, and this file as its
    /// session's input.
    /// Blocks.
    pub(super) fn spawn(
        &self,
        mark: Mark,
        session: &SessionId,
        control: &OwnedFd,
        input: Option<&OwnedFd>,
    ) -> Result<SpawnedWarden, NotSpawned> {
        let request = ToSubreaper::Spawn { mark, session: session.to_string() };
        let beside: Vec<_> =
            [Some(control.as_fd()), Some(self.state_directory.as_fd()), input.map(|fd| fd.as_fd())]
                .into_iter()
                .flatten()
                .collect();
        let mut was_lost = false;
        loop {
            let subreaper = self.current()?;
            let failed = NotSpawned::while_doing("spawn a warden");
            match subreaper.ask(&request, &beside, ANSWERS_WITHIN).map_err(failed)? {
                Some((FromSubreaper::Spawned { pid }, beside)) => {
                    let Some(exit) = beside.into_iter().next().map(Arc::new) else {
                        return Err(NotSpawned::Stranger {
                            found: "it gave no process".to_owned(),
                        });
                    };
                    return Ok(SpawnedWarden { pid, exit, subreaper });
                }
                Some((FromSubreaper::Refused { errno }, _)) => {
                    let error = io::Error::from_raw_os_error(errno);
                    return Err(NotSpawned::System { doing: "spawn a warden", error });
                }
                Some((other, _)) => {
                    return Err(NotSpawned::Stranger { found: format!("it said {other:?}") });
                }
                None if was_lost => {
                    let error = io::Error::from(io::ErrorKind::BrokenPipe);
                    return Err(NotSpawned::System { doing: "talk to its subreaper", error });
                }
                None => {
                    was_lost = true;
                    self.note_lost(&subreaper);
                }
            }
        }
    }

    fn current(&self) -> Result<Arc<Subreaper>, NotSpawned> {
        let mut current = locked(&self.current);
        if let Some(current) = &*current {
            return Ok(Arc::clone(current));
        }
        let started = Arc::new(Subreaper::start(&self.program, &self.state_directory)?);
        Ok(Arc::clone(current.insert(started)))
    }

    fn note_lost(&self, lost: &Arc<Subreaper>) {
        let mut current = locked(&self.current);
        if current.as_ref().is_some_and(|current| Arc::ptr_eq(current, lost)) {
            tracing::warn!(
                subreaper = lost.pid,
                "the process to which what lost wardens leave comes is gone; another is started, \
                 and what wardens that run now leave if they are lost is found by its marks alone"
            );
            *current = None;
        }
    }

    /// What is left of lost wardens, as far as this engine started them; `None` if that is not
    /// known. Blocks, but not for long.
    pub(super) fn left(&self) -> Option<Left> {
        let current = locked(&self.current).clone()?;
        current.left(None, Duration::ZERO)
    }
}

/// A subreaper that runs.
#[derive(Debug)]
struct Subreaper {
    pid: u32,
    process: Mutex<Option<Child>>,
    requests: Option<Packets>,
}

impl Subreaper {
    fn start(program: &WardenProgram, state_directory: &Folder) -> Result<Self, NotSpawned> {
        let failed = NotSpawned::while_doing("start its subreaper");
        let (ours, theirs) = Packets::pair().map_err(&failed)?;
        let program = match program {
            // Also right after an upgrade has put another file in its place.
            WardenProgram::Itself => Path::new("/proc/self/exe"),
            WardenProgram::At(path) => path,
        };
        let process = Command::new(program)
            .arg0(SUBREAPER_NAME)
            // The first is how the next engine of the directory knows it; the path is for people.
            .args([SUBREAPER_WORD, &key_of(state_directory).map_err(&failed)?])
            .arg(state_directory.shown())
            .env_clear()
            .stdin(theirs)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(&failed)?;
        let subreaper =
            Self { pid: process.id(), process: Mutex::new(Some(process)), requests: Some(ours) };
        let hello = subreaper.requests.as_ref().map(|ours| {
            ours.wait_at_most(ANSWERS_WITHIN)?;
            ours.receive()
        });
        match hello.transpose().map_err(&failed)?.flatten() {
            Some((FromSubreaper::Hello { version }, _)) if version == VERSION => Ok(subreaper),
            Some((FromSubreaper::Hello { version }, _)) => {
                Err(NotSpawned::Stranger { found: format!("it is of version {version}") })
            }
            Some((FromSubreaper::Unprepared(problem), _)) => Err(NotSpawned::Unprepared(problem)),
            Some((other, _)) => Err(NotSpawned::Stranger { found: format!("it said {other:?}") }),
            None => {
                let kind = io::ErrorKind::UnexpectedEof;
                Err(failed(io::Error::new(kind, "the subreaper ended")))
            }
        }
    }

    /// Asks something; `None` if it is gone.
    fn ask(
        &self,
        request: &ToSubreaper,
        beside: &[BorrowedFd<'_>],
        within: Duration,
    ) -> io::Result<Option<(FromSubreaper, Vec<OwnedFd>)>> {
        let Some(requests) = &self.requests else { return Ok(None) };
        let (answer, theirs) = Packets::pair()?;
        let sent = requests.send(request, &[&[theirs.as_fd()], beside].concat());
        drop(theirs);
        match sent {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(None),
            sent => sent?,
        }
        answer.wait_at_most(LOOK_AFTER)?;
        let until = Instant::now() + within;
        loop {
            match answer.receive() {
                Err(error)
                    if error.kind() == io::ErrorKind::WouldBlock && Instant::now() < until =>
                {
                    // One that was stopped would not answer.
                    if self.is_stopped() {
                        self.signal(Signal::CONT);
                    }
                }
                // It lives, and had no room for the descriptors.
                Ok(None) if !self.has_ended_soon() => {
                    return Err(rustix::io::Errno::MFILE.into());
                }
                answered => return answered,
            }
        }
    }

    fn left(&self, warden: Option<i32>, within: Duration) -> Option<Left> {
        let within_ms = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
        let request = ToSubreaper::Look { warden, within_ms };
        match outlast(|| self.ask(&request, &[], within.saturating_add(ANSWERS_WITHIN))) {
            Ok(Some((FromSubreaper::Left(left), _))) => Some(left),
            Ok(_) => None,
            Err(error) => {
                tracing::warn!(%error, subreaper = self.pid, "what a lost warden left cannot be \
                    asked for");
                None
            }
        }
    }

    fn is_stopped(&self) -> bool {
        proc_table::stat(self.pid.cast_signed()).is_some_and(|seen| matches!(seen.state, 'T' | 't'))
    }

    /// Its process id is its own as long as it is not waited for.
    fn signal(&self, signal: Signal) {
        if let Some(process) = &*locked(&self.process) {
            let _ = kill_process(Pid::from_child(process), signal);
        }
    }

    fn has_ended(&self) -> bool {
        let mut process = locked(&self.process);
        let ended = match process.as_mut() {
            None => return true,
            Some(process) => !matches!(process.try_wait(), Ok(None)),
        };
        if ended {
            *process = None;
        }
        ended
    }

    /// The same a moment later: its sockets are closed before it has ended.
    fn has_ended_soon(&self) -> bool {
        let exit = locked(&self.process)
            .as_ref()
            .and_then(|process| pidfd_open(Pid::from_child(process), PidfdFlags::empty()).ok());
        if let Some(exit) = exit {
            has_ended_within(&exit, GOES_WITHIN);
        }
        self.has_ended()
    }
}

impl Drop for Subreaper {
    /// Nobody needs it any more: its socket is closed, and it goes.
    fn drop(&mut self) {
        self.requests = None;
        if self.has_ended_soon() {
            return;
        }
        // It ends what a lost warden left, or was stopped.
        self.signal(Signal::CONT);
        if let Some(mut process) = locked(&self.process).take() {
            let _ = std::thread::Builder::new().spawn(move || process.wait());
        }
    }
}

/// A warden that was spawned.
#[derive(Debug)]
pub(super) struct SpawnedWarden {
    pid: i32,
    /// A descriptor of it, which becomes readable when it ends.
    exit: Arc<OwnedFd>,
    subreaper: Arc<Subreaper>,
}

impl SpawnedWarden {
    pub(super) fn pid(&self) -> i32 {
        self.pid
    }

    pub(super) fn exit(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.exit)
    }

    pub(super) fn signal(&self, signal: Signal) {
        let _ = pidfd_send_signal(&self.exit, signal);
    }

    /// Waits until it has ended; whether it has by then. Blocks.
    pub(super) fn has_ended_within(&self, time: Duration) -> bool {
        has_ended_within(&self.exit, time)
    }

    /// What it left, once that is ended or this time is over; `None` if the kernel's word on that
    /// cannot be had. Blocks.
    pub(super) fn left(&self, within: Duration) -> Option<Left> {
        self.subreaper.left(Some(self.pid), within)
    }
}

/// Waits for the process of a descriptor.
fn has_ended_within(exit: &OwnedFd, time: Duration) -> bool {
    let timeout = time.try_into().ok();
    poll(&mut [PollFd::new(exit, PollFlags::IN)], timeout.as_ref()).is_ok_and(|ready| ready > 0)
}
