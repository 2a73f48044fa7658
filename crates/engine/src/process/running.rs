//! A session that runs: how it is stopped, and how its end is learned, whatever becomes of its
//! warden.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use antiphon_core::id::SessionId;
use rustix::process::Signal;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::folder::{Begun, Kept, OpenRecord, SessionFolder};
use super::identity::ProcessIdentity;
use super::launch::StopReason;
use super::session_processes::{EndedProcesses, SessionProcesses, end_processes};
use super::setup::WardenSetup;
use super::subreaper::Left;
use super::subreapers::SpawnedWarden;
use super::tree_end::{Captured, Cause, Containment, Protection, Resources, ResultFile, TreeEnd};
use super::wire::{FromWarden, Inbox, ToWarden, frame};
use super::{proc_table, scratch, signal};

/// How long a warden that was continued, or has said its last, may take.
const SECOND_CHANCE: Duration = Duration::from_secs(3);

/// A session that runs. Dropping it ends the session at once and without grace.
#[derive(Debug)]
pub struct RunningTree {
    session: SessionId,
    begun: Begun,
    stops: mpsc::UnboundedSender<StopReason>,
    watch: JoinHandle<TreeEnd>,
    end: Option<TreeEnd>,
}

impl RunningTree {
    /// Watches a session that was let run under this warden.
    pub(super) fn new(
        session: SessionId,
        begun: Begun,
        warden: SpawnedWarden,
        (stream, inbox): (UnixStream, Inbox),
        folder: SessionFolder,
        opened: OpenRecord,
        setup: WardenSetup,
    ) -> Self {
        let (stops, asked) = mpsc::unbounded_channel();
        let processes = SessionProcesses::of(&opened).with_agent(begun.agent);
        let watch = WardenWatch { warden, stream, inbox, folder, processes, opened, setup };
        Self { session, begun, stops, watch: tokio::spawn(watch.until_the_end(asked)), end: None }
    }

    #[must_use]
    #[expect(missing_docs, reason = "the name says it")]
    pub fn session(&self) -> &SessionId {
        &self.session
    }

    #[must_use]
    #[expect(missing_docs, reason = "the name says it")]
    pub fn agent(&self) -> ProcessIdentity {
        self.begun.agent
    }

    /// Its warden, if it was still there when it was looked at.
    #[must_use]
    pub fn warden(&self) -> Option<ProcessIdentity> {
        self.begun.warden
    }

    /// Asks it to stop; after its grace it is killed. The first reason counts.
    pub fn stop(&self, stop: StopReason) {
        // The watch is gone only when the session is.
        let _ = self.stops.send(stop);
    }

    /// Waits for the end of its whole tree. Cancel safe.
    pub async fn ended(&mut self) -> TreeEnd {
        if let Some(end) = &self.end {
            return end.clone();
        }
        let end = (&mut self.watch).await.unwrap_or_else(|error| {
            tracing::error!(run = %self.session.coordination, session = %self.session, %error, "the watch over a session was lost");
            lost(Cause::WardenLost)
        });
        self.end.insert(end).clone()
    }
}

/// What watches one session from the engine's side.
#[derive(Debug)]
struct WardenWatch {
    warden: SpawnedWarden,
    stream: UnixStream,
    inbox: Inbox,
    folder: SessionFolder,
    processes: SessionProcesses,
    opened: OpenRecord,
    setup: WardenSetup,
}

impl WardenWatch {
    async fn until_the_end(mut self, asked: mpsc::UnboundedReceiver<StopReason>) -> TreeEnd {
        // Opened while it is our child and not reaped, so it is about no other process, however
        // long this takes.
        let exit = self.exit_of_warden();
        let reported = self.listen(asked).await;
        self.see_warden_gone(exit.as_ref(), reported.is_some()).await;
        let Self { warden, folder, processes, opened, setup, .. } = self;
        let conclude = move || {
            let is_gone = warden.has_ended_within(Duration::ZERO);
            let left = || is_gone.then(|| warden.left(setup.end_within)).flatten();
            let mut end =
                conclude(reported, &folder, left, || end_processes(&processes, setup.end_within));
            if !is_gone {
                // Killed and still there: it hangs in a call of the system, and so may what it
                // owns.
                end.clean = false;
                end.leftovers.extend(proc_table::stat(warden.pid()).as_ref().map(signal::leftover));
            }
            if let Some(directory) = &opened.scratch {
                scratch::remove(&directory.path());
            }
            end
        };
        match tokio::task::spawn_blocking(conclude).await {
            Ok(end) => end,
            Err(_) => lost(Cause::WardenLost),
        }
    }

    /// Listens until the warden reports the end, is gone, or stays silent for too long.
    async fn listen(&mut self, mut asked: mpsc::UnboundedReceiver<StopReason>) -> Option<TreeEnd> {
        let mut may_be_asked = true;
        let mut was_continued = false;
        let mut chunk = [0; 4096];
        loop {
            loop {
                match self.inbox.next() {
                    Ok(Some(FromWarden::Ended(end))) => return Some(*end),
                    Ok(Some(_)) => was_continued = false,
                    Ok(None) => break,
                    Err(_) => return None,
                }
            }
            let silence = if was_continued { SECOND_CHANCE } else { self.setup.silence };
            tokio::select! {
                stop = asked.recv(), if may_be_asked => match stop {
                    // A warden that does not take it is lost, and that is noticed below.
                    Some(stop) => drop(self.stream.write_all(&frame(&ToWarden::Stop(stop))).await),
                    None => {
                        may_be_asked = false;
                        let _ = self.stream.shutdown().await;
                    }
                },
                read = tokio::time::timeout(silence, self.stream.read(&mut chunk)) => match read {
                    Ok(Ok(0) | Err(_)) => return None,
                    Ok(Ok(length)) => self.inbox.push(&chunk[..length]),
                    Err(_) if !was_continued && self.is_stopped() => {
                        was_continued = true;
                        self.warden.signal(Signal::CONT);
                    }
                    Err(_) => return None,
                },
            }
        }
    }

    fn is_stopped(&self) -> bool {
        proc_table::stat(self.warden.pid()).is_some_and(|seen| matches!(seen.state, 'T' | 't'))
    }

    /// Waits until the warden has ended; one that does not by itself is killed.
    async fn see_warden_gone(&mut self, exit: Option<&Exit>, has_reported: bool) {
        let Some(exit) = exit else {
            // It cannot be waited for here. A killed process is gone at once, so this does not
            // take long.
            self.warden.signal(Signal::KILL);
            self.warden.has_ended_within(SECOND_CHANCE);
            return;
        };
        if has_reported && tokio::time::timeout(SECOND_CHANCE, exit.readable()).await.is_ok() {
            return;
        }
        self.warden.signal(Signal::KILL);
        let _ =
            tokio::time::timeout(self.setup.end_within.max(SECOND_CHANCE), exit.readable()).await;
    }

    fn exit_of_warden(&self) -> Option<Exit> {
        let exit = self.warden.exit();
        // SAFETY: an owned descriptor always names the same open file until it is dropped, and the
        // `AsyncFd` holds it from here on.
        unsafe { AsyncFd::register_with_interest(exit, tokio::io::Interest::READABLE) }.ok()
    }
}

/// A descriptor of the warden that becomes readable when it ends.
type Exit = AsyncFd<Arc<OwnedFd>>;

/// What the end is, after the warden is gone: as it said, or by the kernel's word on what it left,
/// if that can be had, or by what a scan for the marks finds. Blocks.
fn conclude(
    reported: Option<TreeEnd>,
    folder: &SessionFolder,
    left: impl FnOnce() -> Option<Left>,
    end_marked: impl FnOnce() -> EndedProcesses,
) -> TreeEnd {
    let is_reported = reported.is_some();
    // What it has left on the disk is believed if it has left nothing else.
    let ended = match reported.or_else(|| folder.end()) {
        Some(end) if end.clean && is_reported => return end,
        ended => ended,
    };
    let left = left();
    let (is_proven, cleared) = match left {
        Some(left) if left.is_nothing() => (true, left.into()),
        // What hides from the one is seen by the other.
        left => (false, end_marked().with(left)),
    };
    match ended {
        Some(end) if end.clean && cleared.clean && cleared.killed == 0 => end,
        // Its warden gave up: that it was ended later makes the end no better.
        Some(end) if is_reported || !end.clean => end.with_sweep(cleared),
        _ => {
            let mut end = lost_with_outputs(folder).with_sweep(cleared);
            if is_proven {
                end.clean = true;
                end.containment = Containment::Subreaper;
            }
            end
        }
    }
}

impl TreeEnd {
    /// The same after what was left has been ended, as far as that could be. It gets no better by
    /// that, and still names what its warden could not end.
    fn with_sweep(mut self, cleared: EndedProcesses) -> Self {
        self.containment = Containment::BestEffort;
        self.killed += cleared.killed;
        self.clean = false;
        if !cleared.leftovers.is_empty() {
            self.leftovers = cleared.leftovers;
        }
        self
    }
}

fn lost_with_outputs(folder: &SessionFolder) -> TreeEnd {
    let captured = |kept| {
        let length = folder.length(kept);
        Captured { kept: length, seen: length, cut: true, tail: 0 }
    };
    TreeEnd {
        stdout: captured(Kept::Stdout),
        stderr: captured(Kept::Stderr),
        ..lost(Cause::WardenLost)
    }
}

/// The end of a session that was not seen to end.
fn lost(cause: Cause) -> TreeEnd {
    TreeEnd {
        cause,
        status: None,
        clean: false,
        containment: Containment::BestEffort,
        protection: Protection::None,
        killed: 0,
        leftovers: Vec::new(),
        stdout: Captured::default(),
        stderr: Captured::default(),
        check: None,
        result: ResultFile::Absent,
        used: Resources::default(),
    }
}
