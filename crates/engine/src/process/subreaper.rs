//! The subreaper: a small process between an engine and its wardens, to which whatever a lost warden
//! leaves comes.
//!
//! It has no children but wardens, which it starts for its engine. So every other child that it gets
//! is by that of a session whose warden was lost, whatever the child did to hide that, and is ended.
//! Nobody else's children ever come to it: not those of the engine's program, nor those that a shell
//! had before it became that program. It has one thread, and stays until all wardens have ended also
//! where the engine is gone.

mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

pub(super) use self::wire::{FromSubreaper, Left, ToSubreaper};
use super::children::{self, Ending};
use super::cut_off::{self, cut_off};
use super::identity::ProcessIdentity;
use super::packets::Packets;
use super::proc_table::{self, ProcessStat};
use super::signal;
use super::tree_end::{ExitStatus, Leftover};
use super::warden::Signals;
use super::wire::{VERSION, WARDEN_NAME, WARDEN_WORD};
use crate::folder::Folder;

/// The name under which it is started, and its first argument.
pub(super) const SUBREAPER_NAME: &str = "antiphon-subreaper";
pub(super) const SUBREAPER_WORD: &str = "__subreaper";

/// What a subreaper has as an argument, so that the next engine of the directory knows it.
pub(super) fn key_of(state_directory: &Folder) -> io::Result<String> {
    let meta = state_directory.file().metadata()?;
    Ok(format!("{:x}:{:x}", meta.dev(), meta.ino()))
}

/// The subreapers of earlier engines of a state directory that are still there, by their arguments;
/// none that this process has started.
///
/// # Errors
/// If processes cannot be listed.
pub(super) fn earlier(state_directory: &Folder) -> io::Result<Vec<ProcessIdentity>> {
    let key = key_of(state_directory)?;
    let own = rustix::process::getpid().as_raw_nonzero().get();
    let beginning = format!("{SUBREAPER_NAME}\0{SUBREAPER_WORD}\0{key}\0");
    let is_one = |seen: &ProcessStat| {
        seen.parent != own
            && proc_table::read(format!("/proc/{}/cmdline", seen.pid))
                .is_ok_and(|line| line.starts_with(beginning.as_bytes()))
    };
    let found = proc_table::all()?.into_iter().filter(is_one);
    Ok(found.map(|seen| ProcessIdentity { pid: seen.pid, start: seen.start }).collect())
}

/// How long what was not ended is tried in earnest; then it is looked at now and then.
const IN_EARNEST: Duration = Duration::from_secs(10);
const NOW_AND_THEN: Duration = Duration::from_millis(500);
/// How long wardens whose engine is gone have, before they are killed.
const WARDENS_END_WITHIN: Duration = Duration::from_secs(30);

/// Serves as a subreaper and gives the exit code. Standard input is the socket to the engine.
pub(super) fn run() -> i32 {
    match Subreaper::attach() {
        Ok(None) => 0,
        Ok(Some(subreaper)) => subreaper.serve(),
        Err(_) => 1,
    }
}

struct Subreaper {
    engine: Packets,
    /// Since when it is gone.
    gone_since: Option<Instant>,
    signals: Signals,
    /// Those that were started and have not been reaped.
    wardens: BTreeSet<i32>,
    /// How many had been killed when a warden was lost, by its process id.
    lost: BTreeMap<i32, u64>,
    spell: Option<Spell>,
    /// How many were killed before the present spell.
    killed: u64,
    looks: Vec<PendingLook>,
}

/// A time in which there are orphans.
struct Spell {
    began: Instant,
    ending: Ending,
    reaped_killed: u64,
}

impl Spell {
    fn killed(&self) -> u64 {
        self.ending.killed(self.reaped_killed)
    }
}

/// A question that is answered once what it is about is ended.
struct PendingLook {
    warden: Option<i32>,
    until: Instant,
    answer: Packets,
}

impl Subreaper {
    /// Cuts every tie but the socket, and says what it is.
    fn attach() -> io::Result<Option<Self>> {
        let [engine, ..] = cut_off(c"antiphon-subrea")?;
        let engine = Packets::over(engine);
        if let Some(problem) = cut_off::late() {
            engine.send(&FromSubreaper::Unprepared(problem), &[])?;
            return Ok(None);
        }
        let signals = Signals::block()?;
        engine.send(&FromSubreaper::Hello { version: VERSION.to_owned() }, &[])?;
        Ok(Some(Self {
            engine,
            gone_since: None,
            signals,
            wardens: BTreeSet::new(),
            lost: BTreeMap::new(),
            spell: None,
            killed: 0,
            looks: Vec::new(),
        }))
    }

    fn serve(mut self) -> i32 {
        loop {
            let orphans = self.orphans();
            let pause = self.end(&orphans);
            self.answer(&orphans);
            if self.is_done(&orphans) {
                return 0;
            }
            if self.wait(pause) {
                self.listen();
            }
        }
    }

    /// Reaps what has ended, and lists what is no warden.
    fn orphans(&mut self) -> Orphans {
        let killed_before = self.killed_so_far();
        let mut lost = Vec::new();
        let mut reaped_killed = 0;
        let has_none = children::take_ended(|ended| {
            if self.wardens.remove(&ended.pid) {
                lost.push(ended);
            } else {
                reaped_killed += u64::from(ended.was_killed());
            }
        });
        match &mut self.spell {
            Some(spell) => spell.reaped_killed += reaped_killed,
            None => self.killed += reaped_killed,
        }
        let orphans = match proc_table::own_children() {
            _ if has_none => Orphans { pids: Vec::new(), are_all: true },
            Some(children) => Orphans { pids: self.but_wardens(children), are_all: true },
            // A kernel that does not list them says only when there are none at all.
            None => {
                let own = rustix::process::getpid().as_raw_nonzero().get();
                let listed = proc_table::all().unwrap_or_default().into_iter();
                let listed = listed.filter(|seen| seen.parent == own);
                let pids = self.but_wardens(listed.map(|seen| seen.pid).collect());
                Orphans { pids, are_all: false }
            }
        };
        for warden in lost {
            // One that has ended its session ends well, and leaves nothing.
            if warden.status != ExitStatus::Code(0) || !orphans.pids.is_empty() {
                self.lost.insert(warden.pid, killed_before);
            }
        }
        orphans
    }

    fn but_wardens(&self, mut children: Vec<i32>) -> Vec<i32> {
        children.retain(|child| !self.wardens.contains(child));
        children
    }

    fn killed_so_far(&self) -> u64 {
        self.killed + self.spell.as_ref().map_or(0, Spell::killed)
    }

    /// Ends what is there; when to look again.
    fn end(&mut self, orphans: &Orphans) -> Option<Duration> {
        if orphans.pids.is_empty() {
            if let Some(spell) = self.spell.take() {
                self.killed += spell.killed();
            }
            return None;
        }
        let spell = self.spell.get_or_insert_with(|| Spell {
            began: Instant::now(),
            ending: Ending::begin(),
            reaped_killed: 0,
        });
        let pause = spell.ending.step(&self.wardens);
        Some(if spell.began.elapsed() < IN_EARNEST { pause } else { NOW_AND_THEN })
    }

    /// Answers what can be answered by now.
    fn answer(&mut self, orphans: &Orphans) {
        let now = Instant::now();
        let mut waiting = Vec::new();
        for look in std::mem::take(&mut self.looks) {
            let is_there = look.warden.is_some_and(|warden| self.wardens.contains(&warden));
            let nothing = orphans.are_all && orphans.pids.is_empty() && !is_there;
            if !nothing && now < look.until {
                waiting.push(look);
                continue;
            }
            let before = look.warden.and_then(|warden| self.lost.remove(&warden));
            let killed = before.map_or(0, |before| self.killed_so_far() - before);
            let left = match nothing {
                true => Left::nothing(killed),
                false => Left::something(self.leftovers(), killed),
            };
            // Who asked may be gone.
            let _ = look.answer.send(&FromSubreaper::Left(left), &[]);
        }
        self.looks = waiting;
    }

    fn leftovers(&self) -> Vec<Leftover> {
        let own = rustix::process::getpid().as_raw_nonzero().get();
        let left = proc_table::descendants_but(own, &self.wardens).unwrap_or_default();
        left.into_iter()
            .filter(ProcessStat::is_alive)
            .take(wire::MAX_LEFT)
            .map(|seen| signal::leftover(&seen))
            .collect()
    }

    /// Whether the engine is gone and there is nothing more to do.
    fn is_done(&self, orphans: &Orphans) -> bool {
        let Some(since) = self.gone_since else { return false };
        // They see by themselves that it is gone, unless they were stopped.
        self.signal_wardens(Signal::CONT);
        if since.elapsed() >= WARDENS_END_WITHIN {
            self.signal_wardens(Signal::KILL);
        }
        self.wardens.is_empty()
            && (orphans.pids.is_empty()
                || self.spell.as_ref().is_some_and(|spell| spell.began.elapsed() >= IN_EARNEST))
    }

    fn signal_wardens(&self, signal: Signal) {
        // None of them is reaped but by this process, so their ids are theirs.
        for warden in self.wardens.iter().filter_map(|&warden| Pid::from_raw(warden)) {
            let _ = kill_process(warden, signal);
        }
    }

    /// Waits until something is to be done; whether the engine has something to say.
    fn wait(&self, pause: Option<Duration>) -> bool {
        let now = Instant::now();
        let times = [
            pause,
            self.looks.iter().map(|look| look.until.saturating_duration_since(now)).min(),
            self.gone_since.map(|_| NOW_AND_THEN),
        ];
        let timeout = times.into_iter().flatten().min().and_then(|time| time.try_into().ok());
        let mut polled = vec![PollFd::new(&self.signals, PollFlags::IN)];
        if self.gone_since.is_none() {
            polled.push(PollFd::new(&self.engine, PollFlags::IN));
        }
        if poll(&mut polled, timeout.as_ref()).is_err() {
            return false;
        }
        let says_something = polled.get(1).is_some_and(|engine| !engine.revents().is_empty());
        // It ends with its engine alone; that children have ended is seen by itself.
        let _ = self.signals.take();
        says_something
    }

    /// Takes one request.
    fn listen(&mut self) {
        match self.engine.receive() {
            Ok(Some((request, beside))) => self.carry_out(request, beside),
            // The request could not be taken in; who asked sees its socket closed.
            Err(error) if error.raw_os_error() == Some(libc::EMFILE) => {}
            Ok(None) | Err(_) => self.gone_since = Some(Instant::now()),
        }
    }

    fn carry_out(&mut self, request: ToSubreaper, beside: Vec<OwnedFd>) {
        let mut beside = beside.into_iter();
        let Some(answer) = beside.next().map(Packets::over) else { return };
        match request {
            ToSubreaper::Spawn { mark, session } => {
                let (Some(control), Some(state)) = (beside.next(), beside.next()) else { return };
                let arguments = [WARDEN_WORD.to_owned(), mark.to_string(), session];
                let spawned = self.spawn(&arguments, control, beside.next(), state);
                // An engine that is gone by now is so for its warden as well.
                let _ = match spawned {
                    Ok((pid, pidfd)) => {
                        answer.send(&FromSubreaper::Spawned { pid }, &[pidfd.as_fd()])
                    }
                    Err(error) => {
                        let errno = error.raw_os_error().unwrap_or(libc::EIO);
                        answer.send(&FromSubreaper::Refused { errno }, &[])
                    }
                };
            }
            ToSubreaper::Look { warden, within_ms } => {
                let until = Instant::now() + Duration::from_millis(within_ms.min(600_000));
                self.looks.push(PendingLook { warden, until, answer });
            }
        }
    }

    fn spawn(
        &mut self,
        arguments: &[impl AsRef<OsStr>],
        control: OwnedFd,
        input: Option<OwnedFd>,
        state: OwnedFd,
    ) -> io::Result<(i32, OwnedFd)> {
        // The program that this process is, also where another file has its name by now.
        let warden = Command::new("/proc/self/exe")
            .arg0(WARDEN_NAME)
            .args(arguments)
            .env_clear()
            .stdin(control)
            .stdout(input.map_or_else(Stdio::null, Stdio::from))
            .stderr(state)
            .spawn()?;
        let pid = warden.id().cast_signed();
        self.wardens.insert(pid);
        self.lost.remove(&pid);
        // Without a descriptor of it the engine closes its socket, and then it goes.
        let opened = Pid::from_raw(pid).ok_or(rustix::io::Errno::SRCH);
        Ok((pid, opened.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()))?))
    }
}

/// Children that are no wardens.
struct Orphans {
    pids: Vec<i32>,
    /// Whether that is the kernel's word and not what a list shows.
    are_all: bool,
}
