//! The first thing that a program does which runs sessions as processes: it may have been started
//! to be something else.

use std::ffi::OsStr;
use std::os::unix::fs::FileTypeExt as _;
use std::sync::atomic::{AtomicBool, Ordering};

use super::subreaper::{SUBREAPER_NAME, SUBREAPER_WORD};
use super::wire::{WARDEN_NAME, WARDEN_WORD};
use super::{init, subreaper, warden};

static ENTERED: AtomicBool = AtomicBool::new(false);

/// Must come first in `main`, before any thread: becomes a warden or their subreaper, and does not
/// return, if this process was started as one. Inside of a `main` that an attribute such as `#[tokio::main]` has
/// wrapped it is too late.
///
/// Only a program that has called this may be run again as the warden of its own sessions. As the
/// first process of a container it also leaves a small one behind in its place that reaps orphans
/// and passes signals on, and continues in a child. A limit on the size of files becomes an error of
/// the write that meets it, where it would end the program (SIGXFSZ).
pub fn enter() {
    survive_file_size_limit();
    if is_started_as(WARDEN_NAME, WARDEN_WORD) {
        std::process::exit(warden::run());
    }
    if is_started_as(SUBREAPER_NAME, SUBREAPER_WORD) {
        std::process::exit(subreaper::run());
    }
    init::step_down();
    ENTERED.store(true, Ordering::Relaxed);
}

/// Does nothing about SIGXFSZ, if nobody did anything about it: a write beyond the limit then fails,
/// as on a full disk. A handler, because a signal that is ignored would be so in every program that
/// is started, too.
fn survive_file_size_limit() {
    extern "C" fn carry_on(_: libc::c_int) {}
    // SAFETY: both structures are valid when zeroed and live until the calls return; the handler
    // does nothing.
    unsafe {
        let mut before: libc::sigaction = std::mem::zeroed();
        let asked = libc::sigaction(libc::SIGXFSZ, std::ptr::null(), &raw mut before);
        if asked == 0 && before.sa_sigaction == libc::SIG_DFL {
            let mut after: libc::sigaction = std::mem::zeroed();
            after.sa_sigaction = carry_on as extern "C" fn(libc::c_int) as libc::sighandler_t;
            after.sa_flags = libc::SA_RESTART;
            libc::sigaction(libc::SIGXFSZ, &raw const after, std::ptr::null_mut());
        }
    }
}

/// Whether this program's own executable can serve as a warden.
pub(super) fn has_entered() -> bool {
    ENTERED.load(Ordering::Relaxed)
}

fn is_started_as(name: &str, word: &str) -> bool {
    let mut arguments = std::env::args_os();
    let is_named = arguments.next().as_deref() == Some(OsStr::new(name));
    let has_word = arguments.next().as_deref() == Some(OsStr::new(word));
    // A user who types the words at a shell has no socket there.
    is_named
        && has_word
        && std::fs::metadata("/proc/self/fd/0").is_ok_and(|meta| meta.file_type().is_socket())
}
