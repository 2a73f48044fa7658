//! The warden: a small process that owns one session's processes and reports their end.
//!
//! It has one thread, is its session's subreaper, and answers to its engine over a socket. Time
//! limits and graces are its own, so they hold while the engine is stopped or gone. When the engine
//! goes away it ends the session at once and leaves the end for the next one.

mod capture;
mod guard;
mod program;
mod tree;

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::Signal;

use self::capture::Capture;
use self::guard::Prepared;
use self::program::{Child, Program};
use self::tree::{Ending, Reaper, Sample};
use super::folder::{Kept, SessionFolder};
use super::identity::ProcessIdentity;
use super::launch::{Limits, Stop};
use super::redaction::redacted;
use super::scratch;
use super::tree_end::{
    Captured, Cause, Checked, Containment, ExitStatus, Protection, Resources, ResultFile,
    StartFailure, TreeEnd,
};
use super::wire::{FromWarden, Inbox, Order, ToWarden, VERSION, frame};

const SAMPLE_EVERY_MS: u64 = 250;

/// Lives the life of a warden. Standard input is the socket to the engine, standard output the
/// session's input.
pub(super) fn live() -> i32 {
    match Warden::be_born() {
        // An engine that went away before it said what to do is no error.
        Ok(None) => 0,
        Ok(Some((mut warden, order))) => warden.serve(&order),
        Err(_) => 1,
    }
}

struct Warden {
    control: UnixStream,
    inbox: Inbox,
    signals: OwnedFd,
    input: File,
    engine_is_gone: bool,
    stop: Option<Stop>,
    gate_is_open: bool,
    next_beat_ms: u64,
    beat_ms: u64,
}

impl Warden {
    /// Cuts every tie but the socket, and hears what is to be done.
    fn be_born() -> io::Result<Option<(Self, Order)>> {
        let control = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?);
        let input = File::from(std::io::stdout().as_fd().try_clone_to_owned()?);
        let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
        rustix::stdio::dup2_stdin(&null)?;
        rustix::stdio::dup2_stdout(&null)?;
        rustix::stdio::dup2_stderr(&null)?;
        drop(null);
        // What the engine may have leaked would keep somebody's pipe open for as long as the
        // session lives.
        close_all_but(control.as_raw_fd(), input.as_raw_fd());
        let _ = rustix::process::setsid();
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
        let _ = rustix::thread::set_name(c"antiphon-warden");
        // Its directory must not keep a file system busy.
        let _ = rustix::process::chdir("/");
        let mut warden = Self {
            control,
            inbox: Inbox::default(),
            signals: signals()?,
            input,
            engine_is_gone: false,
            stop: None,
            gate_is_open: false,
            next_beat_ms: u64::MAX,
            beat_ms: 0,
        };
        // A fork of a process with threads is half a process, and orphans come to its first thread
        // alone.
        if std::fs::read_dir("/proc/self/task").is_ok_and(|tasks| tasks.count() > 1) {
            let problem = "antiphon::process::enter() was called after a thread was started; call it first in main, outside of any runtime";
            warden.say(&FromWarden::Unprepared(problem.to_owned()));
            return Ok(None);
        }
        warden.say(&FromWarden::Hello { version: VERSION.to_owned() });
        let mut chunk = vec![0; 64 * 1024];
        loop {
            match warden.inbox.next().map_err(io::Error::other)? {
                Some(ToWarden::Prepare(order)) => {
                    warden.control.set_nonblocking(true)?;
                    warden.beat_ms = order.beat_ms;
                    warden.next_beat_ms = now_ms() + order.beat_ms;
                    return Ok(Some((warden, *order)));
                }
                Some(_) => return Ok(None),
                None => match warden.control.read(&mut chunk)? {
                    0 => return Ok(None),
                    length => warden.inbox.push(&chunk[..length]),
                },
            }
        }
    }

    /// Says something without ever waiting for the engine, which may be stopped.
    fn say(&mut self, message: &FromWarden) {
        let _ = self.control.write_all(&frame(message));
    }

    fn beat(&mut self) {
        if now_ms() >= self.next_beat_ms {
            self.next_beat_ms = now_ms() + self.beat_ms;
            self.say(&FromWarden::Beat);
        }
    }

    fn listen(&mut self) {
        let mut chunk = [0; 4096];
        loop {
            match self.control.read(&mut chunk) {
                Ok(0) => self.engine_is_gone = true,
                Ok(length) => {
                    self.inbox.push(&chunk[..length]);
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => self.engine_is_gone = true,
            }
            break;
        }
        loop {
            match self.inbox.next() {
                Ok(Some(ToWarden::Go)) => self.gate_is_open = true,
                Ok(Some(ToWarden::Stop(stop))) => self.stop = self.stop.or(Some(stop)),
                Ok(Some(ToWarden::Prepare(_)) | None) => return,
                // Nobody to be trusted is at the other end.
                Err(_) => {
                    self.engine_is_gone = true;
                    return;
                }
            }
        }
    }

    /// Takes the signals that came. All but those about children ask for a stop.
    fn take_signals(&mut self) {
        // SAFETY: an all-zero `signalfd_siginfo` is valid.
        let mut info: libc::signalfd_siginfo = unsafe { std::mem::zeroed() };
        let size = size_of::<libc::signalfd_siginfo>();
        // SAFETY: reads at most the size of the structure into it; the descriptor does not block.
        while unsafe { libc::read(self.signals.as_raw_fd(), (&raw mut info).cast(), size) }
            == size.cast_signed()
        {
            let signal = info.ssi_signo.cast_signed();
            if signal != libc::SIGCHLD && signal != libc::SIGPIPE {
                self.stop = self.stop.or(Some(Stop::Cancelled));
            }
        }
    }

    fn serve(&mut self, order: &Order) -> i32 {
        let folder = SessionFolder::at(order.folder.path());
        let own = rustix::process::getpid().as_raw_nonzero().get();
        let guard = Prepared::best(order.guard, own, order.engine);
        let limits = order.limits;
        let mut job = Job {
            program: Program {
                command: &order.command,
                directory: &order.directory,
                environment: &order.environment,
                tattoo: order.tattoo,
                limits: &limits,
                stdin: None,
                guard: &guard,
            },
            order,
            folder: &folder,
            outputs: (Kept::Stdout, Kept::Stderr),
            time_limit_ms: order.time_limit_ms,
            is_gated: true,
        };
        // Opened anew and for reading, so that the session has a position of its own and cannot
        // write.
        let input = order
            .has_stdin
            .then(|| File::open(format!("/proc/self/fd/{}", self.input.as_raw_fd())))
            .transpose();
        let main = match &input {
            Ok(input) => {
                job.program.stdin = input.as_ref().map(|input| input.as_fd());
                self.carry_out(&job)
            }
            Err(error) => Err(io::Error::other(format!("cannot open the input: {error}"))),
        };
        let main = match main {
            Ok(main) => main,
            Err(error) => {
                self.say(&FromWarden::Unprepared(error.to_string()));
                return 1;
            }
        };
        let mut end = main.end(&guard);
        if let Some((command, time_limit_ms)) = &order.check
            && end.ended_by_itself_and_clean()
        {
            let program = Program { command, stdin: None, ..job.program };
            let time_limit_ms = Some(*time_limit_ms);
            let job = Job {
                program,
                outputs: (Kept::CheckStdout, Kept::CheckStderr),
                time_limit_ms,
                is_gated: false,
                ..job
            };
            end = match self.carry_out(&job) {
                Ok(check) => end.with_check(check),
                Err(error) => end.with_check(Run::not_started("start the check", &error)),
            };
        }
        for leftover in &mut end.leftovers {
            leftover.name =
                String::from_utf8_lossy(&redacted(&order.secrets, leftover.name.as_bytes()))
                    .into_owned();
        }
        if let Some((directory, cap)) = &order.scratch {
            end.result = keep_result(order, &folder, directory.path(), *cap);
        }
        end.used.cpu_ms = tree::reaped_cpu_ms();
        // An engine that is there hears it; one that is not finds it.
        let _ = folder.leave_end(&end);
        if self.engine_is_gone
            && let Some((directory, _)) = &order.scratch
        {
            scratch::remove(&directory.path());
        }
        let _ = self.control.set_nonblocking(false);
        let _ = self.control.set_write_timeout(Some(Duration::from_secs(5)));
        self.say(&FromWarden::Ended(Box::new(end)));
        0
    }

    /// Runs one program to its end, and then ends all that it left.
    fn carry_out(&mut self, job: &Job<'_>) -> io::Result<Run> {
        let files = (job.folder.path_of(job.outputs.0), job.folder.path_of(job.outputs.1));
        let (secrets, cap) = (&job.order.secrets, job.order.output_cap);
        let mut child = program::fork(&job.program, &[self.control.as_raw_fd()])?;
        let mut reaper = Reaper { program: child.pid, ..Reaper::default() };
        let mut outputs = [
            Capture::new(child.stdout.take(), &files.0, secrets, cap)?,
            Capture::new(child.stderr.take(), &files.1, secrets, cap)?,
        ];
        if job.is_gated {
            let born = ProcessIdentity::of(child.pid)
                .ok_or_else(|| io::Error::other("the program's process vanished"))?;
            self.say(&FromWarden::Born(born));
        }
        let began_ms = now_ms();
        let cause = self.watch(job, &mut child, &mut reaper, &mut outputs);
        // A gate that was never opened ends the child that waits at it.
        let (failure, is_guarded) = child.started(&job.program);
        drop(child);
        let within = Duration::from_millis(job.order.end_within_ms);
        let Ending { clean, killed, leftovers } =
            tree::end_all(&mut reaper, within, || self.beat());
        let [stdout, stderr] = outputs.map(Capture::finish);
        let never_ran = failure.is_some()
            || matches!(cause, Cause::NotStarted(_))
            || (job.is_gated && !self.gate_is_open);
        let cause = match (cause, failure) {
            (Cause::Exited, Some(failure)) => Cause::NotStarted(failure),
            (cause, _) => cause,
        };
        let status = reaper.status.filter(|_| !never_ran);
        let time_ms = now_ms().saturating_sub(began_ms);
        Ok(Run { cause, status, clean, killed, leftovers, stdout, stderr, is_guarded, time_ms })
    }

    /// Waits until the program has ended or has to be ended, and says why.
    fn watch(
        &mut self,
        job: &Job<'_>,
        child: &mut Child,
        reaper: &mut Reaper,
        outputs: &mut [Capture<'_>; 2],
    ) -> Cause {
        let limits: &Limits = job.program.limits;
        let mut stage = Stage::AtGate;
        let mut next_sample_ms =
            if limits.are_sampled() { now_ms() + SAMPLE_EVERY_MS } else { u64::MAX };
        loop {
            // First what the program did by itself: an engine that goes away in the same instant
            // does not change that.
            let _ = reaper.reap();
            if reaper.status.is_some() {
                return stage.cause_of_exit();
            }
            if self.engine_is_gone {
                return Cause::EngineLost;
            }
            let now = now_ms();
            stage = match (stage, self.stop) {
                (Stage::AtGate, Some(stop)) => return stop.into(),
                (Stage::AtGate, None) if self.gate_is_open || !job.is_gated => {
                    child.open_gate();
                    Stage::Running {
                        deadline_ms: job
                            .time_limit_ms
                            .map_or(u64::MAX, |limit| now.saturating_add(limit)),
                    }
                }
                (Stage::Running { .. }, Some(stop)) => {
                    ask_to_stop(child, job.order, stop.into(), now)
                }
                (Stage::Running { deadline_ms }, None) if now >= deadline_ms => {
                    ask_to_stop(child, job.order, Cause::TimedOut, now)
                }
                (Stage::Stopping { kill_at_ms, cause }, _) if now >= kill_at_ms => return cause,
                (stage, _) => stage,
            };
            if now >= next_sample_ms {
                next_sample_ms = now + SAMPLE_EVERY_MS;
                if let Some(limit) = Sample::take().over(limits) {
                    return Cause::OverLimit(limit);
                }
            }
            self.beat();
            let wake_ms = stage.deadline_ms().min(next_sample_ms).min(self.next_beat_ms);
            self.wait(wake_ms.saturating_sub(now_ms()), outputs);
        }
    }

    fn wait(&mut self, timeout_ms: u64, outputs: &mut [Capture<'_>; 2]) {
        let timeout = Duration::from_millis(timeout_ms.min(60_000));
        let ready: Vec<bool> = {
            let mut polled = vec![
                PollFd::new(&self.control, PollFlags::IN),
                PollFd::new(&self.signals, PollFlags::IN),
            ];
            let pipes: Vec<_> = outputs.iter().map(Capture::pipe).collect();
            polled.extend(pipes.iter().flatten().map(|pipe| PollFd::new(pipe, PollFlags::IN)));
            let timeout = timeout.try_into().ok();
            if poll(&mut polled, timeout.as_ref()).is_err() {
                return;
            }
            polled.iter().map(|fd| !fd.revents().is_empty()).collect()
        };
        // The control comes first and outputs are bounded, so a flood cannot keep a stop waiting.
        if ready[0] {
            self.listen();
        }
        if ready[1] {
            self.take_signals();
        }
        let mut index = 2;
        for output in outputs {
            if output.pipe().is_some() {
                if ready[index] {
                    output.pump();
                }
                index += 1;
            }
        }
    }
}

/// One program to carry out.
struct Job<'a> {
    program: Program<'a>,
    order: &'a Order,
    folder: &'a SessionFolder,
    outputs: (Kept, Kept),
    time_limit_ms: Option<u64>,
    /// Whether its existence has to be written down before it runs.
    is_gated: bool,
}

/// Where a program is.
enum Stage {
    AtGate,
    Running { deadline_ms: u64 },
    Stopping { kill_at_ms: u64, cause: Cause },
}

impl Stage {
    fn deadline_ms(&self) -> u64 {
        match self {
            Self::AtGate => u64::MAX,
            Self::Running { deadline_ms } => *deadline_ms,
            Self::Stopping { kill_at_ms, .. } => *kill_at_ms,
        }
    }

    fn cause_of_exit(self) -> Cause {
        match self {
            Self::Running { .. } => Cause::Exited,
            Self::Stopping { cause, .. } => cause,
            Self::AtGate => Cause::NotStarted(StartFailure {
                step: "wait to be started".to_owned(),
                errno: 0,
                text: "something ended the process before its program was started".to_owned(),
            }),
        }
    }
}

impl From<Stop> for Cause {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Cancelled => Self::Cancelled,
            Stop::TimedOut => Self::TimedOut,
        }
    }
}

/// Asks the program's group to end. Whoever is stopped is continued, or the request would wait for
/// ever.
fn ask_to_stop(child: &Child, order: &Order, cause: Cause, now: u64) -> Stage {
    if let Some(group) = rustix::process::Pid::from_raw(child.pid) {
        for signal in [Signal::TERM, Signal::CONT] {
            let _ = rustix::process::kill_process_group(group, signal);
        }
    }
    Stage::Stopping { kill_at_ms: now.saturating_add(order.grace_ms), cause }
}

/// How one program went.
struct Run {
    cause: Cause,
    status: Option<ExitStatus>,
    clean: bool,
    killed: u64,
    leftovers: Vec<super::tree_end::Leftover>,
    stdout: Captured,
    stderr: Captured,
    is_guarded: bool,
    time_ms: u64,
}

impl Run {
    fn not_started(step: &str, error: &io::Error) -> Self {
        let errno = error.raw_os_error().unwrap_or(0);
        let failure =
            StartFailure { step: step.to_owned(), errno, text: format!("cannot {step}: {error}") };
        Self {
            cause: Cause::NotStarted(failure),
            status: None,
            clean: true,
            killed: 0,
            leftovers: Vec::new(),
            stdout: Captured::default(),
            stderr: Captured::default(),
            is_guarded: true,
            time_ms: 0,
        }
    }

    fn end(self, guard: &Prepared) -> TreeEnd {
        TreeEnd {
            cause: self.cause,
            status: self.status,
            clean: self.clean,
            containment: Containment::Warden,
            protection: if self.is_guarded { guard.protection() } else { Protection::None },
            killed: self.killed,
            leftovers: self.leftovers,
            stdout: self.stdout,
            stderr: self.stderr,
            check: None,
            result: ResultFile::Absent,
            used: Resources { time_ms: self.time_ms, cpu_ms: 0 },
        }
    }
}

impl TreeEnd {
    /// The same with a check. Whatever ended the check by force ended the session.
    fn with_check(mut self, check: Run) -> Self {
        self.clean &= check.clean;
        self.killed += check.killed;
        self.leftovers.extend(check.leftovers);
        self.used.time_ms += check.time_ms;
        if matches!(check.cause, Cause::Cancelled | Cause::EngineLost) {
            self.cause = check.cause.clone();
        }
        self.check = Some(Checked {
            cause: check.cause,
            status: check.status,
            stdout: check.stdout,
            stderr: check.stderr,
        });
        self
    }
}

/// Reads the result file, which may be anything by now, and keeps it redacted.
fn keep_result(order: &Order, folder: &SessionFolder, scratch: PathBuf, cap: u64) -> ResultFile {
    let opened = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(scratch.join(super::launch::RESULT_FILE));
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return ResultFile::Absent,
        Err(_) => return ResultFile::Unreadable,
    };
    // A link to a file of somebody else's would not have been followed; a hard link is the same
    // danger.
    let meta = match file.metadata() {
        Ok(meta) if meta.is_file() && meta.nlink() == 1 => meta,
        _ => return ResultFile::Unreadable,
    };
    if meta.len() > cap {
        return ResultFile::TooLarge(meta.len());
    }
    let mut bytes = Vec::new();
    match file.take(cap).read_to_end(&mut bytes) {
        Ok(_) if folder.keep(Kept::Result, &redacted(&order.secrets, &bytes)).is_ok() => {
            ResultFile::Kept
        }
        _ => ResultFile::Unreadable,
    }
}

fn close_all_but(one: RawFd, other: RawFd) {
    let (low, high) = (one.min(other).cast_unsigned(), one.max(other).cast_unsigned());
    for (from, to) in [(3, low - 1), (low + 1, high - 1), (high + 1, u32::MAX)] {
        if from <= to {
            // SAFETY: the descriptors in between are nobody's: this process has just begun and owns
            // the two alone.
            unsafe { libc::syscall(libc::SYS_close_range, from, to, 0) };
        }
    }
}

/// Blocks the signals that a warden listens to and gives them as a descriptor.
fn signals() -> io::Result<OwnedFd> {
    // SAFETY: the set is initialised by the first call and lives through the others; the descriptor
    // is new, so nobody else owns it.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in
            [libc::SIGCHLD, libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT, libc::SIGPIPE]
        {
            libc::sigaddset(&raw mut set, signal);
        }
        // Ignored, an end would not be reported at all.
        libc::signal(libc::SIGCHLD, libc::SIG_DFL);
        if libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut()) != 0 {
            return Err(io::Error::last_os_error());
        }
        match libc::signalfd(-1, &raw const set, libc::SFD_NONBLOCK | libc::SFD_CLOEXEC) {
            -1 => Err(io::Error::last_os_error()),
            fd => Ok(OwnedFd::from_raw_fd(fd)),
        }
    }
}

/// Milliseconds since boot, suspend included.
fn now_ms() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000
        + u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000_000
}
