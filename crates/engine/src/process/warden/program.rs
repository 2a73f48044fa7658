//! Starts a program of the session: forked, marked, and held at a gate until its existence is
//! written down.
//!
//! Between fork and exec only this file runs, in a process with one thread.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::DumpableBehavior;

use super::guard::Prepared;
use super::listener::Listener;
use crate::process::launch::Limits;
use crate::process::mark::Mark;
use crate::process::packets::Packets;
use crate::process::tree_end::StartFailure;
use crate::process::wire::{Order, OsText};

/// Steps of the child that can fail, as bytes on the pipe that reports them.
const DIRECTORY: u8 = 1;
const LIMITS: u8 = 2;
const OUTPUTS: u8 = 3;
const EXEC: u8 = 4;
/// Reported, and no reason not to start.
const GUARD: u8 = 5;

/// What is forked: the session's program, or its check.
#[derive(Clone, Copy)]
pub(super) struct Program<'a> {
    command: &'a [OsText],
    directory: &'a OsText,
    environment: &'a [(OsText, OsText)],
    mark: Mark,
    limits: &'a Limits,
    open_files: (Option<u64>, Option<u64>),
    stdin: Option<BorrowedFd<'a>>,
    guard: &'a Prepared,
}

impl<'a> Program<'a> {
    /// The session's own program, without an input.
    pub(super) fn of(order: &'a Order, guard: &'a Prepared) -> Self {
        Self {
            command: &order.command,
            directory: &order.directory,
            environment: &order.environment,
            mark: order.mark,
            limits: &order.limits,
            open_files: order.open_files,
            stdin: None,
            guard,
        }
    }

    pub(super) fn with_stdin(self, stdin: Option<BorrowedFd<'a>>) -> Self {
        Self { stdin, ..self }
    }

    /// Another command in the same place and under the same limits, without an input.
    pub(super) fn with_command(self, command: &'a [OsText]) -> Self {
        Self { command, stdin: None, ..self }
    }

    pub(super) fn limits(&self) -> &'a Limits {
        self.limits
    }
}

/// A program that was forked.
pub(super) struct ForkedProgram {
    pid: i32,
    /// Dropped unopened, it ends the child.
    gate: Option<OwnedFd>,
    report: File,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
    listener: Listener,
}

impl ForkedProgram {
    pub(super) fn pid(&self) -> i32 {
        self.pid
    }

    /// Its standard output and standard error; nothing when they were taken before.
    pub(super) fn take_outputs(&mut self) -> (Option<OwnedFd>, Option<OwnedFd>) {
        (self.stdout.take(), self.stderr.take())
    }

    /// Where the filter that it runs under asks.
    pub(super) fn listener(&mut self) -> &mut Listener {
        &mut self.listener
    }

    /// Lets the program run.
    pub(super) fn open_gate(&mut self) {
        if let Some(gate) = self.gate.take() {
            // A child that is gone is noticed by its end.
            let _ = rustix::io::write(&gate, b"g");
        }
    }

    /// What the child said about its start, once it is gone or runs: why it did not, and whether
    /// the guard is on.
    pub(super) fn started(&mut self, program: &Program<'_>) -> (Option<StartFailure>, bool) {
        let mut said = Vec::new();
        // The pipe does not block: what is not there by now will not come.
        let _ = self.report.by_ref().take(1024).read_to_end(&mut said);
        let mut failure = None;
        let mut guarded = true;
        for record in said.chunks_exact(5) {
            let (step, errno) =
                (record[0], i32::from_le_bytes([record[1], record[2], record[3], record[4]]));
            if step == GUARD {
                guarded = false;
                continue;
            }
            failure = Some(describe(step, errno, program));
        }
        (failure, guarded)
    }
}

fn describe(step: u8, errno: i32, program: &Program<'_>) -> StartFailure {
    let is_of_program = !matches!(step, DIRECTORY | LIMITS | OUTPUTS);
    let step = match step {
        DIRECTORY => format!("enter the directory {}", program.directory.lossy()),
        LIMITS => "set the limits".to_owned(),
        OUTPUTS => "connect the outputs".to_owned(),
        _ => format!("start {:?}", program.command.first().map(OsText::lossy).unwrap_or_default()),
    };
    let text = format!("cannot {step}: {}", io::Error::from_raw_os_error(errno));
    StartFailure { is_of_program, errno, text }
}

/// Forks a program and leaves it at its gate. `kept_from_child` are descriptors that its end must
/// not wait for.
pub(super) fn fork(program: &Program<'_>, kept_from_child: &[RawFd]) -> io::Result<ForkedProgram> {
    let texts = Texts::of(program)?;
    let (gate_out, gate_in) = pipe_with(PipeFlags::CLOEXEC)?;
    let (report_out, report_in) = pipe_with(PipeFlags::CLOEXEC)?;
    let (stdout_out, stdout_in) = pipe_with(PipeFlags::CLOEXEC)?;
    let (stderr_out, stderr_in) = pipe_with(PipeFlags::CLOEXEC)?;
    for ours in [&report_out, &stdout_out, &stderr_out] {
        rustix::io::ioctl_fionbio(ours, true)?;
    }
    let null = File::open("/dev/null")?;
    let stdin = program.stdin.map_or_else(|| null.as_raw_fd(), |stdin| stdin.as_raw_fd());
    let (listener, listener_way) = Packets::pair()?;
    let plan = ChildPlan {
        warden: rustix::process::getpid().as_raw_nonzero().get(),
        gate: gate_out.as_raw_fd(),
        report: report_in.as_raw_fd(),
        standard: [stdin, stdout_in.as_raw_fd(), stderr_in.as_raw_fd()],
        listener: Packets::over(listener_way),
        mark: program.mark.value,
        limits: *program.limits,
        open_files: program.open_files,
        guard: program.guard,
    };
    // SAFETY: this process has one thread, so the child is a whole copy and may call anything.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            for ours in [
                gate_in.as_raw_fd(),
                report_out.as_raw_fd(),
                listener.as_raw_fd(),
                stdout_out.as_raw_fd(),
                stderr_out.as_raw_fd(),
            ] {
                close(ours);
            }
            kept_from_child.iter().copied().for_each(close);
            let (step, errno) = plan.become_program(&texts);
            plan.report(step, errno);
            // SAFETY: ends the child at once; nothing of the parent's is flushed or run twice.
            unsafe { libc::_exit(127) }
        }
        pid => Ok(ForkedProgram {
            pid,
            gate: Some(gate_in),
            report: File::from(report_out),
            stdout: Some(stdout_out),
            stderr: Some(stderr_out),
            listener: Listener::Expected(listener),
        }),
    }
}

fn close(fd: RawFd) {
    // SAFETY: only the child calls this, on its copies, and none of them is used after.
    unsafe { libc::close(fd) };
}

/// What exec is given, made before the fork.
struct Texts {
    candidates: Vec<CString>,
    directory: CString,
    arguments: Vec<CString>,
    environment: Vec<CString>,
}

impl Texts {
    fn of(program: &Program<'_>) -> io::Result<Self> {
        let c_string = |bytes: Vec<u8>| CString::new(bytes).map_err(io::Error::from);
        let arguments = program
            .command
            .iter()
            .map(|text| c_string(text.bytes().to_vec()))
            .collect::<io::Result<Vec<_>>>()?;
        let mut environment = Vec::new();
        for (name, value) in program.environment {
            environment.push(c_string([name.bytes(), b"=", value.bytes()].concat())?);
        }
        environment.push(c_string(program.mark.pair())?);
        let name = program.command.first().map(OsText::bytes).unwrap_or_default();
        let mut candidates = Vec::new();
        if name.contains(&b'/') {
            candidates.push(c_string(name.to_vec())?);
        } else {
            let path = program.environment.iter().find(|(name, _)| name.bytes() == b"PATH");
            let path = path.map_or(&b"/usr/local/bin:/usr/bin:/bin"[..], |(_, path)| path.bytes());
            for directory in path.split(|&byte| byte == b':') {
                let directory = if directory.is_empty() { b"." } else { directory };
                candidates.push(c_string([directory, b"/", name].concat())?);
            }
        }
        Ok(Self {
            candidates,
            directory: c_string(program.directory.bytes().to_vec())?,
            arguments,
            environment,
        })
    }
}

/// What the child does after the fork, in numbers.
struct ChildPlan<'a> {
    warden: i32,
    gate: RawFd,
    report: RawFd,
    standard: [RawFd; 3],
    /// The way for what hears the questions of the filter.
    listener: Packets,
    mark: u64,
    limits: Limits,
    open_files: (Option<u64>, Option<u64>),
    guard: &'a Prepared,
}

impl ChildPlan<'_> {
    /// Turns the calling process into the program; returns the step that failed.
    fn become_program(&self, texts: &Texts) -> (u8, i32) {
        // Before the gate comes what lets a sweep find this process and ends it with its warden;
        // nothing of the session's runs until its existence is written down.
        //
        // SAFETY: every call here takes numbers, or pointers to values that live until it returns.
        unsafe {
            // A kernel session of its own, so that a signal to one of its groups reaches no others.
            libc::setsid();
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            // The warden may have died before the line above.
            if libc::getppid() != self.warden {
                libc::_exit(127);
            }
            // Best effort: who has a lower limit of this kind already keeps it, and is found by the
            // environment alone.
            let _ = set_limit(libc::RLIMIT_RSS, self.mark);
        }
        self.wait_at_gate();
        // Exec keeps blocked and ignored signals, and the warden has blocked its own.
        reset_signals();
        // When memory runs out, the session goes before its warden and the engine. Best effort.
        // As undumpable as its warden, only root could.
        let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::Dumpable);
        let _ = std::fs::write("/proc/self/oom_score_adj", "500");
        let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
        // SAFETY: as above.
        unsafe {
            if libc::chdir(texts.directory.as_ptr()) != 0 {
                return (DIRECTORY, errno());
            }
            // The copies lose close-on-exec, which the pipes themselves keep.
            for (target, &source) in (0..).zip(&self.standard) {
                if libc::dup2(source, target) < 0 {
                    return (OUTPUTS, errno());
                }
            }
            // The guard needs it; and a setuid program would become a process that the warden may
            // not signal.
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        }
        match self.guard.put_on() {
            // It stays open on its way.
            Ok(Some(listener)) => {
                let _ = self.listener.send(&(), &[listener.as_fd()]);
            }
            Ok(None) => {}
            Err(error) => self.report(GUARD, error.raw_os_error().unwrap_or(0)),
        }
        if let Err(errno) = self.set_limits() {
            return (LIMITS, errno);
        }
        close_all_on_exec();
        (EXEC, exec(texts))
    }

    fn wait_at_gate(&self) {
        let mut byte = [0_u8];
        loop {
            // SAFETY: reads one byte into a buffer of one byte.
            match unsafe { libc::read(self.gate, byte.as_mut_ptr().cast(), 1) } {
                1 => return,
                -1 if errno() == libc::EINTR => {}
                // The warden is gone or does not want it any more.
                // SAFETY: ends the child at once.
                _ => unsafe { libc::_exit(127) },
            }
        }
    }

    fn set_limits(&self) -> Result<(), i32> {
        // A core dump would contain secrets and lie in some directory.
        set_limit(libc::RLIMIT_CORE, 0)?;
        let (lower, upper) = self.open_files;
        let unlimited = |limit: Option<u64>| limit.unwrap_or(libc::RLIM_INFINITY);
        // A program that uses `select` breaks with more than it is used to. Best effort.
        let _ = set_limits(libc::RLIMIT_NOFILE, unlimited(lower), unlimited(upper));
        if let Some(files) = self.limits.open_files {
            lower_limit(libc::RLIMIT_NOFILE, files)?;
        }
        if let Some(bytes) = self.limits.file_size {
            lower_limit(libc::RLIMIT_FSIZE, bytes)?;
        }
        Ok(())
    }

    fn report(&self, step: u8, errno: i32) {
        let errno = errno.to_le_bytes();
        let record = [step, errno[0], errno[1], errno[2], errno[3]];
        // SAFETY: writes five bytes from a buffer of five; less than a pipe holds, so it is whole
        // or not at all.
        unsafe { libc::write(self.report, record.as_ptr().cast(), record.len()) };
    }
}

fn errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

#[cfg(target_env = "gnu")]
type Resource = libc::__rlimit_resource_t;
#[cfg(not(target_env = "gnu"))]
type Resource = libc::c_int;

fn set_limit(resource: Resource, value: u64) -> Result<(), i32> {
    set_limits(resource, value, value)
}

fn set_limits(resource: Resource, lower: u64, upper: u64) -> Result<(), i32> {
    let limit = libc::rlimit64 { rlim_cur: lower, rlim_max: upper };
    // SAFETY: reads a limit that lives until it returns.
    if unsafe { libc::setrlimit64(resource, &raw const limit) } == 0 {
        Ok(())
    } else {
        Err(errno())
    }
}

/// Sets a limit, or leaves one that is lower already.
fn lower_limit(resource: Resource, value: u64) -> Result<(), i32> {
    let mut had = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: fills a limit that lives until it returns.
    if unsafe { libc::getrlimit64(resource, &raw mut had) } != 0 {
        return Err(errno());
    }
    set_limit(resource, value.min(had.rlim_max))
}

/// Default dispositions for every signal, also for those that the C library keeps for itself, and
/// none blocked.
fn reset_signals() {
    let default = [0_u64; 4];
    for signal in 1..=64 {
        // SAFETY: a zeroed `struct sigaction` of the kernel, with the size of its mask; SIGKILL and
        // SIGSTOP refuse, which is right.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                default.as_ptr(),
                std::ptr::null::<u8>(),
                8,
            )
        };
    }
    let none = 0_u64;
    // SAFETY: reads an empty mask of the kernel's size.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const none,
            std::ptr::null::<u8>(),
            8,
        )
    };
}

fn close_all_on_exec() {
    // SAFETY: takes numbers.
    let done =
        unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if done != 0 {
        // A kernel before 5.11. Descriptors of ours are closed on exec anyway; these are the ones
        // that a parent leaked.
        for fd in 3..1024 {
            // SAFETY: takes numbers; one that is not open is refused.
            unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
        }
    }
}

fn exec(texts: &Texts) -> i32 {
    let pointers = |texts: &[CString]| -> Vec<*const libc::c_char> {
        texts.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect()
    };
    let (arguments, environment) = (pointers(&texts.arguments), pointers(&texts.environment));
    let mut found = libc::ENOENT;
    for candidate in &texts.candidates {
        // SAFETY: both lists end in a null pointer and point to texts that live until the call
        // returns, if it does.
        unsafe { libc::execve(candidate.as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
        match errno() {
            libc::ENOENT | libc::ENOTDIR => {}
            // The search continues, but this is reported if it finds nothing better.
            libc::EACCES => found = libc::EACCES,
            other => return other,
        }
    }
    found
}
