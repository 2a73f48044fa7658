//! Ends what carries a session's marks when its warden cannot: after the warden was lost, and
//! before the next start binds anything.
//!
//! Only processes of sessions are touched; see `session_processes`.

use std::io;
use std::path::Path;
use std::time::Duration;

use antiphon_core::id::SessionId;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};

use super::folder::{Begun, Listed, OpenRecord, SESSIONS, STRAY, SessionFolder, name_of};
use super::identity::{ProcessIdentity, Visibility, Where};
use super::proc_table::{self, ProcessStat};
use super::session_processes::{EndedProcesses, SessionProcesses, end_processes};
use super::tree_end::{Leftover, TreeEnd};
use super::wire::{WARDEN_NAME, WARDEN_WORD};
use super::{scratch, signal, subreaper};
use crate::folder::Folder;
use crate::output_files::FilesBefore;

/// How long a warden that is still there has to finish by itself.
const WARDEN_FINISHES_WITHIN: Duration = Duration::from_secs(10);

/// What an earlier start had left of a session, and what became of it. The session's folder stays
/// until its end is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct Swept {
    pub session: SessionId,
    /// What could be said about it.
    pub verdict: SweepVerdict,
    /// Processes that were killed now.
    pub killed: u64,
    /// Those that could not be ended.
    pub leftovers: Vec<Leftover>,
    /// The end that its warden wrote, if it got that far.
    pub end: Option<TreeEnd>,
    /// For how long it had run, as far as its warden wrote that down.
    pub ran: Option<Duration>,
    /// What was in the places of the files that it was to make.
    pub files: FilesBefore,
}

/// What a sweep could say about a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SweepVerdict {
    /// Its program never ran.
    NeverRan,
    /// The machine was started again since, so nothing of it lives. An end that its warden left is
    /// not believed.
    EarlierBoot,
    /// Nothing that carries its marks lives. If no clean end was left, a process that washed off
    /// both marks would not have been seen.
    Gone,
    /// Something of it lives and cannot be ended; it must not be retried before that is gone.
    Alive,
    /// The process namespace that it was started in is gone, and with it all that was in it.
    NamespaceGone,
    /// It was started in another process namespace, where this process cannot see, and no warden
    /// left a clean end.
    CannotVerify,
}

impl Swept {
    /// Whether the session may be run again.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        !matches!(self.verdict, SweepVerdict::Alive | SweepVerdict::CannotVerify)
    }

    /// Whether it is established that nothing of it lives, and not only that nothing was found.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        match self.verdict {
            SweepVerdict::NeverRan | SweepVerdict::EarlierBoot | SweepVerdict::NamespaceGone => {
                true
            }
            SweepVerdict::Gone => self.end.as_ref().is_some_and(|end| end.clean),
            SweepVerdict::Alive | SweepVerdict::CannotVerify => false,
        }
    }

    /// The same where these are left that may be its own.
    pub(super) fn but_for(self, leftovers: Vec<Leftover>) -> Self {
        let verdict = match self.verdict {
            SweepVerdict::CannotVerify => SweepVerdict::CannotVerify,
            _ => SweepVerdict::Alive,
        };
        let leftovers = self.leftovers.into_iter().chain(leftovers).collect();
        Self { verdict, leftovers, ..self }
    }

    /// What is left of it or may be, and what to do then; empty if it is clean.
    #[must_use]
    pub fn left(&self) -> Vec<String> {
        match self.verdict {
            SweepVerdict::CannotVerify => vec![advice_on_hidden(&self.session)],
            _ => self.leftovers.iter().map(ToString::to_string).collect(),
        }
    }
}

/// Ends what an earlier start has left running. Blocks; the caller must hold the lock of the
/// state directory, so no engine lives.
///
/// # Errors
/// If the folder of the sessions cannot be read, or what is written down in it is not understood.
pub fn sweep(state_directory: &Path) -> io::Result<Vec<Swept>> {
    sweep_in(&Folder::open(state_directory)?)
}

/// The same in a state directory that is held open.
///
/// # Errors
/// As [`sweep`].
pub(crate) fn sweep_in(state_directory: &Folder) -> io::Result<Vec<Swept>> {
    let mut swept = Vec::new();
    for entry in SessionFolder::list(state_directory)? {
        let folder = match entry {
            Listed::Folder(folder) => folder,
            Listed::Stray(path) => {
                tracing::warn!(path = %path.display(), "{STRAY}; it is left alone");
                continue;
            }
        };
        match sweep_folder(&folder).map_err(|error| named(&folder, error))? {
            Some(session) => swept.push(session),
            // The first line is durable before anything is spawned, so nothing was.
            None => folder.remove().map_err(|error| named(&folder, error))?,
        }
    }
    let left = let_subreapers_finish(state_directory)?;
    if !left.is_empty() {
        let may_be_of = |swept: Swept| match swept.is_proven() {
            true => swept,
            false => swept.but_for(left.clone()),
        };
        swept = swept.into_iter().map(may_be_of).collect();
    }
    swept.sort_by(|one, other| one.session.cmp(&other.session));
    Ok(swept)
}

/// Waits until the subreapers of earlier engines have ended what wardens that were lost left; those
/// that have not.
fn let_subreapers_finish(state_directory: &Folder) -> io::Result<Vec<Leftover>> {
    for subreaper in subreaper::earlier(state_directory)? {
        wait_for(subreaper, Signal::CONT);
    }
    subreapers_left(state_directory)
}

/// The subreapers of earlier engines that still have something to end.
///
/// # Errors
/// If processes cannot be listed.
pub(super) fn subreapers_left(state_directory: &Folder) -> io::Result<Vec<Leftover>> {
    let left = subreaper::earlier(state_directory)?.into_iter();
    let alive = left.filter_map(|left| proc_table::stat(left.pid)).filter(ProcessStat::is_alive);
    Ok(alive.map(|seen| signal::leftover(&seen)).collect())
}

fn named(folder: &SessionFolder, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", folder.shown().display()))
}

/// What an operator has to do about a session of which nothing can be seen.
pub(super) fn advice_on_hidden(session: &SessionId) -> String {
    format!(
        "possibly processes in the container or other process namespace where it was started, \
         which cannot be seen from here; once you have made sure that this container is gone, \
         remove the folder {SESSIONS}/{} of the state directory",
        name_of(session)
    )
}

/// Ends what is left of one session; `None` without a first line.
pub(super) fn sweep_folder(folder: &SessionFolder) -> io::Result<Option<Swept>> {
    let (opened, begun) = folder.lines()?;
    Ok(opened.map(|opened| sweep_session(folder, opened, begun)))
}

fn sweep_session(folder: &SessionFolder, opened: OpenRecord, begun: Option<Begun>) -> Swept {
    let (cleared, verdict) = match opened.place.seen_from(&Where::here()) {
        Visibility::EarlierBoot => (EndedProcesses::default(), SweepVerdict::EarlierBoot),
        Visibility::Gone => (EndedProcesses::default(), SweepVerdict::NamespaceGone),
        // What a warden has established holds wherever it is read.
        Visibility::Hidden if folder.end().is_some_and(|end| end.clean) => {
            (EndedProcesses::default(), SweepVerdict::Gone)
        }
        // Its engine, which is gone, would have written a second line before it let the
        // program run.
        Visibility::Hidden if begun.is_none() => {
            (EndedProcesses::default(), SweepVerdict::NeverRan)
        }
        Visibility::Hidden => (EndedProcesses::default(), SweepVerdict::CannotVerify),
        Visibility::Here => end_visible(&opened, begun),
        // Neither ids nor the beginning of time need be the same there. The marks are.
        Visibility::Visible => {
            let (cleared, verdict) = end_visible(&opened.at_any_time(), None);
            let has_run = verdict == SweepVerdict::NeverRan && begun.is_some();
            (cleared, if has_run { SweepVerdict::Gone } else { verdict })
        }
    };
    let end = match verdict {
        // Nothing of an end is synced, so after a power cut it may be there without what it speaks
        // of.
        SweepVerdict::EarlierBoot => None,
        // A warden that was not written down may be ending right now, and has nothing to report.
        SweepVerdict::NeverRan => None,
        SweepVerdict::Gone
        | SweepVerdict::Alive
        | SweepVerdict::NamespaceGone
        | SweepVerdict::CannotVerify => folder.end(),
    };
    if verdict != SweepVerdict::CannotVerify
        && let Some(directory) = &opened.scratch
    {
        scratch::remove_proven(&directory.path(), opened.mark);
    }
    let ran = match &end {
        Some(end) => Some(Duration::from_millis(end.used.time_ms)),
        None if verdict == SweepVerdict::NeverRan => None,
        None => folder.time(),
    };
    Swept {
        session: opened.session,
        ran,
        verdict,
        killed: cleared.killed,
        leftovers: cleared.leftovers,
        end,
        files: opened.files,
    }
}

/// Ends what is left of a session whose processes can all be seen.
fn end_visible(opened: &OpenRecord, begun: Option<Begun>) -> (EndedProcesses, SweepVerdict) {
    // The record may have come from elsewhere; the mark among a process's arguments did not.
    let recorded = begun
        .and_then(|begun| begun.warden)
        .filter(|warden| warden.exists() && is_warden(warden.pid, opened));
    if let Some(warden) = recorded.or_else(|| unrecorded_warden(opened)) {
        let_finish(warden);
    }
    let cleared = end_processes(&SessionProcesses::of(opened), WARDEN_FINISHES_WITHIN);
    let verdict = match (cleared.clean, begun) {
        (false, _) => SweepVerdict::Alive,
        (true, None) => SweepVerdict::NeverRan,
        (true, Some(_)) => SweepVerdict::Gone,
    };
    (cleared, verdict)
}

/// A warden whose engine died before it could write down which process that is; the mark is among
/// its arguments.
pub(super) fn unrecorded_warden(opened: &OpenRecord) -> Option<ProcessIdentity> {
    let is_it = |seen: &ProcessStat| seen.start >= opened.since && is_warden(seen.pid, opened);
    // Where processes cannot be listed, nothing of the session counts as gone.
    proc_table::all()
        .unwrap_or_default()
        .into_iter()
        .find(is_it)
        .map(|seen| ProcessIdentity { pid: seen.pid, start: seen.start })
}

/// Whether a process is a warden of this session, by the mark among its arguments.
fn is_warden(pid: i32, opened: &OpenRecord) -> bool {
    let beginning = format!("{WARDEN_NAME}\0{WARDEN_WORD}\0{}\0", opened.mark);
    proc_table::read(format!("/proc/{pid}/cmdline"))
        .is_ok_and(|line| line.starts_with(beginning.as_bytes()))
}

/// A warden whose engine is gone ends its session by itself, unless it was stopped by a signal.
fn let_finish(warden: ProcessIdentity) {
    if !wait_for(warden, Signal::CONT) {
        wait_for(warden, Signal::KILL);
    }
}

/// Sends a signal to a process of ours and waits for its end; whether it is gone by then.
fn wait_for(process: ProcessIdentity, signal: Signal) -> bool {
    let Some(pid) = Pid::from_raw(process.pid) else { return true };
    let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else { return true };
    let user = rustix::process::geteuid().as_raw();
    if !process.exists() || proc_table::user(process.pid) != Some(user) {
        return true;
    }
    signal::to_identity(process, signal);
    let timeout = WARDEN_FINISHES_WITHIN.try_into().ok();
    poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], timeout.as_ref()).is_ok_and(|ready| ready > 0)
}
