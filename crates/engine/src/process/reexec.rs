//! The first thing that a program does which runs sessions as processes: it may have been started
//! to be something else.

use std::ffi::OsStr;
use std::os::unix::fs::FileTypeExt as _;
use std::sync::atomic::{AtomicBool, Ordering};

use super::wire::{WARDEN_NAME, WARDEN_WORD};
use super::{init, warden};

static ENTERED: AtomicBool = AtomicBool::new(false);

/// Must come first in `main`, before any thread: becomes a warden, and does not return, if this
/// process was started as one. Inside of a `main` that an attribute such as `#[tokio::main]` has
/// wrapped it is too late.
///
/// Only a program that has called this may be run again as the warden of its own sessions. As the
/// first process of a container it also leaves a small one behind in its place that reaps orphans
/// and passes signals on, and continues in a child.
pub fn enter() {
    if is_started_as_warden() {
        std::process::exit(warden::run());
    }
    init::step_down();
    ENTERED.store(true, Ordering::Relaxed);
}

/// Whether this program's own executable can serve as a warden.
pub(super) fn has_entered() -> bool {
    ENTERED.load(Ordering::Relaxed)
}

fn is_started_as_warden() -> bool {
    let mut arguments = std::env::args_os();
    let is_named = arguments.next().as_deref() == Some(OsStr::new(WARDEN_NAME));
    let has_word = arguments.next().as_deref() == Some(OsStr::new(WARDEN_WORD));
    // A user who types the words at a shell has no socket there.
    is_named
        && has_word
        && std::fs::metadata("/proc/self/fd/0").is_ok_and(|meta| meta.file_type().is_socket())
}
