//! The limit of open files: raised as far as it goes for this process, given back to what it
//! starts, and how many sessions it carries.

use std::sync::OnceLock;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Open files that an engine has besides those of its sessions: the state directory, the ledger with
/// its readers, the socket with its clients, and sessions that are just being started.
const OWN: u64 = 72;

/// Open files for each session: the socket to its warden, what tells of the warden's end, and a
/// reserve for reading what it left, which takes its folder and one file at a time.
const EACH: u64 = 4;

/// The limit of open files of this process.
#[derive(Debug, Clone, Copy)]
pub(super) struct Descriptors {
    /// As this process was started, for those that it starts: a program that uses `select` breaks
    /// with more.
    given: Rlimit,
    /// As it is now.
    now: Option<u64>,
}

impl Descriptors {
    /// Raises the limit to what the system allows this process. Only the first call does.
    pub(super) fn raise() -> Self {
        static RAISED: OnceLock<Descriptors> = OnceLock::new();
        *RAISED.get_or_init(|| {
            let given = getrlimit(Resource::Nofile);
            let raised = Rlimit { current: given.maximum, ..given };
            let now = match setrlimit(Resource::Nofile, raised) {
                Ok(()) => raised.current,
                Err(_) => given.current,
            };
            Self { given, now }
        })
    }

    /// The limits that this process was started with, lower and upper.
    pub(super) fn given(&self) -> (Option<u64>, Option<u64>) {
        (self.given.current, self.given.maximum)
    }

    /// How many sessions can run at a time; at least one.
    pub(super) fn sessions(&self) -> usize {
        let carried = self.now.map_or(u64::MAX, |now| now.saturating_sub(OWN) / EACH);
        usize::try_from(carried).unwrap_or(usize::MAX).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_limit_carries_few_sessions_and_at_least_one() {
        let of = |now| Descriptors { given: Rlimit { current: now, maximum: now }, now }.sessions();
        assert_eq!([of(Some(20)), of(Some(OWN + 10 * EACH)), of(None)], [1, 10, usize::MAX]);
    }
}
