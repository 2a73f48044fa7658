//! The warden: a small process that owns one session's processes and reports their end.
//!
//! It has one thread, is its session's subreaper, and answers to its engine over a socket. Time
//! limits and graces are its own, so they hold while the engine is stopped or gone. When the engine
//! goes away it ends the session at once and leaves the end for the next one. It knows nothing of
//! items or runs.

mod capture;
mod clock;
mod engine_link;
mod filter;
mod guard;
mod listener;
mod program;
mod program_end;
mod result_file;
mod signals;
mod stage;
mod tree;

use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};

use self::capture::Capture;
use self::clock::now_ms;
use self::engine_link::EngineLink;
use self::filter::Watchers;
use self::guard::Prepared;
use self::listener::Listener;
use self::program::{ForkedProgram, Program};
use self::program_end::ProgramEnd;
pub(super) use self::signals::Signals;
use self::stage::{ProgramStage, ask_to_stop};
use self::tree::{Reaper, Sample};
use super::cut_off::{self, cut_off};
use super::folder::{Kept, SessionFolder};
use super::identity::ProcessIdentity;
use super::launch::{Limits, StopReason};
use super::outlast::outlast_with;
use super::redaction::redacted;
use super::scratch;
use super::tree_end::{Cause, ResultFile};
use super::wire::{FromWarden, Order, VERSION};
use crate::folder::Folder;

const SAMPLE_EVERY_MS: u64 = 250;
/// How long a program that prints waits before it is seen that a full disk has room again.
const LOOK_FOR_ROOM_MS: u64 = 200;
/// How exactly the time is known that a session ran which was lost together with its warden.
const LEAVE_TIME_EVERY_MS: u64 = 10_000;

/// Serves as a warden and gives the exit code. Standard input is the socket to the engine, standard
/// output the session's input, and standard error the state directory.
pub(super) fn run() -> i32 {
    match Warden::attach() {
        // An engine that went away before it said what to do is no error.
        Ok(None) => 0,
        Ok(Some((warden, folder, order))) => warden.serve(&folder, &order),
        Err(_) => 1,
    }
}

struct Warden {
    engine: EngineLink,
    signals: Signals,
    input: File,
}

impl Warden {
    /// Cuts every tie but the socket, and hears what is to be done.
    fn attach() -> io::Result<Option<(Self, SessionFolder, Order)>> {
        let [control, input, state] = cut_off(c"antiphon-warden")?;
        let engine = EngineLink::new(UnixStream::from(control));
        let mut warden = Self { engine, signals: Signals::block()?, input: File::from(input) };
        if let Some(problem) = cut_off::late() {
            warden.engine.say(&FromWarden::Unprepared(problem));
            return Ok(None);
        }
        warden.engine.say(&FromWarden::Hello { version: VERSION.to_owned() });
        let Some(order) = warden.engine.take_order()? else { return Ok(None) };
        let state = Folder::of(state, order.state.path());
        let folder = SessionFolder::at(&state, order.folder.path().into());
        Ok(Some((warden, folder, order)))
    }

    fn serve(mut self, folder: &SessionFolder, order: &Order) -> i32 {
        let guard = Prepared::best(order.guard, Watchers::of_this_warden(order.engine));
        let mut job = Assignment {
            program: Program::of(order, &guard),
            order,
            folder,
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
                job.program = job.program.with_stdin(input.as_ref().map(|input| input.as_fd()));
                self.carry_out(&job)
            }
            Err(error) => Err(io::Error::other(format!("cannot open the input: {error}"))),
        };
        let main = match main {
            Ok(main) => main,
            Err(error) => {
                self.engine.say(&FromWarden::Unprepared(error.to_string()));
                return 1;
            }
        };
        let mut end = main.end(&guard);
        if let Some((command, time_limit_ms)) = &order.check
            && end.ended_by_itself_and_clean()
        {
            let time_limit_ms = Some(*time_limit_ms);
            let job = Assignment {
                program: job.program.with_command(command),
                outputs: (Kept::CheckStdout, Kept::CheckStderr),
                time_limit_ms,
                is_gated: false,
                ..job
            };
            end = match self.carry_out(&job) {
                Ok(check) => end.with_check(check),
                Err(error) => end.with_check(ProgramEnd::not_started("start the check", &error)),
            };
        }
        for leftover in &mut end.leftovers {
            leftover.name =
                String::from_utf8_lossy(&redacted(&order.secrets, leftover.name.as_bytes()))
                    .into_owned();
        }
        if let Some((directory, cap)) = &order.scratch {
            let found =
                self.outlast(|| result_file::keep(&directory.path(), *cap, &order.secrets, folder));
            end.result = found.unwrap_or_else(|error| ResultFile::failing(&error));
        }
        end.used.cpu_ms = tree::reaped_cpu_ms();
        // An engine that is there hears it; one that is not finds it.
        let _ = self.outlast(|| folder.leave_end(&end));
        if self.engine.is_gone()
            && let Some((directory, _)) = &order.scratch
        {
            scratch::remove(&directory.path());
        }
        self.engine.report(end);
        0
    }

    /// Runs one program to its end, and then ends all that it left.
    fn carry_out(&mut self, job: &Assignment<'_>) -> io::Result<ProgramEnd> {
        let (secrets, cap) = (&job.order.secrets, job.order.output_cap);
        let mut child = program::fork(&job.program, &[self.engine.descriptor()])
            .map_err(|error| io::Error::new(error.kind(), format!("cannot fork: {error}")))?;
        let mut reaper = Reaper::of(child.pid());
        let (stdout, stderr) = child.take_outputs();
        let mut outputs = [
            Capture::new(stdout, job.folder.create_kept(job.outputs.0)?, secrets, cap),
            Capture::new(stderr, job.folder.create_kept(job.outputs.1)?, secrets, cap),
        ];
        if job.is_gated {
            let forked = ProcessIdentity::of(child.pid())
                .ok_or_else(|| io::Error::other("the program's process vanished"))?;
            self.engine.say(&FromWarden::Forked(forked));
        }
        let began_ms = now_ms();
        let cause = self.watch(job, &mut child, &mut reaper, &mut outputs);
        // A gate that was never opened ends the child that waits at it.
        let (failure, is_guarded) = child.started(&job.program);
        drop(child);
        let within = Duration::from_millis(job.order.end_within_ms);
        let ended = tree::end_all(&mut reaper, within, || self.engine.beat());
        for output in &mut outputs {
            output.close();
            // What no room came for is cut, and its end says so.
            let _ = self.outlast(|| output.write_waiting());
        }
        let captured = outputs.map(Capture::finish);
        let never_ran = failure.is_some()
            || matches!(cause, Cause::NotStarted(_))
            || (job.is_gated && !self.engine.gate_is_open());
        let cause = match (cause, failure) {
            (Cause::Exited, Some(failure)) => Cause::NotStarted(failure),
            (cause, _) => cause,
        };
        let status = reaper.status().filter(|_| !never_ran);
        let time_ms = now_ms().saturating_sub(began_ms);
        Ok(ProgramEnd::new(cause, status, ended, captured, is_guarded, time_ms))
    }

    /// Waits until the program has ended or has to be ended, and says why.
    fn watch(
        &mut self,
        job: &Assignment<'_>,
        child: &mut ForkedProgram,
        reaper: &mut Reaper,
        outputs: &mut [Capture<'_>; 2],
    ) -> Cause {
        let limits: &Limits = job.program.limits();
        let mut stage = ProgramStage::AtGate;
        let began_ms = now_ms();
        let mut next_time_ms = began_ms + LEAVE_TIME_EVERY_MS;
        let mut next_sample_ms =
            if limits.are_sampled() { now_ms() + SAMPLE_EVERY_MS } else { u64::MAX };
        loop {
            // First what the program did by itself: an engine that goes away in the same instant
            // does not change that.
            let _ = reaper.reap();
            if reaper.status().is_some() {
                return stage.cause_of_exit();
            }
            if self.engine.is_gone() {
                return Cause::EngineLost;
            }
            let now = now_ms();
            stage = match (stage, self.engine.stop_reason()) {
                (ProgramStage::AtGate, Some(stop)) => return stop.into(),
                (ProgramStage::AtGate, None) if self.engine.gate_is_open() || !job.is_gated => {
                    child.open_gate();
                    ProgramStage::Running {
                        deadline_ms: job
                            .time_limit_ms
                            .map_or(u64::MAX, |limit| now.saturating_add(limit)),
                    }
                }
                (ProgramStage::Running { .. }, Some(stop)) => {
                    ask_to_stop(child.pid(), job.order.grace_ms, stop.into(), now)
                }
                (ProgramStage::Running { deadline_ms }, None) if now >= deadline_ms => {
                    ask_to_stop(child.pid(), job.order.grace_ms, Cause::TimedOut, now)
                }
                (ProgramStage::Stopping { kill_at_ms, cause }, _) if now >= kill_at_ms => {
                    return cause;
                }
                (stage, _) => stage,
            };
            if now >= next_sample_ms {
                next_sample_ms = now + SAMPLE_EVERY_MS;
                if let Some(limit) = Sample::take().over(limits) {
                    return Cause::OverLimit(limit);
                }
            }
            if now >= next_time_ms {
                next_time_ms = now + LEAVE_TIME_EVERY_MS;
                // A full disk makes an estimate worse, and is no reason to end a session.
                let _ = job.folder.leave_time(Duration::from_millis(now - began_ms));
            }
            self.engine.beat();
            let wake_ms = stage
                .deadline_ms()
                .min(next_sample_ms)
                .min(next_time_ms)
                .min(self.engine.next_beat_ms());
            self.wait(wake_ms.saturating_sub(now_ms()), child.listener(), outputs);
        }
    }

    /// Does something again until a full disk has room for it, the engine is gone or asks for the
    /// end. The engine hears in between that its warden lives.
    fn outlast<T>(&mut self, attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        outlast_with(attempt, |pause| {
            let next_beat =
                Duration::from_millis(self.engine.next_beat_ms().saturating_sub(now_ms()));
            std::thread::sleep(pause.min(next_beat));
            self.engine.beat();
            self.engine.listen();
            // Who is asked to stop does not wait for a record of what was printed.
            match self.engine.is_gone() || self.engine.stop_reason().is_some() {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        })
    }

    fn wait(&mut self, timeout_ms: u64, listener: &mut Listener, outputs: &mut [Capture<'_>; 2]) {
        let timeout_ms = match outputs.iter().any(Capture::is_waiting) {
            true => timeout_ms.min(LOOK_FOR_ROOM_MS),
            false => timeout_ms,
        };
        let timeout = Duration::from_millis(timeout_ms.min(60_000));
        let (ready, asks): (Vec<bool>, _) = {
            let mut polled = vec![
                PollFd::new(&self.engine, PollFlags::IN),
                PollFd::new(&self.signals, PollFlags::IN),
            ];
            let pipes: Vec<_> = outputs.iter().map(Capture::pipe).collect();
            polled.extend(pipes.iter().flatten().map(|pipe| PollFd::new(pipe, PollFlags::IN)));
            let asking = listener.descriptor();
            polled.extend(asking.iter().map(|asking| PollFd::new(asking, PollFlags::IN)));
            let timeout = timeout.try_into().ok();
            if poll(&mut polled, timeout.as_ref()).is_err() {
                return;
            }
            let asks = asking.and(polled.last()).map(PollFd::revents);
            (polled.iter().map(|fd| !fd.revents().is_empty()).collect(), asks)
        };
        // The control comes first and outputs are bounded, so a flood cannot keep a stop waiting.
        if ready[0] {
            self.engine.listen();
        }
        if ready[1] && self.signals.take() {
            self.engine.stop(StopReason::Cancelled);
        }
        if let Some(asks) = asks.filter(|asks| !asks.is_empty()) {
            listener.serve(asks.contains(PollFlags::IN));
        }
        let mut index = 2;
        for output in outputs {
            if output.pipe().is_some() {
                if ready[index] {
                    output.pump();
                }
                index += 1;
            } else {
                // It is tried again in a moment.
                let _ = output.write_waiting();
            }
        }
    }
}

/// One program to carry out.
struct Assignment<'a> {
    program: Program<'a>,
    order: &'a Order,
    folder: &'a SessionFolder,
    outputs: (Kept, Kept),
    time_limit_ms: Option<u64>,
    /// Whether its existence has to be written down before it runs.
    is_gated: bool,
}
