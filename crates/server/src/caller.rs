//! Who is at the other end of a connection: the kernel says so, and nothing in a request does.
//!
//! A process inside a session's tree is that session, whatever it says. One that descends from the
//! engine without a session's warden between, and one that cannot be placed, is refused. Everybody
//! else who may open the socket is the operator.

#[cfg(target_os = "linux")]
mod linux;

use std::io;
use std::sync::Arc;

use antiphon::id::SessionId;
use tokio::net::UnixStream;

use crate::api::{Code, Problem};

/// Says whether a process belongs to a session in its own right: as its warden, or by its mark.
/// Asked of the caller and of each of its ancestors, by process id. It is called on a blocking
/// thread and may read `/proc`.
pub type SessionOf = Arc<dyn Fn(u32) -> Option<SessionId> + Send + Sync>;

/// Who a caller is.
#[derive(Debug, Clone)]
pub(crate) enum Caller {
    /// A person or program that runs the engine.
    Operator,
    /// A process inside a session's tree.
    Session(SessionId),
    /// A caller that gets this answer and no other.
    Refused(Problem),
}

impl Caller {
    /// The session that it is in, if it is in one.
    pub(crate) fn session(&self) -> Option<&SessionId> {
        match self {
            Self::Session(session) => Some(session),
            Self::Operator | Self::Refused(_) => None,
        }
    }
}

/// What the kernel knows of the process at the other end, as of its `connect`.
#[derive(Debug)]
pub(crate) struct Peer {
    uid: u32,
    pid: Option<u32>,
    /// Pins the process, where the kernel gives one.
    #[cfg(target_os = "linux")]
    pidfd: Option<std::os::fd::OwnedFd>,
}

impl Peer {
    pub(crate) fn of(stream: &UnixStream) -> io::Result<Self> {
        let credentials = stream.peer_cred()?;
        Ok(Self {
            uid: credentials.uid(),
            pid: credentials.pid().and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid > 0),
            #[cfg(target_os = "linux")]
            pidfd: linux::pidfd(stream)?,
        })
    }

    /// Places the process. Reads `/proc`, so it belongs on a blocking thread.
    pub(crate) fn place(&self, session_of: Option<&SessionOf>) -> Caller {
        let ours = rustix::process::geteuid().as_raw();
        // Root could do as it likes without asking.
        if self.uid != ours && self.uid != 0 {
            let uid = self.uid;
            let detail = format!(
                "this engine belongs to user {ours}, and user {uid} may not use it; \
                 run the command as that user"
            );
            return Caller::Refused(Problem::new(Code::ForeignUser, detail));
        }
        self.place_process(session_of)
    }

    #[cfg(target_os = "linux")]
    fn place_process(&self, session_of: Option<&SessionOf>) -> Caller {
        let unplaced = |why: String| Caller::Refused(Problem::new(Code::UnplacedCaller, why));
        let Some(pid) = self.pid else {
            return unplaced(
                "the caller is in another process namespace; call from the one of the engine"
                    .to_owned(),
            );
        };
        let place = match linux::place(pid, session_of.map(Arc::as_ref)) {
            Ok(place) => place,
            Err(error) => {
                return unplaced(format!(
                    "process {pid} cannot be identified ({error}); repeat the call"
                ));
            }
        };
        // The number may belong to another process by now: what was read counts only if the caller
        // is still there.
        if self.pidfd.as_ref().is_some_and(|pidfd| linux::pid_of(pidfd) != Some(pid)) {
            return unplaced(format!(
                "process {pid} ended while it was being identified; repeat the call"
            ));
        }
        match place {
            linux::Ancestry::Unrelated => Caller::Operator,
            linux::Ancestry::OfSession(session) => Caller::Session(session),
            linux::Ancestry::OfEngine => unplaced(format!(
                "process {pid} is a descendant of the engine and in no session; \
                 call from outside the engine, or from a session"
            )),
        }
    }

    /// Without `/proc` there is the user alone.
    #[cfg(not(target_os = "linux"))]
    fn place_process(&self, session_of: Option<&SessionOf>) -> Caller {
        match self.pid.zip(session_of).and_then(|(pid, session_of)| session_of(pid)) {
            Some(session) => Caller::Session(session),
            None => Caller::Operator,
        }
    }
}
