//! A session that runs: how it is stopped, and how its end is learned, whatever becomes of its
//! warden.

use std::os::fd::OwnedFd;
use std::process::Child;
use std::time::Duration;

use antiphon_core::id::SessionId;
use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
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
        warden: Child,
        (stream, inbox): (UnixStream, Inbox),
        folder: SessionFolder,
        opened: OpenRecord,
        setup: WardenSetup,
    ) -> Self {
        let (stops, asked) = mpsc::unbounded_channel();
        let processes = SessionProcesses::of(&opened, Some(begun));
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
            tracing::error!(session = %self.session, %error, "the watch over a session was lost");
            lost(Cause::WardenLost)
        });
        self.end.insert(end).clone()
    }
}

/// What watches one session from the engine's side.
#[derive(Debug)]
struct WardenWatch {
    warden: Child,
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
        let reported = self.listen(exit.as_ref(), asked).await;
        self.see_warden_gone(exit.as_ref(), reported.is_some()).await;
        let Self { mut warden, folder, processes, opened, setup, .. } = self;
        let conclude = move || {
            let is_gone = matches!(warden.try_wait(), Ok(Some(_)) | Err(_));
            let mut end = conclude(reported, &folder, &processes, &setup);
            if !is_gone {
                // Killed and still there: it hangs in a call of the system, and so may what it
                // owns.
                end.clean = false;
                end.leftovers.extend(
                    proc_table::stat(warden.id().cast_signed()).as_ref().map(signal::leftover),
                );
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
    async fn listen(
        &mut self,
        exit: Option<&Exit>,
        mut asked: mpsc::UnboundedReceiver<StopReason>,
    ) -> Option<TreeEnd> {
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
                        signal_warden(exit, Signal::CONT);
                    }
                    Err(_) => return None,
                },
            }
        }
    }

    fn is_stopped(&self) -> bool {
        proc_table::stat(self.warden.id().cast_signed())
            .is_some_and(|seen| matches!(seen.state, 'T' | 't'))
    }

    /// Waits until the warden has ended; one that does not by itself is killed.
    async fn see_warden_gone(&mut self, exit: Option<&Exit>, has_reported: bool) {
        let Some(exit) = exit else {
            // No descriptors are left. A killed process is gone at once, so this does not wait
            // long.
            let _ = self.warden.kill();
            let _ = self.warden.wait();
            return;
        };
        if has_reported && tokio::time::timeout(SECOND_CHANCE, exit.readable()).await.is_ok() {
            return;
        }
        signal_warden(Some(exit), Signal::KILL);
        let _ =
            tokio::time::timeout(self.setup.end_within.max(SECOND_CHANCE), exit.readable()).await;
    }

    fn exit_of_warden(&self) -> Option<Exit> {
        let pid = rustix::process::Pid::from_raw(self.warden.id().cast_signed())?;
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        // SAFETY: an owned descriptor always names the same open file until it is dropped, and the
        // `AsyncFd` owns it from here on.
        unsafe { AsyncFd::register_with_interest(pidfd, tokio::io::Interest::READABLE) }.ok()
    }
}

/// A descriptor of the warden that becomes readable when it ends.
type Exit = AsyncFd<OwnedFd>;

fn signal_warden(exit: Option<&Exit>, signal: Signal) {
    if let Some(exit) = exit {
        let _ = pidfd_send_signal(exit.get_ref(), signal);
    }
}

/// What the end is, after the warden is gone. Blocks.
fn conclude(
    reported: Option<TreeEnd>,
    folder: &SessionFolder,
    processes: &SessionProcesses,
    setup: &WardenSetup,
) -> TreeEnd {
    match reported {
        Some(end) if end.clean => end,
        // Its warden gave up: what is left has come to us.
        Some(end) => end.with_sweep(end_processes(processes, setup.end_within)),
        None => {
            let cleared = end_processes(processes, setup.end_within);
            folder.end().unwrap_or_else(|| lost_with_outputs(folder)).with_sweep(cleared)
        }
    }
}

impl TreeEnd {
    /// The same after the engine has ended what was left.
    fn with_sweep(mut self, cleared: EndedProcesses) -> Self {
        if self.clean && cleared.killed == 0 && cleared.clean {
            return self;
        }
        self.containment = Containment::BestEffort;
        self.killed += cleared.killed;
        self.clean = cleared.clean;
        self.leftovers = cleared.leftovers;
        self
    }
}

fn lost_with_outputs(folder: &SessionFolder) -> TreeEnd {
    let captured = |kept| {
        let length = std::fs::metadata(folder.path_of(kept)).map_or(0, |meta| meta.len());
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
