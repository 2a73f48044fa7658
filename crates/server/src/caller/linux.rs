//! Where a process is in the process tree: its ancestors, as `/proc` shows them.

use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

use antiphon::id::SessionId;
use tokio::net::UnixStream;

/// Says whether a process belongs to a session in its own right.
type SessionProbe = dyn Fn(u32) -> Option<SessionId> + Send + Sync;

/// Deepest line of ancestors that is followed.
const MAX_ANCESTORS: usize = 4_096;

/// Times that a line of ancestors is read again because it changed meanwhile.
const MAX_READINGS: usize = 16;

/// Where a process is, seen from the engine.
pub(super) enum Ancestry {
    Unrelated,
    OfSession(SessionId),
    /// Below the engine, but below no warden.
    OfEngine,
}

/// A descriptor of the process that connected; `None` where the kernel is older than that
/// (6.5).
pub(super) fn pidfd(stream: &UnixStream) -> io::Result<Option<OwnedFd>> {
    let mut fd: libc::c_int = -1;
    let mut size = libc::socklen_t::try_from(size_of::<libc::c_int>()).unwrap_or(4);
    // SAFETY: `fd` and `size` live through the call, and `size` is the size of `fd`.
    let answer = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERPIDFD,
            (&raw mut fd).cast(),
            &raw mut size,
        )
    };
    if answer == 0 && fd >= 0 {
        // SAFETY: the kernel has just made this descriptor for us, and nothing else has its
        // number.
        return Ok(Some(unsafe { OwnedFd::from_raw_fd(fd) }));
    }
    match io::Error::last_os_error() {
        error if error.raw_os_error() == Some(libc::ENOPROTOOPT) => Ok(None),
        error => Err(error),
    }
}

/// The process of a descriptor; `None` once it has ended.
pub(super) fn pid_of(pidfd: &OwnedFd) -> Option<u32> {
    let facts = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).ok()?;
    facts.lines().find_map(|line| line.strip_prefix("Pid:")?.trim().parse().ok())
}

pub(super) fn place(pid: u32, session_of: Option<&SessionProbe>) -> io::Result<Ancestry> {
    let engine = std::process::id();
    for _ in 0..MAX_READINGS {
        let Some(line) = ancestors(pid, engine)? else { continue };
        if let Some(session_of) = session_of
            && let Some(session) = line.iter().find_map(|pid| session_of(*pid))
        {
            return Ok(Ancestry::OfSession(session));
        }
        // A parent that ends meanwhile hands its children over: the line counts if it is the
        // same afterwards.
        if ancestors(pid, engine)?.as_ref() != Some(&line) {
            continue;
        }
        let below = line.len() > 1 && line.last() == Some(&engine);
        return Ok(if below { Ancestry::OfEngine } else { Ancestry::Unrelated });
    }
    Err(io::Error::other("its ancestors keep changing"))
}

/// The process, its parent and so on, up to the engine or the first process; `None` if it
/// changed while it was read.
fn ancestors(pid: u32, engine: u32) -> io::Result<Option<Vec<u32>>> {
    let mut line = vec![pid];
    let mut last = pid;
    while last != engine && last > 1 {
        if line.len() > MAX_ANCESTORS {
            return Err(io::Error::other("it has too many ancestors"));
        }
        match parent(last) {
            Ok(0) => break,
            Ok(above) => {
                line.push(above);
                last = above;
            }
            // An ancestor has ended; the caller itself must be there.
            Err(error) if last != pid && error.kind() == io::ErrorKind::NotFound => {
                return if is_there(last) {
                    Err(io::Error::other(format!(
                        "/proc hides its ancestor {last}; see the mount option hidepid"
                    )))
                } else {
                    Ok(None)
                };
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Some(line))
}

fn is_there(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    // A process that may not be signalled exists all the same.
    pid.is_some_and(|pid| rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}

/// The parent of a process; 0 for the first one, and for one whose parent is in another process
/// namespace.
fn parent(pid: u32) -> io::Result<u32> {
    let stat = std::fs::read(format!("/proc/{pid}/stat"))?;
    let stat = String::from_utf8_lossy(&stat);
    // The name may hold anything, also parentheses: the fields begin after the last one.
    let fields = stat.rsplit_once(')').map(|(_, fields)| fields.split_whitespace());
    let parent = fields.and_then(|mut fields| fields.nth(1)?.parse().ok());
    parent.ok_or_else(|| io::Error::other(format!("/proc/{pid}/stat cannot be understood")))
}
