//! The calls other than signals with which a process of a session could steer, limit or read those
//! who watch it, and that each of them is refused.

use std::io::Write as _;

use antiphon::process::{Guard, Protection, WardenSetup};

use crate::engine::hostile;
use crate::fixture::{Fixture, marker, repetitions};

/// Tries every call on the warden, its parent, the engine and the warden of another session. Prints the calls that were not refused. None of them
/// changes anything where it is let through.
pub(crate) fn attempt(warden: i32, engine: i32, other_warden: i32, has_landlock: bool) {
    let mut passed = Vec::new();
    let is_root = rustix::process::geteuid().is_root();
    let whom = [
        ("warden", warden),
        ("subreaper", crate::hostile::parent_of(warden)),
        ("engine", engine),
        ("warden of another", other_warden),
        // What the engine has started since, as a thread of it or otherwise.
        ("first process", 1),
    ];
    for (whom, pid) in whom.into_iter().filter(|(_, pid)| *pid != 0) {
        if pid == 1 {
            for (call, number, arguments) in scheduling(pid) {
                if !is_refused(number, arguments) {
                    passed.push(format!("{call} on the {whom}"));
                }
            }
            continue;
        }
        let mut note = |call: &str, was_refused: bool| {
            if !was_refused {
                passed.push(format!("{call} on the {whom}"));
            }
        };
        note("prlimit", limit_is_refused(pid));
        note("prlimit of the older system", older_limit_is_refused(pid));
        for (call, number) in [
            ("pidfd_getfd", libc::SYS_pidfd_getfd),
            ("process_madvise", libc::SYS_process_madvise),
            ("process_mrelease", libc::SYS_process_mrelease),
        ] {
            note(call, is_refused(number, [-1, 0, 0, 0, 0]));
        }
        for (call, number, arguments) in scheduling(pid) {
            note(call, is_refused(number, arguments));
        }
        // Root may trace everybody unless Landlock is there.
        if pid != other_warden || !is_root || has_landlock {
            note("ptrace", is_refused(libc::SYS_ptrace, [0x4206, pid.into(), 0, 0, 0]));
            note("process_vm_readv", memory_is_refused(libc::SYS_process_vm_readv, pid));
            note("process_vm_writev", memory_is_refused(libc::SYS_process_vm_writev, pid));
            note("kcmp", is_refused(libc::SYS_kcmp, [own(), pid.into(), 1, 0, 0]));
        }
        if has_landlock || (!is_root && pid != engine) {
            note("mem", cannot_open(pid, "mem"));
        }
        if !is_root && pid != engine {
            note("oom_score_adj", cannot_open(pid, "oom_score_adj"));
        }
    }
    print!("{}", if passed.is_empty() { "refused".to_owned() } else { passed.join(", ") });
    let _ = std::io::stdout().flush();
}

/// A process may do all of that with itself, and schedule what it started.
pub(crate) fn limit_oneself() {
    let mut refused = Vec::new();
    if limit_is_refused(0) {
        refused.push("prlimit");
    }
    let child = crate::hostile::lingering_child();
    for pid in [0, rustix::process::getpid().as_raw_nonzero().get(), child] {
        for (call, number, arguments) in scheduling(pid) {
            if is_refused(number, arguments) {
                refused.push(call);
            }
        }
    }
    print!("{}", if refused.is_empty() { "done".to_owned() } else { refused.join(", ") });
    let _ = std::io::stdout().flush();
}

type Arguments = [libc::c_long; 5];

/// Each with a pointer to nothing or the value that is there, so that it changes nothing.
fn scheduling(pid: i32) -> [(&'static str, libc::c_long, Arguments); 6] {
    let pid = libc::c_long::from(pid);
    [
        ("sched_setaffinity", libc::SYS_sched_setaffinity, [pid, 8, 0, 0, 0]),
        ("sched_setscheduler", libc::SYS_sched_setscheduler, [pid, 0, 0, 0, 0]),
        ("sched_setparam", libc::SYS_sched_setparam, [pid, 0, 0, 0, 0]),
        ("sched_setattr", libc::SYS_sched_setattr, [pid, 0, 0, 0, 0]),
        ("setpriority", libc::SYS_setpriority, [0, pid, 0, 0, 0]),
        ("ioprio_set", libc::SYS_ioprio_set, [1, pid, 0, 0, 0]),
    ]
}

fn own() -> libc::c_long {
    rustix::process::getpid().as_raw_nonzero().get().into()
}

fn errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// Whether a call fails for want of permission; every other failure would come later.
fn is_refused(number: libc::c_long, [a, b, c, d, e]: Arguments) -> bool {
    // SAFETY: the pointers among the arguments are null, which these calls refuse.
    unsafe { libc::syscall(number, a, b, c, d, e, 0) == -1 && errno() == libc::EPERM }
}

fn limit_is_refused(pid: i32) -> bool {
    let mut limit = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: fills a limit that lives until it returns.
    let asked =
        unsafe { libc::prlimit64(pid, libc::RLIMIT_NOFILE, std::ptr::null(), &raw mut limit) };
    assert_eq!(asked, 0, "a limit may be asked for");
    // SAFETY: reads a limit that lives until it returns: the one that is there.
    let set = unsafe {
        libc::prlimit64(pid, libc::RLIMIT_NOFILE, &raw const limit, std::ptr::null_mut())
    };
    set == -1 && errno() == libc::EPERM
}

/// One byte, from or to where no process has memory.
fn memory_is_refused(number: libc::c_long, pid: i32) -> bool {
    let mut byte = 0_u8;
    let here = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    let there = libc::iovec { iov_base: std::ptr::without_provenance_mut(1), iov_len: 1 };
    let (one, flags): (libc::c_ulong, libc::c_ulong) = (1, 0);
    // SAFETY: both descriptions live until the call returns, and so does the byte here.
    let done =
        unsafe { libc::syscall(number, pid, &raw const here, one, &raw const there, one, flags) };
    done == -1 && errno() == libc::EPERM
}

fn cannot_open(pid: i32, file: &str) -> bool {
    std::fs::OpenOptions::new().write(true).open(format!("/proc/{pid}/{file}")).is_err()
}

/// The same call by the way of 32-bit programs, in a child, as not every kernel has it.
#[cfg(target_arch = "x86_64")]
fn older_limit_is_refused(pid: i32) -> bool {
    // SAFETY: this process has one thread; the child makes one call with a pointer that no process
    // has and ends.
    unsafe {
        match libc::fork() {
            0 => {
                let answer: i64;
                std::arch::asm!(
                    "push rbx", "mov ebx, {pid:e}", "int 0x80", "pop rbx",
                    pid = in(reg) pid,
                    inlateout("rax") 340_i64 => answer,
                    in("ecx") 7, in("edx") 1, in("esi") 0,
                    out("r8") _, out("r9") _, out("r10") _, out("r11") _,
                );
                libc::_exit(i32::from(answer as i32 != -libc::EPERM));
            }
            child => {
                let mut status = 0;
                libc::waitpid(child, &raw mut status, 0);
                !libc::WIFEXITED(status) || libc::WEXITSTATUS(status) == 0
            }
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn older_limit_is_refused(_: i32) -> bool {
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_cannot_steer_limit_or_read_those_who_watch_it() {
    let fixture = Fixture::new();
    let ended = fixture.run(hostile("plain", &marker(), &[])).await;
    let best = ended.end.protection;
    assert_ne!(best, Protection::None);
    for guard in [Guard::Best, Guard::Seccomp] {
        let has_landlock = guard == Guard::Best && best == Protection::Landlock;
        let fixture = Fixture::with(WardenSetup { guard, ..WardenSetup::default() });
        let session = fixture.session();
        let mut other =
            fixture.wardens.launch(&session, hostile("hold", &marker(), &[])).await.unwrap();
        let other_warden = other.warden().unwrap().pid;
        for _ in 0..repetitions(60) {
            let landlock = if has_landlock { "landlock" } else { "" };
            let (engine, other) = (std::process::id().to_string(), other_warden.to_string());
            let words = [engine, other, landlock.to_owned()];
            let ended = fixture.run(hostile("steer", &marker(), &words)).await;
            let printed = ended.folder.read(antiphon::process::Kept::Stdout).unwrap();
            assert_eq!(String::from_utf8_lossy(&printed), "refused", "{guard:?}");
            assert!(ended.end.clean, "{:?}", ended.end);
        }
        other.stop(antiphon::process::StopReason::Cancelled);
        assert!(other.ended().await.clean);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_may_limit_itself() {
    let fixture = Fixture::new();
    let ended = fixture.run(hostile("limititself", &marker(), &[])).await;
    let printed = ended.folder.read(antiphon::process::Kept::Stdout).unwrap();
    assert_eq!(String::from_utf8_lossy(&printed), "done");
}
