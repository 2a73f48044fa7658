//! The processes of one session: found by their mark wherever they went, and ended when no warden
//! can do that.
//!
//! Only processes are touched that carry the mark or descend from ones that do, started after the
//! session did, belong to this user, and are still the ones that were looked at when the signal is
//! sent.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, waitpid};

use super::folder::{Begun, OpenRecord};
use super::identity::ProcessIdentity;
use super::mark::Mark;
use super::proc_table::{self, ProcessStat};
use super::signal;
use super::tree_end::Leftover;

const STOP_PASSES: usize = 6;
/// This many scans in a row must find nothing.
const EMPTY_SCANS: usize = 2;

/// How the processes of one session are distinguished from all others.
#[derive(Debug, Clone)]
pub(super) struct SessionProcesses {
    mark: Mark,
    agent: Option<ProcessIdentity>,
    since: u64,
}

impl SessionProcesses {
    pub(super) fn of(opened: &OpenRecord, begun: Option<Begun>) -> Self {
        Self { mark: opened.mark, agent: begun.map(|begun| begun.agent), since: opened.since }
    }

    fn are_on(&self, seen: &ProcessStat, pair: &[u8]) -> bool {
        self.mark.is_on(seen.pid)
            || self.agent == Some(ProcessIdentity { pid: seen.pid, start: seen.start })
            || proc_table::has_variable(seen.pid, pair)
    }

    /// Every process of the session, zombies too: those that carry a mark, and those below them.
    pub(super) fn find(&self) -> Vec<ProcessStat> {
        let own = rustix::process::getpid().as_raw_nonzero().get();
        let pair = self.mark.pair();
        let mut others: BTreeMap<i32, Vec<ProcessStat>> = BTreeMap::new();
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

/// The result of ending processes.
#[derive(Debug, Default)]
pub(super) struct EndedProcesses {
    /// Whether it is established that none is left.
    pub(super) clean: bool,
    pub(super) killed: u64,
    /// Those that could not be ended.
    pub(super) leftovers: Vec<Leftover>,
}

impl EndedProcesses {
    /// None is left.
    pub(super) fn all(killed: u64) -> Self {
        Self { clean: true, killed, leftovers: Vec::new() }
    }

    /// These may be left. The list may be empty: what cannot be listed is not known to be gone.
    pub(super) fn but_for(leftovers: Vec<Leftover>, killed: u64) -> Self {
        Self { clean: false, killed, leftovers }
    }
}

/// Ends everything that carries the marks, and reaps those of them that have come to this process.
/// Blocks.
pub(super) fn end_processes(processes: &SessionProcesses, within: Duration) -> EndedProcesses {
    let own = rustix::process::getpid().as_raw_nonzero().get();
    let user = rustix::process::geteuid();
    let is_ours =
        |seen: &ProcessStat| user.is_root() || proc_table::user(seen.pid) == Some(user.as_raw());
    let until = Instant::now() + within;
    let mut killed = HashSet::new();
    let mut empty_scans = 0;
    let mut pause = Duration::from_micros(200);
    loop {
        // What is stopped neither forks nor runs away, so the list becomes complete.
        let mut stopped = HashSet::new();
        let mut alive: Vec<ProcessStat> = Vec::new();
        for _ in 0..STOP_PASSES {
            let mut found_new = false;
            for seen in processes.find() {
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
            return EndedProcesses {
                killed: killed.len() as u64,
                clean: true,
                leftovers: Vec::new(),
            };
        }
        for seen in alive.iter().filter(|seen| is_ours(seen)) {
            signal::to_process(seen, Signal::KILL);
            killed.insert(ProcessIdentity { pid: seen.pid, start: seen.start });
        }
        if Instant::now() >= until {
            let leftovers = alive.iter().filter(|seen| {
                proc_table::stat(seen.pid).is_some_and(|now| now.start == seen.start)
            });
            return EndedProcesses {
                killed: killed.len() as u64,
                clean: false,
                leftovers: leftovers.map(signal::leftover).collect(),
            };
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(10));
    }
}

/// Reaps one orphan that became a child of this process. Never of any child: others wait for
/// theirs.
fn reap(pid: i32) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = waitpid(Some(pid), WaitOptions::NOHANG);
    }
}
