//! The tree below the warden: reaping it, measuring it, and ending it until the kernel says that
//! nothing is left.
//!
//! The proof is the answer ECHILD: a process to which all orphans below it come, and which has no
//! children, has no descendants.

use std::collections::HashSet;
use std::time::Duration;

use rustix::process::Signal;

use crate::process::identity::ProcessIdentity;
use crate::process::proc_table::{self, ProcessStat};
use crate::process::session_processes::EndedProcesses;
use crate::process::signal;
use crate::process::tree_end::{ExitStatus, Limit};

/// Waits for everything that ends below this process.
#[derive(Debug, Default)]
pub(super) struct Reaper {
    /// The program whose end is wanted, and the end.
    program: i32,
    status: Option<ExitStatus>,
    /// How many others were reaped that SIGKILL had ended.
    killed: u64,
}

impl Reaper {
    pub(super) fn of(program: i32) -> Self {
        Self { program, ..Self::default() }
    }

    /// How the program ended, if it has.
    pub(super) fn status(&self) -> Option<ExitStatus> {
        self.status
    }

    /// Takes every end that is there; whether the kernel says that there are no children at all.
    pub(super) fn reap(&mut self) -> bool {
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
            // SAFETY: the call succeeded, so these fields are those of a child, or zero when none
            // had ended.
            let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
            if pid == 0 {
                return false;
            }
            if pid == self.program {
                self.status = Some(match info.si_code {
                    libc::CLD_EXITED => ExitStatus::Code(status),
                    code => ExitStatus::Signal { signal: status, core: code == libc::CLD_DUMPED },
                });
            } else if info.si_code == libc::CLD_KILLED && status == libc::SIGKILL {
                self.killed += 1;
            }
        }
    }
}

/// Looks for processes that are not stopped yet, as those seen may have forked before they were.
const STOP_PASSES: usize = 6;

/// Rounds of killing own children before all processes are listed again.
const CLOSE_ROUNDS: usize = 50;

/// Ends everything below this process. `tick` is called in between, often.
pub(super) fn end_all(
    reaper: &mut Reaper,
    within: Duration,
    mut tick: impl FnMut(),
) -> EndedProcesses {
    let own = rustix::process::getpid().as_raw_nonzero().get();
    let own_session = rustix::process::getsid(None).map_or(0, |sid| sid.as_raw_nonzero().get());
    let until = std::time::Instant::now() + within;
    let (mut killed, before) = (HashSet::new(), reaper.killed);
    // A group dies with a member that was not seen; grandchildren are reaped by others. Each is
    // counted by one of the two at least.
    let count = |killed: &HashSet<ProcessIdentity>, reaper: &Reaper| {
        (reaper.killed - before).max(killed.len() as u64)
    };
    while !reaper.reap() {
        if std::time::Instant::now() >= until {
            let leftovers = proc_table::descendants(own).iter().map(signal::leftover).collect();
            return EndedProcesses::but_for(leftovers, count(&killed, reaper));
        }
        tick();
        // What is stopped neither forks nor runs away, so the list below becomes complete.
        let mut stopped = HashSet::new();
        let mut found = Vec::new();
        for _ in 0..STOP_PASSES {
            let new: Vec<ProcessStat> = proc_table::descendants(own)
                .into_iter()
                .filter(|seen| stopped.insert(seen.pid))
                .collect();
            if new.is_empty() {
                break;
            }
            for seen in &new {
                signal::to_process(seen, Signal::STOP);
                signal::to_group(seen, own_session, Signal::STOP);
            }
            found.extend(new);
        }
        for seen in &found {
            kill(seen, own_session, &mut killed);
        }
        close_combat(reaper, own_session, &mut killed);
    }
    EndedProcesses::all(count(&killed, reaper))
}

/// Kills what comes up as own child, faster than a scan of all processes could follow.
fn close_combat(reaper: &mut Reaper, own_session: i32, killed: &mut HashSet<ProcessIdentity>) {
    let mut pause = Duration::from_micros(200);
    for _ in 0..CLOSE_ROUNDS {
        if reaper.reap() {
            return;
        }
        let Some(children) = proc_table::own_children() else { return };
        // Children are not reaped before the next round, so their ids cannot be reused meanwhile.
        for seen in children.into_iter().filter_map(proc_table::stat) {
            kill(&seen, own_session, killed);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(5));
    }
}

fn kill(seen: &ProcessStat, own_session: i32, killed: &mut HashSet<ProcessIdentity>) {
    // Zombies too: a leader that is one may have threads that run, and its id pins its group.
    if seen.is_alive() {
        killed.insert(ProcessIdentity { pid: seen.pid, start: seen.start });
    }
    signal::to_process(seen, Signal::KILL);
    signal::to_group(seen, own_session, Signal::KILL);
}

/// What the tree uses at this moment.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sample {
    memory: u64,
    processes: u64,
    cpu_ms: u64,
}

impl Sample {
    pub(super) fn take() -> Self {
        let own = rustix::process::getpid().as_raw_nonzero().get();
        let page = rustix::param::page_size() as u64;
        let per_second = rustix::param::clock_ticks_per_second().max(1);
        let mut sample = Self { cpu_ms: reaped_cpu_ms(), ..Self::default() };
        for seen in proc_table::descendants(own) {
            sample.memory += seen.resident_pages * page;
            sample.processes += u64::from(seen.is_alive());
            sample.cpu_ms += seen.cpu_ticks * 1_000 / per_second;
        }
        sample
    }

    /// The first limit that it is over.
    pub(super) fn over(self, limits: &crate::process::launch::Limits) -> Option<Limit> {
        let cpu_limit_ms = limits.cpu.map(|cpu| u64::try_from(cpu.as_millis()).unwrap_or(u64::MAX));
        if limits.memory.is_some_and(|limit| self.memory > limit) {
            return Some(Limit::Memory { found: self.memory });
        }
        if limits.processes.is_some_and(|limit| self.processes > limit) {
            return Some(Limit::Processes { found: self.processes });
        }
        cpu_limit_ms
            .is_some_and(|limit| self.cpu_ms > limit)
            .then_some(Limit::Cpu { found: self.cpu_ms })
    }
}

/// Processor time of everything that was reaped, with what those had reaped themselves.
pub(super) fn reaped_cpu_ms() -> u64 {
    // SAFETY: an all-zero `rusage` is valid, and the call fills it.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage);
        usage
    };
    let ms = |time: libc::timeval| {
        u64::try_from(time.tv_sec * 1_000 + time.tv_usec / 1_000).unwrap_or(0)
    };
    ms(usage.ru_utime) + ms(usage.ru_stime)
}
