//! Programs that do what sessions must not get away with, one mode each. All of them end by
//! themselves after a while.

use std::io::{Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

/// Everything here is gone by then, whatever happens to the tests.
const LIFE_MS: u64 = 25_000;

/// A shorter life, in milliseconds.
pub(crate) const LIFE_VARIABLE: &str = "HOSTILE_LIFE_MS";

static DIES_AT_MS: AtomicU64 = AtomicU64::new(0);

fn now_ms() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    time.tv_sec.cast_unsigned() * 1_000 + time.tv_nsec.cast_unsigned() / 1_000_000
}

fn nap(ms: i32) {
    // SAFETY: waits for no descriptor at all.
    unsafe { libc::poll(std::ptr::null_mut(), 0, ms) };
}

fn must_die() -> bool {
    now_ms() >= DIES_AT_MS.load(Ordering::Relaxed)
}

fn linger() -> ! {
    while !must_die() {
        nap(200);
    }
    quit(0)
}

fn quit(code: i32) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(code) }
}

/// Forks; the child runs the function and ends.
fn child(function: impl FnOnce()) -> i32 {
    // SAFETY: every mode has one thread when it forks.
    match unsafe { libc::fork() } {
        0 => {
            function();
            quit(0)
        }
        pid => pid,
    }
}

pub(crate) fn lingering_child() -> i32 {
    child(|| linger())
}

/// A child made by the raw call, with flags of its own.
fn raw_child(flags: i32, function: impl FnOnce()) -> i64 {
    // SAFETY: without a stack and without shared memory this is a fork.
    match unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) } {
        0 => {
            function();
            quit(0)
        }
        pid => pid,
    }
}

fn set_session() {
    // SAFETY: no arguments.
    unsafe { libc::setsid() };
}

/// The classic: out of the session, the group and the parent's sight, and that for certain when
/// this returns.
fn daemon(function: impl FnOnce()) {
    let between = child(|| {
        set_session();
        child(function);
    });
    let mut status = 0;
    // SAFETY: fills a number.
    unsafe { libc::waitpid(between, &raw mut status, 0) };
}

fn close_standard() {
    for fd in 0..3 {
        // SAFETY: nothing of this process uses them any more.
        unsafe { libc::close(fd) };
    }
}

fn send(pid: i32, signal: i32) -> bool {
    // SAFETY: takes numbers.
    unsafe { libc::kill(pid, signal) == 0 }
}

fn parent() -> i32 {
    // SAFETY: no arguments.
    unsafe { libc::getppid() }
}

fn again(mode: &str, marker: &str) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.args(["hostile", mode, marker]);
    command
}

pub(crate) fn run(mode: &str, marker: &str, rest: &[&str]) {
    let life_ms =
        std::env::var(LIFE_VARIABLE).ok().and_then(|ms| ms.parse().ok()).unwrap_or(LIFE_MS);
    DIES_AT_MS.store(now_ms() + life_ms, Ordering::Relaxed);
    let number = || rest.first().and_then(|word| word.parse::<i32>().ok()).unwrap_or(0);
    match mode {
        "plain" => {}
        "hold" => linger(),
        "daemon" => daemon(|| {
            close_standard();
            linger()
        }),
        "keepout" => daemon(|| linger()),
        "cleanenv" => daemon(|| drop(again("hold", marker).env_clear().exec())),
        "nodump" => daemon(|| {
            // SAFETY: takes numbers.
            unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0) };
            linger()
        }),
        "zleader" => daemon(|| {
            std::thread::spawn(|| linger());
            // SAFETY: ends this thread alone; the process lives on without its leader.
            unsafe { libc::syscall(libc::SYS_exit, 0) };
        }),
        "zleadermain" => {
            std::thread::spawn(|| linger());
            // SAFETY: as above.
            unsafe { libc::syscall(libc::SYS_exit, 0) };
        }
        "stopped" => daemon(|| {
            // A group without anybody outside who cares is hung up and continued when it stops.
            // SAFETY: takes numbers.
            unsafe { libc::signal(libc::SIGHUP, libc::SIG_IGN) };
            while !must_die() {
                send(rustix::process::getpid().as_raw_nonzero().get(), libc::SIGSTOP);
            }
        }),
        "stoppedmain" => {
            send(rustix::process::getpid().as_raw_nonzero().get(), libc::SIGSTOP);
            linger()
        }
        "clone0" => drop(raw_child(0, || linger())),
        "cloneparent" => drop(raw_child(libc::CLONE_PARENT | libc::SIGCHLD, || linger())),
        "vfork" => daemon(|| {
            raw_child(libc::CLONE_VFORK | libc::SIGCHLD, || linger());
        }),
        "ptrace" => daemon(|| {
            child(|| {
                // SAFETY: asks to be traced by the parent.
                unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) };
                send(rustix::process::getpid().as_raw_nonzero().get(), libc::SIGSTOP);
                linger()
            });
            linger()
        }),
        "multi" => (0..20).for_each(|_| daemon(|| linger())),
        "subreaper" => {
            child(|| {
                let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
                (0..5).for_each(|_| daemon(|| linger()));
                linger()
            });
        }
        "pidns" => {
            child(|| {
                // SAFETY: takes numbers; refused where namespaces are.
                unsafe { libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWPID) };
                child(|| {
                    daemon(|| linger());
                    linger()
                });
                linger()
            });
        }
        "latefork" => daemon(|| {
            while !must_die() {
                nap(1);
                daemon(|| linger());
                if now_ms() + LIFE_MS - DIES_AT_MS.load(Ordering::Relaxed) > 200 {
                    linger()
                }
            }
        }),
        "rabbit" => rabbit(false),
        "rabbitsid" => rabbit(true),
        "rabbit4" => (0..4).for_each(|_| rabbit(true)),
        "guard" => guard(),
        "bomb" => bomb(),
        "hydra" => hydra(),
        "ignoreterm" => {
            ignore_term();
            report(true);
            linger()
        }
        "holdmulti" => {
            (0..10).for_each(|_| daemon(|| linger()));
            linger()
        }
        "holdmix" => {
            for other in ["daemon", "cleanenv", "nodump", "zleader", "stopped", "clone0"] {
                child(|| run(other, marker, &[]));
            }
            linger()
        }
        "holdrabbit" => {
            rabbit(true);
            linger()
        }
        "killwarden" => {
            let warden = parent();
            three_daemons(marker);
            report(send(warden, libc::SIGKILL));
            linger()
        }
        "stopwarden" => {
            let warden = parent();
            daemon(|| linger());
            report(send(warden, libc::SIGSTOP));
        }
        "killtwo" => {
            let warden = parent();
            three_daemons(marker);
            // Stopped first, it cannot make use of the moment between the two.
            send(warden, libc::SIGSTOP);
            nap(5);
            send(number(), libc::SIGKILL);
            report(send(warden, libc::SIGKILL));
        }
        "killthree" => {
            let (warden, subreaper) = (parent(), parent_of(parent()));
            three_daemons(marker);
            for (pid, signal) in [
                (warden, libc::SIGSTOP),
                (subreaper, libc::SIGSTOP),
                (number(), libc::SIGKILL),
                (subreaper, libc::SIGKILL),
                (warden, libc::SIGKILL),
            ] {
                send(pid, signal);
                nap(5);
            }
        }
        "shed" => {
            shed(rest[0]);
            nap(30);
            linger()
        }
        "shedkill" => {
            let warden = parent();
            shed(rest[0]);
            nap(30);
            send(warden, libc::SIGKILL);
            linger()
        }
        "shedkilltwo" => {
            let (warden, subreaper) = (parent(), parent_of(parent()));
            shed(rest[0]);
            nap(30);
            send(subreaper, libc::SIGKILL);
            while parent_of(warden) == subreaper {
                nap(1);
            }
            send(warden, libc::SIGKILL);
            linger()
        }
        "stoptwo" => {
            let warden = parent();
            three_daemons(marker);
            send(warden, libc::SIGSTOP);
            send(number(), libc::SIGKILL);
            linger()
        }
        "steer" => {
            let other = rest.get(1).and_then(|word| word.parse().ok()).unwrap_or(0);
            let has_landlock = rest.last() == Some(&"landlock");
            crate::steering::attempt(parent(), number(), other, has_landlock);
        }
        "limititself" => crate::steering::limit_oneself(),
        "exit" => quit(number()),
        "sig" => {
            // SAFETY: takes numbers.
            unsafe { libc::signal(number(), libc::SIG_DFL) };
            send(rustix::process::getpid().as_raw_nonzero().get(), number());
            linger()
        }
        "flood" => flood(),
        "cat" => {
            let mut input = Vec::new();
            let _ = std::io::stdin().read_to_end(&mut input);
            let _ = std::io::stdout().write_all(&input);
        }
        "self" => describe_self(),
        "print" => {
            let value =
                std::env::var(rest.first().copied().unwrap_or_default()).unwrap_or_default();
            print_in_pieces(&value);
        }
        "printhold" => {
            print_in_pieces(&std::env::var("KEY").unwrap_or_default());
            linger()
        }
        "memory" => {
            let held: Vec<u8> = (0..256_u32 << 20).map(|index| (index >> 12) as u8).collect();
            std::hint::black_box(&held);
            linger()
        }
        "spin" => {
            while !must_die() {
                std::hint::spin_loop();
            }
        }
        "termdaemon" => {
            // Ends well when asked, and leaves somebody.
            daemon(|| linger());
            nap_until_term()
        }
        other => {
            eprintln!("no mode {other}");
            quit(99)
        }
    }
}

fn three_daemons(marker: &str) {
    daemon(|| linger());
    daemon(|| drop(again("hold", marker).env_clear().exec()));
    daemon(|| {
        // SAFETY: takes numbers.
        unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0) };
        linger()
    });
    // Until they are out of reach.
    nap(30);
}

/// Leaves somebody who has nothing of its session any more: neither its marks, nor its kernel
/// session, nor its parents, nor its words.
fn shed(other_marker: &str) {
    daemon(|| {
        set_session();
        let least = libc::rlimit { rlim_cur: 1 << 20, rlim_max: 1 << 20 };
        // SAFETY: reads a limit that lives until it returns.
        unsafe { libc::setrlimit(libc::RLIMIT_RSS, &raw const least) };
        drop(again("hold", other_marker).arg0("innocent").env_clear().exec());
    });
}

/// Whoever started a process.
pub(crate) fn parent_of(pid: i32) -> i32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(") ").map(|(_, fields)| fields.split(' '));
    fields.and_then(|mut fields| fields.nth(1)?.parse().ok()).unwrap_or(0)
}

fn report(was_sent: bool) {
    print!("{}", if was_sent { "sent" } else { "refused" });
    let _ = std::io::stdout().flush();
}

fn ignore_term() {
    // SAFETY: takes numbers.
    unsafe { libc::signal(libc::SIGTERM, libc::SIG_IGN) };
}

fn nap_until_term() -> ! {
    extern "C" fn ended(_: i32) {
        quit(7)
    }
    // SAFETY: the handler only ends the process.
    unsafe { libc::signal(libc::SIGTERM, ended as *const () as libc::sighandler_t) };
    report(true);
    linger()
}

/// Forks and exits, over and over, so that no list of processes is ever right.
fn rabbit(leave_session: bool) {
    child(|| {
        while !must_die() {
            if leave_session {
                set_session();
            }
            // SAFETY: one thread.
            match unsafe { libc::fork() } {
                0 => {}
                -1 => nap(1),
                _ => quit(0),
            }
        }
    });
}

/// Two that start each other again.
fn guard() {
    daemon(|| {
        while !must_die() {
            let pid = child(|| {
                set_session();
                let watched = parent();
                while !must_die() && parent() == watched {
                    nap(1);
                }
                if !must_die() {
                    guard();
                }
            });
            let mut status = 0;
            // SAFETY: fills a number.
            unsafe { libc::waitpid(pid, &raw mut status, 0) };
        }
    });
}

fn bomb() {
    // 2^7 processes, which is more than anybody would start by mistake and no harm.
    for _ in 0..7 {
        child_that_goes_on();
    }
    linger()
}

/// Both go on after this.
fn child_that_goes_on() {
    // SAFETY: one thread.
    unsafe { libc::fork() };
}

/// Two for one, up to a number that all of them count together.
fn hydra() {
    static HEADS: AtomicPtr<AtomicU32> = AtomicPtr::new(std::ptr::null_mut());
    // SAFETY: a fresh page, zeroed and shared with the children; it lives as long as the processes
    // do.
    let heads = unsafe {
        let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
        let page = libc::mmap(
            std::ptr::null_mut(),
            4096,
            libc::PROT_READ | libc::PROT_WRITE,
            flags,
            -1,
            0,
        );
        HEADS.store(page.cast(), Ordering::SeqCst);
        &*page.cast::<AtomicU32>()
    };
    child(|| {
        loop {
            set_session();
            for _ in 0..2 {
                if heads.fetch_add(1, Ordering::SeqCst) >= 2_000 {
                    linger();
                }
                // SAFETY: one thread.
                if unsafe { libc::fork() } == 0 {
                    break;
                }
                continue;
            }
            nap(1);
            if must_die() {
                quit(0);
            }
            if heads.load(Ordering::SeqCst) >= 250 {
                linger();
            }
        }
    });
}

fn flood() {
    let chunk = [b'x'; 64 * 1024];
    let mut out = std::io::stdout();
    let until = now_ms() + 150;
    while now_ms() < until {
        if out.write_all(&chunk).is_err() {
            return;
        }
    }
}

/// Everything that may have leaked into a program, on one line each.
fn describe_self() {
    let mut fds: Vec<String> = std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .map(|fd| fd.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    fds.sort();
    // The last is the listing itself.
    println!("fds {}", fds.join(" "));
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    for field in ["SigBlk", "SigIgn", "SigCgt", "NoNewPrivs"] {
        let line = status.lines().find(|line| line.starts_with(field)).unwrap();
        println!("{}", line.replace('\t', " "));
    }
    let own = rustix::process::getpid();
    println!("leads its session {}", rustix::process::getsid(None).ok() == Some(own));
    println!("directory {}", std::env::current_dir().unwrap().display());
    for (name, value) in std::env::vars() {
        println!("{name}={}", if name == "ANTIPHON_TREE" { "set" } else { &value });
    }
}

fn print_in_pieces(value: &str) {
    let mut out = std::io::stdout();
    let escaped: String =
        value.chars().map(|c| if c == '"' { "\\\"".to_owned() } else { c.to_string() }).collect();
    for text in [value.to_owned(), format!("{{\"key\":\"{escaped}\"}}")] {
        for byte in text.bytes() {
            let _ = out.write_all(&[byte]);
            let _ = out.flush();
        }
        let _ = out.write_all(b"\n");
    }
    eprintln!("error: {value} is wrong");
    if let Some(file) = std::env::var_os("RESULT") {
        let _ = std::fs::write(file, format!("{{\"output\":\"{escaped}\"}}"));
    }
    if let Some(directory) = std::env::var_os("SCRATCH") {
        let _ = std::fs::write(std::path::Path::new(&directory).join("notes"), value);
    }
}
