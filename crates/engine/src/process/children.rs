//! The children of this process, to which orphans below it come: taken when they have ended, and
//! ended with all that is below them.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use rustix::process::Signal;

use super::identity::ProcessIdentity;
use super::proc_table::{self, ProcessStat};
use super::signal;
use super::tree_end::ExitStatus;

/// A child that has ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct EndedChild {
    pub(super) pid: i32,
    pub(super) status: ExitStatus,
}

impl EndedChild {
    pub(super) fn was_killed(self) -> bool {
        matches!(self.status, ExitStatus::Signal { signal: libc::SIGKILL, .. })
    }
}

/// Takes every end that is there; whether the kernel says that there are no children at all.
pub(super) fn take_ended(mut taken: impl FnMut(EndedChild)) -> bool {
    loop {
        // SAFETY: an all-zero `siginfo_t` is valid, and the call fills it.
        let (answer, info) = unsafe {
            let mut info: libc::siginfo_t = std::mem::zeroed();
            let options = libc::WEXITED | libc::WNOHANG | libc::__WALL;
            (libc::waitid(libc::P_ALL, 0, &raw mut info, options), info)
        };
        if answer != 0 {
            match std::io::Error::last_os_error().raw_os_error() {
                Some(libc::EINTR) => continue,
                Some(libc::ECHILD) => return true,
                _ => return false,
            }
        }
        // SAFETY: the call succeeded, so these fields are those of a child, or zero when none had
        // ended.
        let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
        if pid == 0 {
            return false;
        }
        let status = match info.si_code {
            libc::CLD_EXITED => ExitStatus::Code(status),
            code => ExitStatus::Signal { signal: status, core: code == libc::CLD_DUMPED },
        };
        taken(EndedChild { pid, status });
    }
}

/// Looks for processes that are not stopped yet, as those seen may have forked before they were.
const STOP_PASSES: usize = 6;

/// Steps that go by the own children alone, before all processes are listed again.
const CLOSE_STEPS: u32 = 50;

const LONGEST_PAUSE: Duration = Duration::from_millis(5);

/// Ending what is below this process, step by step.
#[derive(Debug)]
pub(super) struct Ending {
    own: i32,
    own_session: i32,
    killed: HashSet<ProcessIdentity>,
    steps: u32,
}

impl Ending {
    pub(super) fn begin() -> Self {
        Self {
            own: rustix::process::getpid().as_raw_nonzero().get(),
            own_session: rustix::process::getsid(None).map_or(0, |sid| sid.as_raw_nonzero().get()),
            killed: HashSet::new(),
            steps: 0,
        }
    }

    /// Kills what is there, but for these children and what is below them; how long to wait before
    /// the next step.
    pub(super) fn step(&mut self, spared: &BTreeSet<i32>) -> Duration {
        let close = self.steps % (CLOSE_STEPS + 1);
        self.steps += 1;
        // What comes up as own child comes faster than a scan of all processes could follow.
        match proc_table::own_children().filter(|_| close > 0) {
            // They are not reaped before the next step, so their ids cannot be reused meanwhile.
            Some(children) => {
                for child in children.into_iter().filter(|child| !spared.contains(child)) {
                    if let Some(seen) = proc_table::stat(child) {
                        self.kill(&seen);
                    }
                }
            }
            None => self.kill_all_that_are_listed(spared),
        }
        (Duration::from_micros(200) * (1 << close.min(5))).min(LONGEST_PAUSE)
    }

    fn kill_all_that_are_listed(&mut self, spared: &BTreeSet<i32>) {
        // What is stopped neither forks nor runs away, so the list becomes complete.
        let (mut stopped, mut found) = (HashSet::new(), Vec::new());
        for _ in 0..STOP_PASSES {
            // Where they cannot be listed, the kernel says that there still are some.
            let listed = proc_table::descendants_but(self.own, spared).unwrap_or_default();
            let new: Vec<ProcessStat> =
                listed.into_iter().filter(|seen| stopped.insert(seen.pid)).collect();
            if new.is_empty() {
                break;
            }
            for seen in &new {
                signal::to_process(seen, Signal::STOP);
                signal::to_group(seen, self.own_session, Signal::STOP);
            }
            found.extend(new);
        }
        for seen in &found {
            self.kill(seen);
        }
    }

    fn kill(&mut self, seen: &ProcessStat) {
        // Zombies too: a leader that is one may have threads that run, and its id pins its group.
        if seen.is_alive() {
            self.killed.insert(ProcessIdentity { pid: seen.pid, start: seen.start });
        }
        signal::to_process(seen, Signal::KILL);
        signal::to_group(seen, self.own_session, Signal::KILL);
    }

    /// How many were killed, where this many of those that were reaped had been. A group dies with
    /// a member that was not seen; grandchildren are reaped by others. Each is counted by one of the
    /// two at least.
    pub(super) fn killed(&self, reaped: u64) -> u64 {
        reaped.max(self.killed.len() as u64)
    }
}
