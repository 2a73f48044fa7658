//! Keeps what runs in a session from signalling, limiting and otherwise steering its warden and its
//! engine, by all that the kernel has: each of the two means covers what the other does not see.

use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

use super::filter::{self, Watchers};
use crate::process::launch::Guard;
use crate::process::tree_end::Protection;

const LANDLOCK_CREATE_RULESET_VERSION: libc::c_long = 1;
const LANDLOCK_SCOPE_SIGNAL: u64 = 1 << 1;
/// The first version of Landlock that knows scopes.
const ABI_WITH_SCOPES: libc::c_long = 6;

/// A guard that is ready to be put on in the child.
pub(super) struct Prepared {
    /// Signals, and with them everything for which a process must be allowed to trace another.
    landlock: Option<OwnedFd>,
    /// What needs no more than the same user: limits, scheduling, memory.
    filter: Option<Vec<libc::sock_filter>>,
    /// The same where it may ask the warden.
    asking: Option<Vec<libc::sock_filter>>,
}

impl Prepared {
    pub(super) fn best(wanted: Guard, watchers: Watchers) -> Self {
        let landlock = if wanted == Guard::Best { signal_scope() } else { None };
        let filter = |may_ask| match wanted {
            Guard::Off => None,
            Guard::Best | Guard::Seccomp => filter::against(watchers, landlock.is_some(), may_ask),
        };
        let (filter, asking) = (filter(false), filter(true));
        Self { landlock, filter, asking }
    }

    /// The strongest of what is put on.
    pub(super) fn protection(&self) -> Protection {
        match (&self.landlock, &self.filter) {
            (Some(_), _) => Protection::Landlock,
            (None, Some(_)) => Protection::Seccomp,
            (None, None) => Protection::None,
        }
    }

    /// Puts all of it on the calling process for good; gives where the warden hears what it is asked.
    /// Allocates nothing; needs that no new privileges can be had.
    pub(super) fn put_on(&self) -> io::Result<Option<OwnedFd>> {
        if let Some(ruleset) = &self.landlock {
            // SAFETY: the system call takes a descriptor, which is open, and flags.
            let done =
                unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0) };
            if done != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        if let Some(listener) = self.asking.as_ref().and_then(|filter| put_on_with_listener(filter))
        {
            return Ok(Some(listener));
        }
        if let Some(filter) = &self.filter {
            let length = libc::c_ushort::try_from(filter.len()).unwrap_or(0);
            let program = libc::sock_fprog { len: length, filter: filter.as_ptr().cast_mut() };
            // SAFETY: the kernel copies the program, which lives until the call returns, and does
            // not write to it.
            let done = unsafe {
                libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program)
            };
            if done != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(None)
    }
}

/// Puts on a filter that may ask. `None` if it is not on: the kernel is too old for that, or a filter
/// that asks somebody else is on already, as in a session of an engine inside of a session.
fn put_on_with_listener(filter: &[libc::sock_filter]) -> Option<OwnedFd> {
    let length = libc::c_ushort::try_from(filter.len()).ok()?;
    let program = libc::sock_fprog { len: length, filter: filter.as_ptr().cast_mut() };
    // SAFETY: the kernel copies the program, which lives until the call returns, and does not write
    // to it.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
            &raw const program,
        )
    };
    let fd = i32::try_from(fd).ok().filter(|&fd| fd >= 0)?;
    // SAFETY: the call has just made this descriptor, so nothing else owns it.
    Some(unsafe { OwnedFd::from_raw_fd(fd) })
}

#[repr(C)]
struct RulesetAttributes {
    handled_access_fs: u64,
    handled_access_net: u64,
    scoped: u64,
}

/// A ruleset that restricts nothing but signals to processes outside.
fn signal_scope() -> Option<OwnedFd> {
    let nothing = std::ptr::null::<RulesetAttributes>();
    // SAFETY: with this flag the call reads no attributes and answers with a version.
    let abi = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            nothing,
            0,
            LANDLOCK_CREATE_RULESET_VERSION,
        )
    };
    if abi < ABI_WITH_SCOPES {
        return None;
    }
    let attributes = RulesetAttributes {
        handled_access_fs: 0,
        handled_access_net: 0,
        scoped: LANDLOCK_SCOPE_SIGNAL,
    };
    // SAFETY: the attributes have the layout of `struct landlock_ruleset_attr` in version 6, and
    // the call only reads them.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            &raw const attributes,
            size_of::<RulesetAttributes>(),
            0,
        )
    };
    let fd = i32::try_from(fd).ok().filter(|&fd| fd >= 0)?;
    // SAFETY: the call has just made this descriptor, so nothing else owns it.
    Some(unsafe { OwnedFd::from_raw_fd(fd) })
}
