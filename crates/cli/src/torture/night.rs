//! A run from its start to the end of its retry, carried out by the commands that a user types, and
//! interrupted on the way.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use antiphon::id::{CoordinationId, StreamName, Version};
use antiphon::ledger::{HeadQuery, Location, LockHolder, ReadError};
use antiphon::random::Random;
use rustix::process::{Pid, kill_process};
use serde_json::Value;

use super::command::{EndedCommand, RunningCommand};
use super::interrupt::{Asks, Carrier, Interrupt};
use super::journal::{Entry, JournalWriter};
use super::night_plan;
use super::processes;
use super::victim;
use crate::command_error::Kind;
use crate::ledger::Ledger;

/// How long an engine that was asked to stop has for it.
const ENGINE_ENDS_WITHIN: Duration = Duration::from_secs(30);

/// How often a run is interrupted, at most, before it is let alone.
const INTERRUPTED_AT_MOST: u64 = 3;

/// What happened to runs that commands carried out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub(super) struct NightCounts {
    /// Commands that left their run unfinished.
    left: u64,
    /// Commands that detached from a run that went on.
    detached: u64,
    /// Runs that were attached to.
    attached: u64,
    /// Runs that `resume` took to their end.
    resumed: u64,
    /// Runs that were retried.
    retried: u64,
}

impl NightCounts {
    pub(super) fn add(&mut self, other: Self) {
        self.left += other.left;
        self.detached += other.detached;
        self.attached += other.attached;
        self.resumed += other.resumed;
        self.retried += other.retried;
    }
}

impl std::fmt::Display for NightCounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { left, detached, attached, resumed, retried } = self;
        write!(
            f,
            "{left} times left unfinished, {resumed} resumed to the end; {attached} attached, \
             {detached} detached; {retried} retried"
        )
    }
}

/// What stopped a night.
#[derive(Debug)]
pub(super) enum NightError {
    /// A command did not do as it promises.
    Finding(String),
    Io(io::Error),
}

impl From<io::Error> for NightError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

type NightResult<T = ()> = Result<T, NightError>;

fn finding<T>(what: impl Into<String>) -> NightResult<T> {
    Err(NightError::Finding(what.into()))
}

/// Where a command has left its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    /// It was asked to stop before it had begun.
    AsItWas,
    Unfinished,
    Ended,
}

/// A run that commands carry out.
pub(super) struct Night<'a> {
    dir: &'a Path,
    /// Seed of the program that its sessions run.
    seed: u64,
    id: CoordinationId,
    /// Another run, whose command carries this one out.
    host: CoordinationId,
    interrupt: Interrupt,
    random: Random,
    ledger: Ledger,
    journal: JournalWriter,
    counts: NightCounts,
}

impl<'a> Night<'a> {
    pub(super) fn new(
        dir: &'a Path,
        seed: u64,
        number: u64,
        interrupt: Interrupt,
    ) -> io::Result<Self> {
        let id = |name: String| name.parse::<CoordinationId>().map_err(io::Error::other);
        Ok(Self {
            dir,
            seed,
            id: id(format!("night-{number}"))?,
            host: id(format!("host-{number}"))?,
            interrupt,
            random: Random::of(&[interrupt.seed]),
            ledger: Ledger::at(&victim::state(dir)),
            journal: JournalWriter::append_to(&victim::journal(dir))?,
            counts: NightCounts::default(),
        })
    }

    /// Has the run carried out, interrupted, resumed, and retried.
    pub(super) fn pass(mut self) -> NightResult<NightCounts> {
        let plan = self.dir.join(format!("{}.yaml", self.id));
        let text = night_plan::text(self.dir, self.seed, &mut self.random)?;
        fs::write(&plan, text)?;
        let plan = plan.to_string_lossy().into_owned();
        let id = self.id.clone();
        match self.interrupt.carrier {
            Carrier::Run => {
                self.interrupted(&["run", "--json", "--id", id.as_str(), &plan], &id)?;
            }
            Carrier::Serve => self.served(&["run", "--detach", "--id", id.as_str(), &plan], &id)?,
            Carrier::Host => self.hosted(&plan)?,
        }
        self.resumed(&id, &["run", "--json", "--id", id.as_str(), &plan])?;
        let retry: CoordinationId = format!("{id}@2").parse().map_err(io::Error::other)?;
        match self.random.below(3) {
            0 => self.served(&["retry", "--detach", id.as_str()], &retry)?,
            1 => self.interrupted(&["retry", "--json", id.as_str()], &retry)?,
            _ => {}
        }
        self.resumed(&retry, &["retry", "--json", id.as_str()])?;
        self.counts.retried += 1;
        Ok(self.counts)
    }

    /// Starts a command that carries a run out, and asks it to stop; what it leaves is then resumed
    /// and interrupted again, a few times at most.
    fn interrupted(&mut self, words: &[&str], id: &CoordinationId) -> NightResult {
        let resume = ["resume", "--json", id.as_str()];
        let (mut words, mut after) = (words, self.interrupt.after);
        for _ in 0..self.random.between(1, INTERRUPTED_AT_MOST) {
            let before = self.version(id)?;
            let running = RunningCommand::start(self.dir, words)?;
            running.ask(self.interrupt.asks, after, &mut self.random)?;
            let left = self.judge(&running.end()?, id, before, Some(self.interrupt.asks))?;
            match left {
                Left::AsItWas => {}
                Left::Unfinished => {
                    self.counts.left += 1;
                    self.journal.write(&Entry::Interrupted { id: id.clone() });
                    words = &resume;
                }
                Left::Ended => return nothing_runs(),
            }
            nothing_runs_if(left != Left::AsItWas)?;
            after = Duration::from_millis(self.random.between(20, 500));
        }
        Ok(())
    }

    /// Carries a run to its end, wherever it is. If it does not exist yet, the command starts it.
    fn resumed(&mut self, id: &CoordinationId, start: &[&str]) -> NightResult {
        let before = self.version(id)?;
        if self.has_ended(id)? {
            return Ok(());
        }
        let resume = ["resume", "--json", id.as_str()];
        let words = if before.is_none() { start } else { &resume };
        let ended = RunningCommand::start(self.dir, words)?.end()?;
        match self.judge(&ended, id, before, None)? {
            Left::Ended => {
                self.counts.resumed += u64::from(before.is_some());
                nothing_runs()
            }
            left => finding(ended.unexpected(&format!("{id} is left: {left:?}"))),
        }
    }

    /// Hands a run to an engine that stays, attaches to it and detaches; then the engine is asked to
    /// stop, or may come to the end of the run.
    fn served(&mut self, words: &[&str], id: &CoordinationId) -> NightResult {
        let ended = RunningCommand::start(self.dir, words)?.end()?;
        if ended.code() != Some(0) || ended.stdout.trim_end() != id.as_str() {
            return finding(ended.unexpected("it was to hand a run over and print its id"));
        }
        self.journal.write(&Entry::Submitted { id: id.clone() });
        self.detached(&["attach", "--json", id.as_str()], id)?;
        let engine = self.engine()?;
        if self.random.one_in(2) {
            let ended = RunningCommand::start(self.dir, &["wait", id.as_str()])?.end()?;
            if self.judge(&ended, id, self.version(id)?, None)? != Left::Ended {
                return finding(ended.unexpected("it was to wait for the end"));
            }
        }
        if let Some(engine) = engine {
            // Nothing waits for one that has been idle for long and has gone by itself.
            let _ = kill_process(engine, self.interrupt.asks.signal().0);
            let pid = engine.as_raw_nonzero().get().cast_unsigned();
            if !processes::ended_within(pid, ENGINE_ENDS_WITHIN) {
                return finding(format!(
                    "the engine that stays was asked to stop by {}, and was there {} s later",
                    self.interrupt.asks,
                    ENGINE_ENDS_WITHIN.as_secs()
                ));
            }
        }
        if !self.has_ended(id)? {
            self.must_be_left(id, "its engine was asked to stop")?;
        }
        nothing_runs()
    }

    /// Submits a run to the command of another one, and detaches; then that command is asked to stop.
    fn hosted(&mut self, plan: &str) -> NightResult {
        let (id, host) = (self.id.clone(), self.host.clone());
        let before = self.version(&host)?;
        let running =
            RunningCommand::start(self.dir, &["run", "--json", "--id", host.as_str(), plan])?;
        self.detached(&["run", "--json", "--id", id.as_str(), plan], &id)?;
        let after = Duration::from_millis(self.random.below(300));
        running.ask(self.interrupt.asks, after, &mut self.random)?;
        let left = self.judge(&running.end()?, &host, before, Some(self.interrupt.asks))?;
        if left == Left::Unfinished {
            self.counts.left += 1;
            self.journal.write(&Entry::Interrupted { id: host.clone() });
        }
        if self.version(&id)?.is_some() && !self.has_ended(&id)? {
            self.must_be_left(&id, "its host was asked to stop")?;
        }
        nothing_runs_if(left != Left::AsItWas)?;
        self.resumed(&host, &["run", "--json", "--id", host.as_str(), plan])
    }

    /// Starts a command that only follows, and asks it to detach.
    fn detached(&mut self, words: &[&str], id: &CoordinationId) -> NightResult {
        let asks = self.interrupt.asks;
        let running = RunningCommand::start(self.dir, words)?;
        self.counts.attached += 1;
        running.ask(asks, self.interrupt.after, &mut self.random)?;
        let ended = running.end()?;
        self.delivered(&ended)?;
        match ended.code() {
            Some(code) if code == Kind::Aborted as i32 => self.counts.detached += 1,
            Some(code) if self.has_ended(id)? && self.code(id)? == code => {}
            None if ended.was_ended_by(asks) => {}
            _ => {
                return finding(ended.unexpected("it was to detach, or to tell how the run ended"));
            }
        }
        Ok(())
    }
}

impl Night<'_> {
    /// What a command that carries a run out has left, which its exit code and the ledger must agree
    /// on.
    fn judge(
        &self,
        ended: &EndedCommand,
        id: &CoordinationId,
        before: Option<Version>,
        asked: Option<Asks>,
    ) -> NightResult<Left> {
        self.delivered(ended)?;
        let now = self.version(id)?;
        if asked.is_some_and(|asks| ended.was_ended_by(asks)) && now == before {
            return Ok(Left::AsItWas);
        }
        let Some(code) = ended.code() else {
            return finding(ended.unexpected("it was to end by itself"));
        };
        if now.is_some() && self.has_ended(id)? {
            return match self.code(id)? {
                told if told == code => Ok(Left::Ended),
                told => finding(ended.unexpected(&format!("{id} has ended, which is code {told}"))),
            };
        }
        if asked.is_none() || code != Kind::Aborted as i32 {
            return finding(ended.unexpected(&format!("{id} has not ended")));
        }
        if now == before {
            return Ok(Left::AsItWas);
        }
        self.must_be_left(id, "its command was asked to stop")?;
        Ok(Left::Unfinished)
    }

    /// What the ledger says of a run that nobody carries out any more.
    fn must_be_left(&self, id: &CoordinationId, why: &str) -> NightResult {
        let interrupted = self.ledger.is_interrupted(id).map_err(told)?;
        match self.ledger.is_held().map_err(told)? {
            false if interrupted => Ok(()),
            false => {
                finding(format!("{why}, and the record does not say that {id} is interrupted"))
            }
            true => finding(format!("{why}, and an engine has the ledger")),
        }
    }

    fn has_ended(&self, id: &CoordinationId) -> NightResult<bool> {
        match self.version(id)? {
            Some(_) => Ok(self.ledger.outcome(id).map_err(told)?.is_some()),
            None => Ok(false),
        }
    }

    /// The exit code that an ended run has.
    fn code(&self, id: &CoordinationId) -> NightResult<i32> {
        let outcome = self.ledger.outcome(id).map_err(told)?;
        Ok(outcome.and_then(|outcome| outcome.kind()).map_or(0, |kind| kind as i32))
    }

    /// How far the record of a run goes, if there is one.
    fn version(&self, id: &CoordinationId) -> NightResult<Option<Version>> {
        let head = HeadQuery::Stream(StreamName::Coordination(id.clone()));
        match self.ledger.store.heads(&head) {
            Ok(heads) => Ok(heads.first().map(|head| head.tip.version)),
            Err(ReadError::Absent { .. }) => Ok(None),
            Err(error) => finding(format!("the ledger cannot be read: {error}")),
        }
    }

    /// The engine that has the ledger.
    fn engine(&self) -> NightResult<Option<Pid>> {
        let holder = Location::directory(victim::state(self.dir)).files().holder();
        match holder.map_err(io::Error::other)? {
            Some(LockHolder::Named(owner)) => Ok(Pid::from_raw(owner.pid.cast_signed())),
            _ => Ok(None),
        }
    }

    /// Journals every event that a command has printed. One that is ended by a signal may break off
    /// in the middle of a line.
    fn delivered(&self, ended: &EndedCommand) -> NightResult {
        let whole = ended.stdout.rfind('\n').map_or("", |last| &ended.stdout[..last]);
        for line in whole.lines() {
            let Ok(event) = serde_json::from_str::<Value>(line) else {
                return finding(ended.unexpected(&format!("it printed `{line}`")));
            };
            let text = |name: &str| event[name].as_str().unwrap_or_default();
            let Some(id) = text("stream").strip_prefix("coordination/") else { continue };
            let (Ok(id), Ok(hash), Some(version)) =
                (id.parse(), text("hash").parse(), event["version"].as_u64())
            else {
                return finding(ended.unexpected(&format!("it printed `{line}`")));
            };
            self.journal.write(&Entry::Delivered { id, version: Version(version), hash });
        }
        Ok(())
    }
}

/// The engine that carried everything out has ended in order, so nothing of a session may live.
fn nothing_runs() -> NightResult {
    match processes::left().first() {
        None => Ok(()),
        Some(seen) => {
            finding(format!("the command that carried a run out has ended, and left {seen}"))
        }
    }
}

fn nothing_runs_if(has_run: bool) -> NightResult {
    if has_run { nothing_runs() } else { Ok(()) }
}

fn told(error: crate::command_error::CommandError) -> NightError {
    NightError::Finding(format!("the ledger cannot be read: {}", error.message()))
}
