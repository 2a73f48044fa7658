//! What the first process of a container has to do: reap every orphan that it is given, and pass
//! signals on.

use std::io;

/// If this process is the first of its namespace, forks: the child continues, and this process
/// stays as its init.
pub(super) fn step_down() {
    // With threads it is too late: only this one would be in the child.
    let has_threads = || std::fs::read_dir("/proc/self/task").is_ok_and(|tasks| tasks.count() > 1);
    if !rustix::process::getpid().is_init() || has_threads() {
        return;
    }
    // SAFETY: the sets are initialised by the calls that fill them; no thread exists yet, so the
    // child of the fork is whole.
    let (signals, child) = unsafe {
        let mut signals: libc::sigset_t = std::mem::zeroed();
        let mut before: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut signals);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const signals, &raw mut before);
        let child = libc::fork();
        if child <= 0 {
            libc::sigprocmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut());
        }
        (signals, child)
    };
    if child > 0 {
        std::process::exit(stay(&signals, child));
    }
    // Without a second process this one does what it can.
}

/// Serves until the child ends; gives its code.
fn stay(signals: &libc::sigset_t, child: i32) -> i32 {
    loop {
        // SAFETY: waits for a signal of a set that lives until the call returns, without asking for
        // details.
        let signal = unsafe { libc::sigwaitinfo(signals, std::ptr::null_mut()) };
        if signal > 0 && signal != libc::SIGCHLD {
            // SAFETY: takes numbers; the child is not reaped yet, so its id is its own.
            unsafe { libc::kill(child, signal) };
        }
        loop {
            let mut status = 0;
            // SAFETY: fills a number that lives until the call returns.
            match unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG | libc::__WALL) } {
                pid if pid == child && libc::WIFEXITED(status) => return libc::WEXITSTATUS(status),
                pid if pid == child => return 128 + libc::WTERMSIG(status),
                0 => break,
                -1 if io::Error::last_os_error().raw_os_error() != Some(libc::EINTR) => break,
                _ => {}
            }
        }
    }
}
