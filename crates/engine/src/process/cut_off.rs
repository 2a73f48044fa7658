//! What this program does first where it was started to watch over processes: cuts every tie but
//! those that it was given, and becomes the one to which orphans come.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

use rustix::process::DumpableBehavior;

/// Gives what were its standard input, output and error; nothing else is open any more.
pub(super) fn cut_off(name: &CStr) -> io::Result<[OwnedFd; 3]> {
    let kept = [
        std::io::stdin().as_fd().try_clone_to_owned()?,
        std::io::stdout().as_fd().try_clone_to_owned()?,
        std::io::stderr().as_fd().try_clone_to_owned()?,
    ];
    let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    drop(null);
    // A descriptor that the engine leaked would keep a pipe open for as long as a session lives.
    close_all_but(kept.each_ref().map(|kept| kept.as_raw_fd().cast_unsigned()));
    let _ = rustix::process::setsid();
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    let _ = rustix::thread::set_name(name);
    // Its memory may hold secrets, and its files in `/proc` are ways to steer it: neither is for
    // other processes of the same user.
    let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    // Its directory must not keep a file system busy.
    let _ = rustix::process::chdir("/");
    Ok(kept)
}

/// Why this process cannot serve: a fork of a process with threads is half a process, and orphans
/// come to its first thread alone.
pub(super) fn late() -> Option<String> {
    let has_threads = std::fs::read_dir("/proc/self/task").is_ok_and(|tasks| tasks.count() > 1);
    has_threads.then(|| {
        "antiphon::process::enter() was called after a thread was started; call it first in main, \
         outside of any runtime"
            .to_owned()
    })
}

fn close_all_but(mut kept: [u32; 3]) {
    kept.sort_unstable();
    let mut from = 3;
    for (below, next) in kept.map(|kept| (kept - 1, kept + 1)).into_iter().chain([(u32::MAX, 0)]) {
        if from <= below {
            // SAFETY: this process has just begun and uses only those: no other descriptor has an
            // owner.
            unsafe { libc::syscall(libc::SYS_close_range, from, below, 0) };
        }
        from = next;
    }
}
