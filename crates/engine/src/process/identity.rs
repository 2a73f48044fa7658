//! Which process, past the reuse of process ids; and which boot and process namespace ids mean something in.

use std::os::unix::fs::MetadataExt as _;

use serde::{Deserialize, Serialize};

use super::proc_table;

/// A process: its id and when it started, in clock ticks since boot. The pair is not reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// Its id in the namespace of whoever wrote this.
    pub pid: i32,
    /// When it started, as `/proc/<pid>/stat` tells.
    pub start: u64,
}

impl ProcessIdentity {
    /// The identity of a process that exists, dead or alive.
    pub(super) fn of(pid: i32) -> Option<Self> {
        proc_table::stat(pid).map(|seen| Self { pid, start: seen.start })
    }

    /// Whether this process is there, if only as a zombie.
    pub(super) fn exists(self) -> bool {
        Self::of(self.pid) == Some(self)
    }
}

/// Where process ids mean what they meant: the boot, and the process namespace with its first process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Where {
    boot: String,
    namespace: u64,
    init_start: Option<u64>,
}

/// How a recorded place compares with this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Here,
    /// The machine was started again since: nothing of then runs.
    EarlierBoot,
    /// Another process namespace: ids say nothing here.
    Elsewhere,
}

impl Where {
    pub(super) fn here() -> Self {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned();
        let namespace = std::fs::metadata("/proc/self/ns/pid").map_or(0, |meta| meta.ino());
        Self { boot, namespace, init_start: proc_table::stat(1).map(|seen| seen.start) }
    }

    pub(super) fn seen_from(&self, here: &Self) -> Place {
        if self.boot != here.boot && !self.boot.is_empty() && !here.boot.is_empty() {
            Place::EarlierBoot
        } else if self == here {
            Place::Here
        } else {
            Place::Elsewhere
        }
    }
}

/// Now, in the clock ticks since boot in which the system tells when processes started.
pub(super) fn ticks_now() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let per_second = rustix::param::clock_ticks_per_second();
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(per_second).saturating_add(nanos.saturating_mul(per_second) / 1_000_000_000)
}
