//! Keeps what runs in a session from signalling its warden and its engine, by the best that the
//! kernel has.

use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

use crate::process::launch::Guard;
use crate::process::tree_end::Protection;

const LANDLOCK_CREATE_RULESET_VERSION: libc::c_long = 1;
const LANDLOCK_SCOPE_SIGNAL: u64 = 1 << 1;
/// The first version of Landlock that knows scopes.
const ABI_WITH_SCOPES: libc::c_long = 6;

/// A guard that is ready to be put on in the child.
pub(super) enum Prepared {
    Landlock(OwnedFd),
    Seccomp(Vec<libc::sock_filter>),
    None,
}

impl Prepared {
    pub(super) fn best(wanted: Guard, warden: i32, engine: i32) -> Self {
        let landlock = if wanted == Guard::Best { signal_scope() } else { None };
        match (wanted, landlock) {
            (Guard::Off, _) => Self::None,
            (_, Some(ruleset)) => Self::Landlock(ruleset),
            (_, None) => filter(warden, engine).map_or(Self::None, Self::Seccomp),
        }
    }

    pub(super) fn protection(&self) -> Protection {
        match self {
            Self::Landlock(_) => Protection::Landlock,
            Self::Seccomp(_) => Protection::Seccomp,
            Self::None => Protection::None,
        }
    }

    /// Puts it on the calling process for good. Allocates nothing; needs that no new privileges can
    /// be had.
    pub(super) fn put_on(&self) -> io::Result<()> {
        match self {
            Self::Landlock(ruleset) => {
                // SAFETY: the system call takes a descriptor, which is open, and flags.
                let done = unsafe {
                    libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0)
                };
                if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
            }
            Self::Seccomp(filter) => {
                let length = libc::c_ushort::try_from(filter.len()).unwrap_or(0);
                let program = libc::sock_fprog { len: length, filter: filter.as_ptr().cast_mut() };
                // SAFETY: the kernel copies the program, which lives until the call returns, and
                // does not write to it.
                let done = unsafe {
                    libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program)
                };
                if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
            }
            Self::None => Ok(()),
        }
    }
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

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: Option<u32> = Some(0xc000_003e);
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: Option<u32> = Some(0xc000_00b7);
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const ARCHITECTURE: Option<u32> = None;

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
/// The lower halves of the first and the second argument.
const FIRST: u32 = if cfg!(target_endian = "little") { 16 } else { 20 };
const SECOND: u32 = FIRST + 8;

/// Refuses the calls that signal, stop or trace the two, their groups, or everybody. Calls of other
/// architectures pass, and so does a signal to a single thread of the engine other than its first:
/// this is the second best.
fn filter(warden: i32, engine: i32) -> Option<Vec<libc::sock_filter>> {
    let architecture = ARCHITECTURE?;
    let by_first = [
        libc::SYS_kill,
        libc::SYS_tkill,
        libc::SYS_tgkill,
        libc::SYS_rt_sigqueueinfo,
        libc::SYS_rt_tgsigqueueinfo,
        libc::SYS_pidfd_open,
        libc::SYS_prlimit64,
        libc::SYS_process_vm_writev,
    ];
    let by_second = [libc::SYS_ptrace];
    let group = rustix::process::Pid::from_raw(engine)
        .and_then(|pid| rustix::process::getpgid(Some(pid)).ok());
    let mut refused = vec![warden, engine, -warden, -1];
    refused.extend(group.map(|group| -group.as_raw_nonzero().get()).filter(|&group| group != -1));

    let load = |offset| statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset);
    let answer = |value| statement(libc::BPF_RET | libc::BPF_K, value);
    let refuse = libc::SECCOMP_RET_ERRNO | u32::try_from(libc::EPERM).unwrap_or(1);
    let check = |offset| {
        let mut block = vec![load(offset)];
        for (index, target) in refused.iter().enumerate() {
            // Over the rest and over "allow" to "refuse".
            block.push(jump_if(target.cast_unsigned(), refused.len() - index, 0));
        }
        block.push(answer(libc::SECCOMP_RET_ALLOW));
        block.push(answer(refuse));
        block
    };
    let (first, second) = (check(FIRST), check(SECOND));

    let mut program = vec![
        load(ARCH),
        jump_if(architecture, 1, 0),
        answer(libc::SECCOMP_RET_ALLOW),
        load(NUMBER),
    ];
    let calls = by_first.len() + by_second.len();
    for (index, &call) in by_first.iter().chain(&by_second).enumerate() {
        let to_first = calls - index;
        let to = if index < by_first.len() { to_first } else { to_first + first.len() };
        program.push(jump_if(u32::try_from(call).ok()?, to, 0));
    }
    program.push(answer(libc::SECCOMP_RET_ALLOW));
    program.extend(first);
    program.extend(second);
    Some(program)
}

fn statement(code: u32, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: u16::try_from(code).unwrap_or(0), jt: 0, jf: 0, k }
}

fn jump_if(value: u32, then: usize, otherwise: usize) -> libc::sock_filter {
    let offset =
        |offset| u8::try_from(offset).unwrap_or_else(|_| panic!("BUG: the filter jumps too far"));
    let code = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    libc::sock_filter {
        code: u16::try_from(code).unwrap_or(0),
        jt: offset(then),
        jf: offset(otherwise),
        k: value,
    }
}
