//! Ends what carries a session's marks when its warden cannot: after the warden was lost, and
//! before the next start binds anything.
//!
//! Only processes are touched that carry the marks, started after the session did, belong to this
//! user, and are still the ones that were looked at when the signal is sent.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use antiphon_core::id::SessionId;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, pidfd_open, waitpid};

use super::folder::{Begun, Opened, SESSIONS, SessionFolder, name_of};
use super::identity::{Place, ProcessIdentity, Where};
use super::proc_table::{self, Seen};
use super::tattoo::Tattoo;
use super::tree_end::{Leftover, TreeEnd};
use super::wire::{WARDEN_NAME, WARDEN_WORD};
use super::{scratch, signal};

/// How long a warden that is still there has to finish by itself.
const WARDEN_FINISHES_WITHIN: Duration = Duration::from_secs(10);
const STOP_PASSES: usize = 6;
/// This many scans in a row must find nobody.
const EMPTY_SCANS: usize = 2;

/// What an earlier start had left of a session, and what became of it. The session's folder stays
/// until its end is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swept {
    /// The session.
    pub session: SessionId,
    /// What could be said about it.
    pub verdict: SweepVerdict,
    /// Processes that were killed now.
    pub killed: u64,
    /// Those that could not be ended.
    pub leftovers: Vec<Leftover>,
    /// The end that its warden left, if it came to that.
    pub end: Option<TreeEnd>,
}

/// What a sweep could say about a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SweepVerdict {
    /// Its program never ran.
    NeverRan,
    /// The machine was started again since, so nothing of it lives. An end that its warden left is
    /// not believed.
    EarlierBoot,
    /// Nothing that carries its marks lives. If no end was left, a process that washed off both
    /// marks would not have been seen.
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

    /// What is left of it or may be, and what to do then; empty if it is clean.
    #[must_use]
    pub fn left(&self) -> Vec<String> {
        match self.verdict {
            SweepVerdict::CannotVerify => vec![elsewhere(&self.session)],
            _ => self.leftovers.iter().map(ToString::to_string).collect(),
        }
    }
}

/// Ends what an earlier start has left running. Blocks; whoever calls this holds the lock of the
/// state directory, so no engine lives.
///
/// # Errors
/// If the folder of the sessions cannot be read, or what is written down in it is not understood.
pub fn sweep(state_directory: &Path) -> io::Result<Vec<Swept>> {
    let mut swept = Vec::new();
    for folder in folders(state_directory)? {
        match sweep_folder(&folder)? {
            Some(session) => swept.push(session),
            // The first line is durable before anything is spawned, so nothing was.
            None => folder.remove()?,
        }
    }
    swept.sort_by(|one, other| one.session.cmp(&other.session));
    Ok(swept)
}

fn folders(state_directory: &Path) -> io::Result<Vec<SessionFolder>> {
    match std::fs::read_dir(state_directory.join(SESSIONS)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries?.map(|entry| Ok(SessionFolder::at(entry?.path()))).collect(),
    }
}

/// What whoever runs the engine has to do about a session of which nothing can be seen.
pub(super) fn elsewhere(session: &SessionId) -> String {
    format!(
        "whatever it left in the container, or other process namespace, that it was started in, which cannot be seen from here; once you \
         have made sure that this container is gone, remove the folder {SESSIONS}/{} of the state directory",
        name_of(session)
    )
}

/// Ends what is left of one session; `None` without a first line.
pub(super) fn sweep_folder(folder: &SessionFolder) -> io::Result<Option<Swept>> {
    let (opened, begun) = folder.lines()?;
    Ok(opened.map(|opened| sweep_session(folder, opened, begun)))
}

fn sweep_session(folder: &SessionFolder, opened: Opened, begun: Option<Begun>) -> Swept {
    let (marked, verdict) = match opened.place.seen_from(&Where::here()) {
        Place::EarlierBoot => (Marked::default(), SweepVerdict::EarlierBoot),
        Place::Gone => (Marked::default(), SweepVerdict::NamespaceGone),
        // What a warden has established holds wherever it is read.
        Place::Elsewhere if folder.end().is_some_and(|end| end.clean) => {
            (Marked::default(), SweepVerdict::Gone)
        }
        // Its engine, which lives no more, would have written a second line before it let the
        // program run.
        Place::Elsewhere if begun.is_none() => (Marked::default(), SweepVerdict::NeverRan),
        Place::Elsewhere => (Marked::default(), SweepVerdict::CannotVerify),
        Place::Here => end_visible(&opened, begun),
        // Neither ids nor the beginning of time need be the same there. The marks are.
        Place::Visible => {
            let (marked, verdict) = end_visible(&Opened { since: 0, ..opened.clone() }, None);
            let has_run = verdict == SweepVerdict::NeverRan && begun.is_some();
            (marked, if has_run { SweepVerdict::Gone } else { verdict })
        }
    };
    let end = match verdict {
        // Nothing of an end is synced, so after a power cut it may be there without what it speaks
        // of.
        SweepVerdict::EarlierBoot => None,
        // A warden that nobody wrote down may be ending at this moment, and has nothing to tell.
        SweepVerdict::NeverRan => None,
        SweepVerdict::Gone
        | SweepVerdict::Alive
        | SweepVerdict::NamespaceGone
        | SweepVerdict::CannotVerify => folder.end(),
    };
    if verdict != SweepVerdict::CannotVerify
        && let Some(directory) = &opened.scratch
    {
        scratch::remove(&directory.path());
    }
    Swept {
        session: opened.session,
        verdict,
        killed: marked.killed,
        leftovers: marked.leftovers,
        end,
    }
}

/// Ends what is left of a session whose processes can all be seen.
fn end_visible(opened: &Opened, begun: Option<Begun>) -> (Marked, SweepVerdict) {
    let recorded = begun.and_then(|begun| begun.warden);
    if let Some(warden) = recorded.or_else(|| unrecorded_warden(opened)) {
        let_finish(warden);
    }
    let marked = end_marked(&Marks::of(opened, begun), WARDEN_FINISHES_WITHIN);
    let verdict = match (marked.is_clean, begun) {
        (false, _) => SweepVerdict::Alive,
        (true, None) => SweepVerdict::NeverRan,
        (true, Some(_)) => SweepVerdict::Gone,
    };
    (marked, verdict)
}

/// A warden whose engine died before it could write down which process that is; the mark is among
/// its arguments.
pub(super) fn unrecorded_warden(opened: &Opened) -> Option<ProcessIdentity> {
    let beginning = format!("{WARDEN_NAME}\0{WARDEN_WORD}\0{}\0", opened.tattoo);
    let is_it = |seen: &Seen| {
        seen.start >= opened.since
            && std::fs::read(format!("/proc/{}/cmdline", seen.pid))
                .is_ok_and(|line| line.starts_with(beginning.as_bytes()))
    };
    proc_table::all()
        .into_iter()
        .find(is_it)
        .map(|seen| ProcessIdentity { pid: seen.pid, start: seen.start })
}

/// A warden whose engine is gone ends its session by itself, unless somebody stopped it.
fn let_finish(warden: ProcessIdentity) {
    let Some(pid) = Pid::from_raw(warden.pid) else { return };
    let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else { return };
    if !warden.exists() || proc_table::user(warden.pid) != Some(rustix::process::geteuid().as_raw())
    {
        return;
    }
    let ends_within = |time: Duration| {
        let timeout = time.try_into().ok();
        poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], timeout.as_ref())
            .is_ok_and(|ready| ready > 0)
    };
    signal::to_identity(warden, Signal::CONT);
    if !ends_within(WARDEN_FINISHES_WITHIN) {
        signal::to_identity(warden, Signal::KILL);
        ends_within(WARDEN_FINISHES_WITHIN);
    }
}

/// How the processes of one session are told from all others.
#[derive(Debug, Clone)]
pub(super) struct Marks {
    tattoo: Tattoo,
    agent: Option<ProcessIdentity>,
    since: u64,
}

impl Marks {
    pub(super) fn of(opened: &Opened, begun: Option<Begun>) -> Self {
        Self { tattoo: opened.tattoo, agent: begun.map(|begun| begun.agent), since: opened.since }
    }

    fn are_on(&self, seen: &Seen, pair: &[u8]) -> bool {
        self.tattoo.is_on(seen.pid)
            || self.agent == Some(ProcessIdentity { pid: seen.pid, start: seen.start })
            || proc_table::has_variable(seen.pid, pair)
    }

    /// Every process of the session, zombies too: those that carry a mark, and those below them.
    pub(super) fn find(&self) -> Vec<Seen> {
        let own = rustix::process::getpid().as_raw_nonzero().get();
        let pair = self.tattoo.pair();
        let mut others: BTreeMap<i32, Vec<Seen>> = BTreeMap::new();
        let mut found = Vec::new();
        for seen in
            proc_table::all().into_iter().filter(|seen| seen.start >= self.since && seen.pid != own)
        {
            if self.are_on(&seen, &pair) {
                found.push(seen);
            } else {
                others.entry(seen.parent).or_default().push(seen);
            }
        }
        let mut next = 0;
        while let Some(parent) = found.get(next).map(|seen| seen.pid) {
            found.extend(others.remove(&parent).unwrap_or_default());
            next += 1;
        }
        found
    }
}

/// What ending the marked came to.
#[derive(Debug, Default)]
pub(super) struct Marked {
    pub(super) killed: u64,
    pub(super) is_clean: bool,
    pub(super) leftovers: Vec<Leftover>,
}

/// Ends everything that carries the marks, and reaps those of them that have come to this process.
/// Blocks.
pub(super) fn end_marked(marks: &Marks, within: Duration) -> Marked {
    let own = rustix::process::getpid().as_raw_nonzero().get();
    let user = rustix::process::geteuid();
    let is_ours = |seen: &Seen| user.is_root() || proc_table::user(seen.pid) == Some(user.as_raw());
    let until = Instant::now() + within;
    let mut killed = HashSet::new();
    let mut empty_scans = 0;
    let mut pause = Duration::from_micros(200);
    loop {
        // What is stopped neither forks nor runs away, so the list becomes complete.
        let mut stopped = HashSet::new();
        let mut alive: Vec<Seen> = Vec::new();
        for _ in 0..STOP_PASSES {
            let mut found_new = false;
            for seen in marks.find() {
                if seen.parent == own && !seen.is_alive() {
                    reap(seen.pid);
                } else if seen.is_alive() && stopped.insert((seen.pid, seen.start)) {
                    found_new = true;
                    if is_ours(&seen) {
                        signal::to_process(&seen, Signal::STOP);
                    }
                    alive.push(seen);
                }
            }
            if !found_new {
                break;
            }
        }
        empty_scans = if alive.is_empty() { empty_scans + 1 } else { 0 };
        if empty_scans >= EMPTY_SCANS {
            return Marked { killed: killed.len() as u64, is_clean: true, leftovers: Vec::new() };
        }
        for seen in alive.iter().filter(|seen| is_ours(seen)) {
            signal::to_process(seen, Signal::KILL);
            killed.insert(ProcessIdentity { pid: seen.pid, start: seen.start });
        }
        if Instant::now() >= until {
            let leftovers = alive.iter().filter(|seen| {
                proc_table::stat(seen.pid).is_some_and(|now| now.start == seen.start)
            });
            return Marked {
                killed: killed.len() as u64,
                is_clean: false,
                leftovers: leftovers.map(signal::leftover).collect(),
            };
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(10));
    }
}

/// Takes the end of one orphan that came to this process. Never of any child: others wait for
/// theirs.
fn reap(pid: i32) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = waitpid(Some(pid), WaitOptions::NOHANG);
    }
}
