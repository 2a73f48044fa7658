//! The processes of one session: found by their mark wherever they went, and ended when no warden
//! can do that.
//!
//! Only processes are touched that carry the mark or descend from ones that do, started after the
//! session did, belong to this user, and are still the ones that were looked at when the signal is
//! sent. What is written down of a session's first process is no proof: the record may have come
//! from elsewhere.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::folder::OpenRecord;
use super::identity::ProcessIdentity;
use super::mark::Mark;
use super::proc_table::{self, ProcessStat};
use super::signal;
use super::subreaper::Left;
use super::tree_end::Leftover;

const STOP_PASSES: usize = 6;
/// This many scans in a row must find nothing.
const EMPTY_SCANS: usize = 2;

/// How the processes of one session are distinguished from all others.
#[derive(Debug, Clone)]
pub(super) struct SessionProcesses {
    mark: Mark,
    /// Its first process, if this engine has started it.
    agent: Option<ProcessIdentity>,
    since: u64,
}

impl SessionProcesses {
    /// By what is written down of it.
    pub(super) fn of(opened: &OpenRecord) -> Self {
        Self { mark: opened.mark, agent: None, since: opened.since }
    }

    /// With its first process, by one who has seen that started.
    pub(super) fn with_agent(self, agent: ProcessIdentity) -> Self {
        Self { agent: Some(agent), ..self }
    }

    fn are_on(&self, seen: &ProcessStat, pair: &[u8]) -> bool {
        self.mark.is_on(seen.pid)
            || self.agent == Some(ProcessIdentity { pid: seen.pid, start: seen.start })
            || proc_table::has_variable(seen.pid, pair)
    }

    /// Every process of the session, zombies too: those that carry a mark, and those below them.
    ///
    /// # Errors
    /// If processes cannot be listed.
    pub(super) fn find(&self) -> io::Result<Vec<ProcessStat>> {
        let own = rustix::process::getpid().as_raw_nonzero().get();
        let pair = self.mark.pair();
        let mut others: BTreeMap<i32, Vec<ProcessStat>> = BTreeMap::new();
        let mut found = Vec::new();
        let listed = proc_table::all()?.into_iter();
        for seen in listed.filter(|seen| seen.start >= self.since && seen.pid != own) {
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
        Ok(found)
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

    /// With what the subreaper says is left besides.
    pub(super) fn with(mut self, left: Option<Left>) -> Self {
        let Some(left) = left else { return self };
        self.clean &= left.is_nothing();
        self.killed = self.killed.max(left.killed());
        for leftover in left.into_leftovers() {
            if !self.leftovers.iter().any(|known| known.pid == leftover.pid) {
                self.leftovers.push(leftover);
            }
        }
        self
    }

    /// These may be left. The list may be empty: what cannot be listed is not known to be gone.
    pub(super) fn but_for(leftovers: Vec<Leftover>, killed: u64) -> Self {
        Self { clean: false, killed, leftovers }
    }
}

impl From<Left> for EndedProcesses {
    fn from(left: Left) -> Self {
        Self { clean: left.is_nothing(), killed: left.killed(), leftovers: left.into_leftovers() }
    }
}

/// Ends everything that carries the marks. Blocks.
pub(super) fn end_processes(processes: &SessionProcesses, within: Duration) -> EndedProcesses {
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
            let Ok(found) = processes.find() else {
                return EndedProcesses::but_for(Vec::new(), killed.len() as u64);
            };
            for seen in found {
                if seen.is_alive() && stopped.insert((seen.pid, seen.start)) {
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
