//! Signals to processes that were seen a moment ago, and never to others that reuse their pid.

use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, pidfd_send_signal};

use super::identity::ProcessIdentity;
use super::proc_table::{self, ProcessStat};
use super::tree_end::Leftover;

/// Signals a process if it still is the one that was seen.
pub(super) fn to_process(seen: &ProcessStat, signal: Signal) {
    to_identity(ProcessIdentity { pid: seen.pid, start: seen.start }, signal);
}

/// Signals a process if it still is this one; whether it was.
pub(super) fn to_identity(identity: ProcessIdentity, signal: Signal) -> bool {
    let Some(pid) = Pid::from_raw(identity.pid) else { return false };
    // Once the descriptor is open it stays with the process, so comparing after that is enough.
    let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else { return false };
    identity.exists() && pidfd_send_signal(&pidfd, signal).is_ok()
}

/// Signals the group of a process below a warden. Every program of a session starts in a kernel
/// session of its own, so such a group has no other members; the warden's own kernel session is
/// left alone.
pub(super) fn to_group(seen: &ProcessStat, warden_session: i32, signal: Signal) {
    if seen.group > 1
        && seen.session != warden_session
        && let Some(group) = Pid::from_raw(seen.group)
    {
        let _ = kill_process_group(group, signal);
    }
}

/// A process that is still there, for the record.
pub(super) fn leftover(seen: &ProcessStat) -> Leftover {
    Leftover {
        pid: seen.pid,
        user: proc_table::user(seen.pid),
        name: String::from_utf8_lossy(&seen.comm).into_owned(),
        state: seen.state,
    }
}
