//! The signals that a warden and a subreaper listen to, as a descriptor.

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

/// Blocked and read from a descriptor.
#[derive(Debug)]
pub(in crate::process) struct Signals(OwnedFd);

impl Signals {
    /// Blocks them and opens the descriptor.
    pub(in crate::process) fn block() -> io::Result<Self> {
        // SAFETY: the set is initialised by the first call and lives through the others; the
        // descriptor is new, so nothing else owns it.
        unsafe {
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&raw mut set);
            for signal in [
                libc::SIGCHLD,
                libc::SIGTERM,
                libc::SIGINT,
                libc::SIGHUP,
                libc::SIGQUIT,
                libc::SIGPIPE,
            ] {
                if must_be_heard(signal) || !is_ignored(signal) {
                    libc::sigaddset(&raw mut set, signal);
                }
            }
            // Ignored, an end would not be reported at all.
            libc::signal(libc::SIGCHLD, libc::SIG_DFL);
            if libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut()) != 0 {
                return Err(io::Error::last_os_error());
            }
            match libc::signalfd(-1, &raw const set, libc::SFD_NONBLOCK | libc::SFD_CLOEXEC) {
                -1 => Err(io::Error::last_os_error()),
                fd => Ok(Self(OwnedFd::from_raw_fd(fd))),
            }
        }
    }

    /// Takes the signals that came; whether one of them asks for a stop, as all do but those about
    /// children.
    pub(in crate::process) fn take(&self) -> bool {
        let mut asks_for_stop = false;
        // SAFETY: an all-zero `signalfd_siginfo` is valid.
        let mut info: libc::signalfd_siginfo = unsafe { std::mem::zeroed() };
        let size = size_of::<libc::signalfd_siginfo>();
        // SAFETY: reads at most the size of the structure into it; the descriptor does not block.
        while unsafe { libc::read(self.0.as_raw_fd(), (&raw mut info).cast(), size) }
            == size.cast_signed()
        {
            let signal = info.ssi_signo.cast_signed();
            asks_for_stop |= signal != libc::SIGCHLD && signal != libc::SIGPIPE;
        }
        asks_for_stop
    }
}

/// Whether a signal is listened to in any case. Without the first the end of a program would not be
/// noticed.
fn must_be_heard(signal: libc::c_int) -> bool {
    signal == libc::SIGCHLD
}

/// Whether a signal was ignored when this process was started (`nohup`, the background of a
/// script); then it stays so.
fn is_ignored(signal: libc::c_int) -> bool {
    // SAFETY: the structure is valid when zeroed, lives until the call returns, and is filled by it.
    unsafe {
        let mut now: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &raw mut now) == 0
            && now.sa_sigaction == libc::SIG_IGN
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
