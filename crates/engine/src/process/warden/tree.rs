//! The tree below the warden: reaping it, measuring it, and ending it until the kernel says that
//! nothing is left.
//!
//! The proof is the answer ECHILD: a process to which all orphans below it come, and which has no
//! children, has no descendants.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::process::children::{self, Ending};
use crate::process::proc_table;
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
        children::take_ended(|ended| {
            if ended.pid == self.program {
                self.status = Some(ended.status);
            } else {
                self.killed += u64::from(ended.was_killed());
            }
        })
    }
}

/// Ends everything below this process. `tick` is called in between, often.
pub(super) fn end_all(
    reaper: &mut Reaper,
    within: Duration,
    mut tick: impl FnMut(),
) -> EndedProcesses {
    let until = std::time::Instant::now() + within;
    let (mut ending, before, nobody) = (Ending::begin(), reaper.killed, BTreeSet::new());
    while !reaper.reap() {
        if std::time::Instant::now() >= until {
            let own = rustix::process::getpid().as_raw_nonzero().get();
            let left = proc_table::descendants(own).unwrap_or_default();
            let leftovers = left.iter().map(signal::leftover).collect();
            return EndedProcesses::but_for(leftovers, ending.killed(reaper.killed - before));
        }
        tick();
        std::thread::sleep(ending.step(&nobody));
    }
    EndedProcesses::all(ending.killed(reaper.killed - before))
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
        // One sample that cannot be had is no reason to end a session.
        for seen in proc_table::descendants(own).unwrap_or_default() {
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
