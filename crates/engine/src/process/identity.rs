//! Which process, past the reuse of process ids; and which boot and process namespace ids mean
//! something in.

use std::os::unix::fs::MetadataExt as _;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::proc_table;

/// A process: its id and when it started, in clock ticks since boot. The pair is not reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// Its id in the namespace of the process that recorded it.
    pub pid: i32,
    /// When it started, from `/proc/<pid>/stat`.
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

/// The first process namespace of a machine has this number since there are process namespaces.
const FIRST_NAMESPACE: u64 = 0xEFFF_FFFC;
/// And so has the first of the namespaces of clocks.
const FIRST_CLOCKS: u64 = 0xEFFF_FFFA;

/// Where process ids mean what they meant: the boot, and the process namespace with its first
/// process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Where {
    boot: String,
    namespace: u64,
    /// When the first process of the namespace started; `None` if `/proc` is that of another
    /// namespace, or hides it.
    init_start: Option<u64>,
    /// Whether that is by the machine's own clock, so that no two processes can differ about
    /// it.
    #[serde(default)]
    own_clock: bool,
}

/// How a recorded place compares with this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Visibility {
    Here,
    /// The machine was started again since: nothing of then runs.
    EarlierBoot,
    /// A process namespace that does not exist any more, and with it none of its processes.
    Gone,
    /// Another process namespace, but every process of the machine can be seen here, under another
    /// id.
    Visible,
    /// Another process namespace, of which nothing can be seen here.
    Hidden,
}

impl Where {
    /// Where this process is, which does not change while it lives.
    pub(super) fn here() -> Self {
        static HERE: OnceLock<Where> = OnceLock::new();
        HERE.get_or_init(Self::look).clone()
    }

    fn look() -> Self {
        let number = |name: &str| {
            std::fs::metadata(format!("/proc/self/ns/{name}")).ok().map(|meta| meta.ino())
        };
        let boot = proc_table::read("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Self {
            boot: String::from_utf8_lossy(&boot).trim().to_owned(),
            namespace: number("pid").unwrap_or(0),
            init_start: proc_is_own().then(|| proc_table::stat(1)).flatten().map(|seen| seen.start),
            own_clock: number("time").is_none_or(|clocks| clocks == FIRST_CLOCKS),
        }
    }

    pub(super) fn seen_from(&self, here: &Self) -> Visibility {
        let boots_are_known = !self.boot.is_empty() && !here.boot.is_empty();
        let same_first_process = self.init_start == here.init_start;
        if self.boot != here.boot && boots_are_known {
            Visibility::EarlierBoot
        } else if self.boot == here.boot && self.namespace == here.namespace && same_first_process {
            Visibility::Here
        } else if boots_are_known && self.was_before(here) {
            Visibility::Gone
        } else if here.namespace == FIRST_NAMESPACE && here.init_start.is_some() {
            Visibility::Visible
        } else {
            Visibility::Hidden
        }
    }

    /// Whether the number of the recorded namespace is in use for another one. A number is free
    /// only once nothing is in the namespace, and the first process of one is the same as long as
    /// there is any.
    fn was_before(&self, here: &Self) -> bool {
        self.namespace != 0
            && self.namespace == here.namespace
            && self.own_clock
            && here.own_clock
            && matches!((self.init_start, here.init_start), (Some(then), Some(now)) if then != now)
    }
}

/// Whether `/proc` shows the process namespace of this process, and not one around it: then this
/// process has one id there.
fn proc_is_own() -> bool {
    let status = proc_table::read("/proc/self/status").unwrap_or_default();
    let status = String::from_utf8_lossy(&status);
    let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    ids.is_some_and(|ids| ids.split_ascii_whitespace().count() == 1)
}

/// Now, in the clock ticks since boot in which the system counts when processes started.
pub(super) fn ticks_now() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let per_second = rustix::param::clock_ticks_per_second();
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds
        .saturating_mul(per_second)
        .saturating_add(nanos.saturating_mul(per_second) / 1_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(boot: &str, namespace: u64, init_start: Option<u64>, own_clock: bool) -> Where {
        Where { boot: boot.to_owned(), namespace, init_start, own_clock }
    }

    #[test]
    fn a_place_is_gone_only_where_that_is_certain() {
        let (first, container) =
            (place("now", FIRST_NAMESPACE, Some(1), true), place("now", 77, Some(500), true));
        let cases = [
            (first.clone(), &first, Visibility::Here),
            (container.clone(), &container, Visibility::Here),
            (place("before", 77, Some(500), true), &container, Visibility::EarlierBoot),
            // The namespace's number was reused.
            (place("now", 77, Some(400), true), &container, Visibility::Gone),
            (place("now", 77, Some(400), false), &container, Visibility::Hidden),
            (place("now", 77, None, true), &container, Visibility::Hidden),
            (place("", 77, Some(400), true), &container, Visibility::Hidden),
            (place("now", 78, Some(400), true), &container, Visibility::Hidden),
            (first.clone(), &container, Visibility::Hidden),
            (container.clone(), &first, Visibility::Visible),
            // A `/proc` that hides the first process may hide others.
            (container.clone(), &place("now", FIRST_NAMESPACE, None, true), Visibility::Hidden),
        ];
        for (then, here, expected) in cases {
            assert_eq!(then.seen_from(here), expected, "{then:?} from {here:?}");
        }
    }

    #[test]
    fn a_process_is_where_it_is() {
        assert_eq!(Where::here().seen_from(&Where::here()), Visibility::Here);
    }
}
