//! The limit of open files: raised as far as it goes for this process, given back to what it
//! starts, and how many sessions it carries.

use std::sync::OnceLock;

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Open files that an engine has besides those of its sessions: the ledger with its readers, the
/// socket with its clients, and a session that is just being started.
const OWN: u64 = 72;

/// Open files for each session: the socket to its warden, what tells of the warden's end, and a
/// reserve for reading what it left.
const EACH: u64 = 3;

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

    /// The limit in words.
    pub(super) fn told(&self) -> String {
        match self.now {
            Some(now) => format!("the limit of {now} open files (`ulimit -n`)"),
            None => "no limit of open files".to_owned(),
        }
    }
}

/// The limit that an error speaks of, where the error itself does not name it.
fn limit_behind(errno: i32) -> Option<String> {
    let told = |limit: Option<u64>| limit.map_or_else(|| "none".to_owned(), |n| n.to_string());
    match Errno::from_raw_os_error(errno) {
        Errno::MFILE => Some(Descriptors::raise().told()),
        Errno::NFILE => Some("the limit of open files of the system (`fs.file-max`)".to_owned()),
        Errno::AGAIN => Some(format!(
            "the limit of processes (`ulimit -u`: {}, or `pids.max` of its control group)",
            told(getrlimit(Resource::Nproc).current)
        )),
        Errno::NOMEM => Some("the memory of this machine, or of its control group".to_owned()),
        Errno::NOSPC => Some("the room on the disk".to_owned()),
        Errno::DQUOT => Some("the quota of the disk".to_owned()),
        _ => None,
    }
}

/// Whether an error is about the machine and not about what was asked of it: the same may work in a
/// while.
fn is_shortage(errno: i32) -> bool {
    matches!(
        Errno::from_raw_os_error(errno),
        Errno::MFILE
            | Errno::NFILE
            | Errno::AGAIN
            | Errno::NOMEM
            | Errno::NOBUFS
            | Errno::NOSPC
            | Errno::DQUOT
            | Errno::IO
            | Errno::ROFS
            | Errno::STALE
    )
}

/// The number of the error in what an [`io::Error`] says of itself.
fn errno_in(text: &str) -> Option<i32> {
    let (_, rest) = text.rsplit_once("(os error ")?;
    rest.split_once(')')?.0.parse().ok()
}

/// What a text says that ends with an error of the system, with the limit that is behind it; `None`
/// where the error is about what was asked for.
pub(crate) fn shortage_of(text: &str) -> Option<String> {
    errno_in(text).is_some_and(is_shortage).then(|| explained(text))
}

/// What the system said, with the limit that is behind it.
pub(super) fn explained(text: &str) -> String {
    match errno_in(text).and_then(limit_behind) {
        Some(limit) => format!("{text}; what ran out is {limit}"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn errors_of_the_machine_are_told_from_those_of_a_program() {
        for errno in [libc::EMFILE, libc::ENFILE, libc::EAGAIN, libc::ENOMEM, libc::ENOSPC] {
            let text = format!("cannot do it: {}", io::Error::from_raw_os_error(errno));
            assert_eq!(errno_in(&text).map(is_shortage), Some(true), "{text}");
            assert!(explained(&text).contains("what ran out is"), "{text}");
        }
        for errno in [libc::ENOENT, libc::EACCES, libc::ENOEXEC, libc::E2BIG, libc::ENOTDIR] {
            let text = io::Error::from_raw_os_error(errno).to_string();
            assert_eq!(errno_in(&text).map(is_shortage), Some(false), "{text}");
            assert_eq!(explained(&text), text);
        }
        assert_eq!(errno_in("nothing of the kind (os error x)"), None);
    }

    #[test]
    fn a_small_limit_carries_few_sessions_and_at_least_one() {
        let of = |now| Descriptors { given: Rlimit { current: now, maximum: now }, now }.sessions();
        assert_eq!([of(Some(20)), of(Some(OWN + 30)), of(None)], [1, 10, usize::MAX]);
    }
}
