//! Who lives, as `/proc` and the kernel tell it. Nothing of the code under test is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::io;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

/// How many times a process is checked before it counts as a stranger.
const LOOKS: usize = 3;

/// A process, and no later one that has been given its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ProcessIdentity {
    pub(super) pid: i32,
    /// When it started, in clock ticks since boot.
    pub(super) start: u64,
}

impl ProcessIdentity {
    pub(super) fn new(pid: i32, start: u64) -> Self {
        Self { pid, start }
    }

    /// That of this process.
    pub(super) fn own() -> io::Result<Self> {
        let own = rustix::process::getpid().as_raw_nonzero().get();
        stat(own)
            .map(|seen| seen.identity)
            .ok_or_else(|| io::Error::other("/proc does not tell about this process"))
    }

    /// Whether anything of it runs. What has ended and was not waited for does not.
    pub(super) fn lives(self) -> bool {
        stat(self.pid).is_some_and(|seen| seen.identity == self && seen.lives())
    }
}

/// A process that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LiveProcess {
    pub(super) identity: ProcessIdentity,
    parent: i32,
    state: char,
}

impl LiveProcess {
    fn lives(&self) -> bool {
        match self.state {
            'X' | 'x' => false,
            // A first thread that has ended leaves the others running.
            'Z' => fs::read_dir(format!("/proc/{}/task", self.identity.pid))
                .is_ok_and(|tasks| tasks.count() > 1),
            _ => true,
        }
    }

    fn words(&self, file: &str) -> Vec<String> {
        let bytes = fs::read(format!("/proc/{}/{file}", self.identity.pid)).unwrap_or_default();
        bytes
            .split(|&byte| byte == 0)
            .map(|word| String::from_utf8_lossy(word).into_owned())
            .collect()
    }

    /// The session that it says it belongs to; a warden says whose it is.
    pub(super) fn session(&self) -> Option<String> {
        if self.is_warden() {
            return self.words("cmdline").get(3).cloned();
        }
        self.words("environ")
            .iter()
            .find_map(|word| word.strip_prefix("ANTIPHON_SESSION=").map(str::to_owned))
    }

    /// The item that it says it works on.
    pub(super) fn work(&self) -> Option<String> {
        self.words("environ")
            .iter()
            .find_map(|word| word.strip_prefix("ANTIPHON_WORK=").map(str::to_owned))
    }

    fn is_warden(&self) -> bool {
        self.words("cmdline").first().is_some_and(|name| name == "antiphon-warden")
    }

    /// Sends it a signal, unless it is gone and its id belongs to another process.
    pub(super) fn signal(&self, signal: Signal) {
        #[cfg(target_os = "linux")]
        if let Some(pid) = Pid::from_raw(self.identity.pid)
            && let Ok(process) =
                rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())
            && stat(self.identity.pid).is_some_and(|now| now.identity == self.identity)
        {
            // A process that is gone by now needs no signal.
            let _ = rustix::process::pidfd_send_signal(process, signal);
        }
        #[cfg(not(target_os = "linux"))]
        let _ = signal;
    }

    /// Waits until it has ended.
    fn wait(&self, timeout: Duration) {
        if self.identity.lives() {
            ended_within(self.identity.pid.cast_unsigned(), timeout);
        }
    }
}

impl fmt::Display for LiveProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let session = self.session().unwrap_or_else(|| "no session".to_owned());
        let line = self.words("cmdline").join(" ");
        write!(
            f,
            "process {} of {session} in state {}: {}",
            self.identity.pid,
            self.state,
            line.trim_end()
        )
    }
}

fn stat(pid: i32) -> Option<LiveProcess> {
    let line = fs::read(format!("/proc/{pid}/stat")).ok()?;
    // Its name comes before, and may hold anything.
    let close = line.iter().rposition(|&byte| byte == b')')?;
    let rest = std::str::from_utf8(line.get(close + 1..)?).ok()?;
    // The first of these is the third field of proc(5).
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    Some(LiveProcess {
        identity: ProcessIdentity { pid, start: fields.get(19)?.parse().ok()? },
        state: fields.first()?.chars().next()?,
        parent: fields.get(1)?.parse().ok()?,
    })
}

/// Waits until a process has ended, and says whether it has.
pub(super) fn ended_within(pid: u32, time: Duration) -> bool {
    #[cfg(target_os = "linux")]
    {
        let pid = Pid::from_raw(pid.cast_signed());
        let opened = pid.and_then(|pid| {
            rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok()
        });
        let Some(process) = opened else { return true };
        let timeout = time.try_into().ok();
        let mut ended = [rustix::event::PollFd::new(&process, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut ended, timeout.as_ref()).is_ok_and(|ready| ready > 0)
    }
    // Elsewhere there are no wardens, so nothing is to be done in the meantime.
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (pid, time);
        true
    }
}

/// Those below a process that live.
pub(super) fn living_below(root: i32) -> Vec<LiveProcess> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let all = entries.filter_map(|entry| stat(entry.ok()?.file_name().to_str()?.parse().ok()?));
    let mut by_parent: BTreeMap<i32, Vec<LiveProcess>> = BTreeMap::new();
    for seen in all {
        by_parent.entry(seen.parent).or_default().push(seen);
    }
    let (mut found, mut parents) = (Vec::new(), vec![root]);
    while let Some(parent) = parents.pop() {
        for seen in by_parent.remove(&parent).unwrap_or_default() {
            parents.push(seen.identity.pid);
            if seen.lives() {
                found.push(seen);
            }
        }
    }
    found
}

/// The processes to which what lost wardens of an engine leave comes.
pub(super) fn subreapers_of(engine: u32) -> Vec<LiveProcess> {
    let mut below = living_below(engine.cast_signed());
    below.retain(|seen| {
        seen.parent == engine.cast_signed()
            && seen.words("cmdline").first().is_some_and(|name| name == "antiphon-subreaper")
    });
    below
}

/// The wardens of an engine.
pub(super) fn wardens_of(engine: u32) -> Vec<LiveProcess> {
    let subreapers = subreapers_of(engine);
    let is_one = |parent| subreapers.iter().any(|seen| seen.identity.pid == parent);
    let mut below = living_below(engine.cast_signed());
    below.retain(|seen| is_one(seen.parent) && seen.is_warden());
    below
}

/// The processes below the parent of this process that are not below this one. An engine that has
/// just started must have left none of them.
pub(super) fn strangers() -> Vec<LiveProcess> {
    let own = rustix::process::getpid().as_raw_nonzero().get();
    let Some(parent) = rustix::process::getppid() else { return Vec::new() };
    let mut strangers = living_below(parent.as_raw_nonzero().get());
    // The process table is not read at one instant, so a process that gets another parent meanwhile
    // may be missed by one pass.
    for _ in 0..LOOKS {
        let ours: BTreeSet<ProcessIdentity> =
            living_below(own).into_iter().map(|seen| seen.identity).collect();
        strangers.retain(|seen| {
            seen.identity.pid != own && !ours.contains(&seen.identity) && seen.identity.lives()
        });
    }
    strangers
}

/// Makes this process the one to which whatever a victim leaves comes, so that nothing that runs
/// can be missed.
pub(super) fn take_in_orphans() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    Ok(())
}

/// Those that live below this process, once those that have ended are reaped. None of its own
/// children may be waited for elsewhere.
pub(super) fn left() -> Vec<LiveProcess> {
    while let Ok(Some(_)) = rustix::process::wait(rustix::process::WaitOptions::NOHANG) {}
    living_below(rustix::process::getpid().as_raw_nonzero().get())
}

/// Waits until only processes that may remain are left; gives those still there after this time.
pub(super) fn left_after(
    time: Duration,
    may_be: impl Fn(&LiveProcess) -> bool,
) -> Vec<LiveProcess> {
    let until = Instant::now() + time;
    loop {
        let left: Vec<LiveProcess> = left().into_iter().filter(|seen| !may_be(seen)).collect();
        let Some(first) = left.first() else { return left };
        match until.saturating_duration_since(Instant::now()) {
            Duration::ZERO => return left,
            rest => first.wait(rest),
        }
    }
}

/// Ends all that is left, so that a torture that has failed leaves nothing behind.
pub(super) fn end_all() {
    let until = Instant::now() + Duration::from_secs(5);
    while Instant::now() < until {
        let left = left();
        let Some(last) = left.last() else { return };
        left.iter().for_each(|seen| seen.signal(Signal::KILL));
        last.wait(Duration::from_millis(100));
    }
}
