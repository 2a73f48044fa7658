//! The filter of system calls that a session's programs run under: it refuses the calls with which
//! they could signal, limit, slow down, trace or read their warden and their engine.
//!
//! A filter sees numbers alone. What is never needed for another process is refused for all others;
//! of the rest, the calls that name the warden, the engine, their groups or everybody are refused.

use std::collections::BTreeSet;

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;

/// The number of x32 calls begins here; nothing uses them.
const X32: u32 = 0x4000_0000;

/// What is refused of one call.
#[derive(Clone, Copy)]
enum Refusal {
    /// With a protected process or group, or everybody, as this argument.
    Target(u32),
    /// With any process outside of the session as the first argument, where somebody can be asked
    /// which those are; else with a protected one.
    Outside,
    /// With a protected process as one of the first two arguments.
    EitherTarget,
    /// Like `Outside` with the second argument, and everybody of a user: this value of the first argument says that the
    /// second is one; the value before means a group.
    PriorityOf { user: u32 },
    /// Whenever it sets something for another process than the caller.
    LimitOfAnother,
    /// In every case.
    Always,
    /// In every case, as if this kernel did not have it: who calls it does without then.
    Unknown,
}

/// One call, with its number on each kind of system: the usual one and the older one that the same
/// kernel serves.
struct Call {
    number: libc::c_long,
    older: u32,
    refusal: Refusal,
}

#[cfg(target_arch = "x86_64")]
const SYSTEMS: Option<[u32; 2]> = Some([0xc000_003e, 0x4000_0003]);
#[cfg(target_arch = "aarch64")]
const SYSTEMS: Option<[u32; 2]> = Some([0xc000_00b7, 0x4000_0028]);
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const SYSTEMS: Option<[u32; 2]> = None;

/// The number on i386 or on 32-bit ARM.
const fn older(i386: u32, arm: u32) -> u32 {
    if cfg!(target_arch = "x86_64") { i386 } else { arm }
}

fn calls(has_landlock: bool) -> Vec<Call> {
    use Refusal::{Always, EitherTarget, LimitOfAnother, Outside, PriorityOf, Target, Unknown};
    let call = |number, older, refusal| Call { number, older, refusal };
    let mut calls = vec![
        call(libc::SYS_kill, older(37, 37), Target(0)),
        call(libc::SYS_tkill, older(238, 238), Target(0)),
        call(libc::SYS_tgkill, older(270, 268), Target(0)),
        call(libc::SYS_rt_sigqueueinfo, older(178, 178), Target(0)),
        call(libc::SYS_rt_tgsigqueueinfo, older(335, 363), Target(0)),
        call(libc::SYS_pidfd_open, older(434, 434), Target(0)),
        call(libc::SYS_ptrace, older(26, 26), Target(1)),
        call(libc::SYS_process_vm_readv, older(347, 376), Target(0)),
        call(libc::SYS_process_vm_writev, older(348, 377), Target(0)),
        call(libc::SYS_kcmp, older(349, 378), EitherTarget),
        call(libc::SYS_move_pages, older(317, 344), Target(0)),
        call(libc::SYS_migrate_pages, older(294, 400), Target(0)),
        call(libc::SYS_perf_event_open, older(336, 364), Target(1)),
        call(libc::SYS_pidfd_getfd, older(438, 438), Always),
        call(libc::SYS_process_madvise, older(440, 440), Always),
        call(libc::SYS_process_mrelease, older(448, 448), Always),
        call(libc::SYS_prlimit64, older(340, 369), LimitOfAnother),
        call(libc::SYS_sched_setparam, older(154, 154), Outside),
        call(libc::SYS_sched_setscheduler, older(156, 156), Outside),
        call(libc::SYS_sched_setattr, older(351, 380), Outside),
        call(libc::SYS_sched_setaffinity, older(241, 241), Outside),
        call(libc::SYS_setpriority, older(97, 97), PriorityOf { user: 2 }),
        call(libc::SYS_ioprio_set, older(289, 314), PriorityOf { user: 3 }),
    ];
    if !has_landlock {
        // Its descriptor says nothing of the process that it stands for.
        calls.push(call(libc::SYS_pidfd_send_signal, older(424, 424), Unknown));
    }
    calls
}

/// Whom a call is about that the filter asks about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whom {
    Process(i32),
    Group(i32),
}

/// Whom a call is about; `None` for one about which nothing is asked.
pub(super) fn whom(data: &libc::seccomp_data) -> Option<Whom> {
    let [usual, older] = SYSTEMS?;
    let number = u32::try_from(data.nr).ok()?;
    let is_it = |call: &Call| match data.arch {
        system if system == usual => u32::try_from(call.number) == Ok(number),
        system => system == older && call.older == number,
    };
    // The lower half is what the kernel looks at, too.
    let argument = |index: usize| (data.args[index] as u32).cast_signed();
    match calls(true).into_iter().find(is_it)?.refusal {
        Refusal::Outside => Some(Whom::Process(argument(0))),
        Refusal::PriorityOf { user } if argument(0) == user.cast_signed() - 1 => {
            Some(Whom::Group(argument(1)))
        }
        Refusal::PriorityOf { .. } => Some(Whom::Process(argument(1))),
        _ => None,
    }
}

/// A filter for a session that these watch, which may ask the warden about a call; `None` where the
/// numbers of calls are not known.
pub(super) fn against(
    watchers: Watchers,
    has_landlock: bool,
    may_ask: bool,
) -> Option<Vec<libc::sock_filter>> {
    let [usual, older] = SYSTEMS?;
    let calls = calls(has_landlock);
    let mut writer = FilterWriter { may_ask, ..FilterWriter::default() };
    writer.system(usual, &calls, |call| u32::try_from(call.number).ok(), watchers)?;
    writer.system(older, &calls, |call| Some(call.older), watchers)?;
    // What comes from a system that this kernel does not have does not run.
    writer.answer(libc::SECCOMP_RET_ALLOW);
    let mut targets = watchers.numbers();
    if !has_landlock {
        // Everybody; where the scope is on, it reaches the session's own processes alone.
        targets.insert(-1);
    }
    writer.with_targets(&targets)
}

/// Who watches a session, by process id.
#[derive(Debug, Clone, Copy)]
pub(super) struct Watchers {
    warden: i32,
    /// `None` once it was lost.
    subreaper: Option<i32>,
    engine: i32,
}

/// As many threads of an engine are protected one by one.
const THREADS: usize = 256;

impl Watchers {
    /// This process as the warden, whose parent is the subreaper, and the engine that it names.
    pub(super) fn of_this_warden(engine: i32) -> Self {
        let parent = rustix::process::getppid().map(|parent| parent.as_raw_nonzero().get());
        Self {
            warden: rustix::process::getpid().as_raw_nonzero().get(),
            subreaper: parent.filter(|&parent| parent > 1),
            engine,
        }
    }

    fn each(self) -> impl Iterator<Item = i32> {
        [self.warden, self.engine].into_iter().chain(self.subreaper)
    }

    /// They, their groups, and the threads that the engine has by now.
    fn numbers(self) -> BTreeSet<i32> {
        let Self { warden, subreaper, engine } = self;
        // Warden and subreaper lead groups of their own.
        let mut numbers: BTreeSet<i32> = self.each().collect();
        numbers.extend([warden].into_iter().chain(subreaper).map(|leader| -leader));
        // Zero if its leader is outside of this process namespace.
        //
        // SAFETY: takes and gives a number.
        let group = unsafe { libc::getpgid(engine) };
        if group > 1 {
            numbers.extend([group, -group]);
        }
        let threads = std::fs::read_dir(format!("/proc/{engine}/task")).into_iter().flatten();
        let threads =
            threads.filter_map(|task| task.ok()?.file_name().to_str()?.parse::<i32>().ok());
        numbers.extend(threads.take(THREADS));
        numbers
    }
}

/// A filter as far as it is written.
#[derive(Default)]
struct FilterWriter {
    program: Vec<libc::sock_filter>,
    /// Where it goes on to compare what was loaded with the targets, which come last.
    to_targets: Vec<usize>,
    /// The same for calls about which is asked.
    to_asked: Vec<usize>,
    may_ask: bool,
}

impl FilterWriter {
    /// The rules for the calls of one kind of system; passed over for those of others.
    fn system(
        &mut self,
        system: u32,
        calls: &[Call],
        number: impl Fn(&Call) -> Option<u32>,
        watchers: Watchers,
    ) -> Option<()> {
        self.load(ARCHITECTURE);
        self.jump(libc::BPF_JEQ, system, 1, 0);
        let beyond = self.program.len();
        self.push(libc::BPF_JMP | libc::BPF_JA, 0);
        self.load(NUMBER);
        self.jump(libc::BPF_JGE, X32, 0, 1);
        self.refuse(libc::ENOSYS);
        for call in calls {
            let from = self.program.len();
            self.jump(libc::BPF_JEQ, number(call)?, 0, 0);
            self.rule(call.refusal, watchers);
            self.program[from].jf = u8::try_from(self.program.len() - from - 1).ok()?;
        }
        self.answer(libc::SECCOMP_RET_ALLOW);
        self.program[beyond].k = u32::try_from(self.program.len() - beyond - 1).ok()?;
        Some(())
    }

    /// What is done about one call. Every way through it ends.
    fn rule(&mut self, refusal: Refusal, watchers: Watchers) {
        match refusal {
            Refusal::Target(argument) => self.refuse_targets(argument),
            Refusal::EitherTarget => {
                self.load(low(0));
                for target in watchers.each() {
                    self.refuse_if(target.cast_unsigned());
                }
                self.refuse_targets(1);
            }
            Refusal::PriorityOf { user } => {
                self.load(low(0));
                self.refuse_if(user);
                self.refuse_outside(1);
            }
            Refusal::Outside => self.refuse_outside(0),
            Refusal::LimitOfAnother => {
                // Where the new limit lies is null if it is only asked for.
                self.load(low(2));
                self.jump(libc::BPF_JEQ, 0, 0, 3);
                self.load(high(2));
                self.jump(libc::BPF_JEQ, 0, 0, 1);
                self.answer(libc::SECCOMP_RET_ALLOW);
                self.load(low(0));
                self.jump(libc::BPF_JEQ, 0, 0, 1);
                self.answer(libc::SECCOMP_RET_ALLOW);
                self.refuse(libc::EPERM);
            }
            Refusal::Always => self.refuse(libc::EPERM),
            Refusal::Unknown => self.refuse(libc::ENOSYS),
        }
    }

    fn refuse_targets(&mut self, argument: u32) {
        self.load(low(argument));
        self.to_targets.push(self.program.len());
        self.push(libc::BPF_JMP | libc::BPF_JA, 0);
    }

    fn refuse_outside(&mut self, argument: u32) {
        if !self.may_ask {
            return self.refuse_targets(argument);
        }
        self.load(low(argument));
        self.to_asked.push(self.program.len());
        self.push(libc::BPF_JMP | libc::BPF_JA, 0);
    }

    fn refuse_if(&mut self, value: u32) {
        self.jump(libc::BPF_JEQ, value, 0, 1);
        self.refuse(libc::EPERM);
    }

    fn with_targets(mut self, targets: &BTreeSet<i32>) -> Option<Vec<libc::sock_filter>> {
        let to_targets = std::mem::take(&mut self.to_targets);
        self.compare(to_targets, targets)?;
        self.answer(libc::SECCOMP_RET_ALLOW);
        let to_asked = std::mem::take(&mut self.to_asked);
        self.compare(to_asked, targets)?;
        // The caller itself.
        self.jump(libc::BPF_JEQ, 0, 0, 1);
        self.answer(libc::SECCOMP_RET_ALLOW);
        self.answer(libc::SECCOMP_RET_USER_NOTIF);
        Some(self.program)
    }

    /// Refuses what was loaded before it came here if it is one of the targets.
    fn compare(&mut self, from: Vec<usize>, targets: &BTreeSet<i32>) -> Option<()> {
        for from in from {
            self.program[from].k = u32::try_from(self.program.len() - from - 1).ok()?;
        }
        for target in targets {
            self.refuse_if(target.cast_unsigned());
        }
        Some(())
    }

    fn load(&mut self, offset: u32) {
        self.push(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset);
    }

    fn refuse(&mut self, errno: i32) {
        self.answer(libc::SECCOMP_RET_ERRNO | errno.cast_unsigned());
    }

    fn answer(&mut self, value: u32) {
        self.push(libc::BPF_RET | libc::BPF_K, value);
    }

    fn push(&mut self, code: u32, k: u32) {
        let code = u16::try_from(code).unwrap_or(0);
        self.program.push(libc::sock_filter { code, jt: 0, jf: 0, k });
    }

    /// Goes on after this many instructions, by whether the comparison holds.
    fn jump(&mut self, comparison: u32, value: u32, then: u8, otherwise: u8) {
        let code = u16::try_from(libc::BPF_JMP | comparison | libc::BPF_K).unwrap_or(0);
        self.program.push(libc::sock_filter { code, jt: then, jf: otherwise, k: value });
    }
}

/// Where the lower half of an argument is.
const fn low(argument: u32) -> u32 {
    16 + 8 * argument + if cfg!(target_endian = "little") { 0 } else { 4 }
}

/// Where its upper half is.
const fn high(argument: u32) -> u32 {
    16 + 8 * argument + if cfg!(target_endian = "little") { 4 } else { 0 }
}
