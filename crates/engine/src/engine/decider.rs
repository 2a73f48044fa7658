//! The decider: one task that takes in everything that happens, lets the world decide, and releases what is durable.
//!
//! mailbox, session ends, due deadlines -> one turn -> one append -> once durable: spawns, stops, answers, deliveries.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use antiphon_core::coordination::{CoordinationConfig, CoordinationSession, Runner, Runners, SessionEnd, SessionOutcome};
use antiphon_core::envelope::{MAX_APPEND_BYTES, Recorded};
use antiphon_core::id::{Actor, CoordinationId, RunnerName, StreamName, Version};
use antiphon_core::time::Now;
use antiphon_core::world::{Action, Command, EraseRequest, LedgerFacts, Origin, Rejection, Reply, Turn, World};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::recovery::{self, Recovered};
use super::request::{Release, Request};
use super::subscription::{LIVE_EVENTS, Live};
use super::writer::{Ack, Job, Writer};
use super::{Ended, EngineError, Handle, Setup, StartError, status_of};
use crate::clock::{Clock, Timer};
use crate::crash;
use crate::ledger::{AppendError, Snapshot, Store};
use crate::session::{Ending, RunnerFn, Running};

/// Requests that may wait; beyond it callers do.
const MAILBOX: usize = 4_096;

/// Most requests and ends taken into one turn.
const TURN_INPUTS: usize = 2_048;

/// Turns that may be on their way to the disk: the one being written, and one ahead of it.
const TURNS_AHEAD: usize = 2;

/// Wait before a full disk is tried again.
const RETRY_FULL: Duration = Duration::from_millis(500);

/// A turn on its way to the disk, with what waits for it.
#[derive(Default)]
struct Pending {
    actions: Vec<Action>,
    releases: Vec<Release>,
    deliveries: Vec<Recorded>,
    ends: Vec<Ending>,
    ended: Vec<CoordinationId>,
}

/// Whether the ledger takes anything in.
enum Health {
    Sound,
    /// Read-only until a write succeeds; tried again at the moment given.
    Full {
        reason: String,
        retry: Instant,
        since: Instant,
    },
    /// Closed to writes until a restart has verified it.
    Poisoned {
        reason: String,
    },
}

impl Health {
    /// What every command is answered with, unless all is well.
    fn refusal(&self) -> Option<EngineError> {
        match self {
            Self::Sound => None,
            Self::Full { reason, .. } => Some(EngineError::ReadOnly { reason: reason.clone() }),
            Self::Poisoned { reason } => Some(EngineError::Poisoned { reason: reason.clone() }),
        }
    }
}

struct Decider {
    world: World,
    clock: Clock,
    timer: Timer,
    store: Arc<dyn Store>,
    writer: Writer,
    facts: LedgerFacts,
    functions: HashMap<RunnerName, RunnerFn>,
    plans: HashMap<RunnerName, CoordinationConfig>,
    runners: Runners,
    running: Running,
    handle: Handle,
    mailbox: mpsc::Receiver<Request>,
    ends: mpsc::UnboundedReceiver<Ending>,
    acks: mpsc::UnboundedReceiver<Ack>,
    flight: VecDeque<Pending>,
    draft: Pending,
    /// Acknowledgements of turns that were given up.
    void_acks: usize,
    health: Health,
    writer_gone: bool,
    /// Ends of sessions that wait for the ledger to take something in again.
    kept: Vec<Ending>,
    waiting: HashMap<CoordinationId, Vec<oneshot::Sender<Option<Ended>>>>,
    /// Coordinations that have ended but are not durable yet.
    ending: HashSet<CoordinationId>,
    followers: HashMap<CoordinationId, broadcast::Sender<Live>>,
    snapshots: HashMap<CoordinationId, Version>,
    snapshot_every: u64,
    closing: Option<Closing>,
    grace: Duration,
    /// Cancelled when the engine's owner drops it without closing; sessions hold handles of their own.
    dropped: CancellationToken,
}

/// What the end of the engine waits for.
struct Closing {
    reply: oneshot::Sender<Result<(), EngineError>>,
    by: Instant,
    recorded: bool,
}

/// Starts the decider on a runtime, and its writer on a thread.
pub(super) fn spawn(setup: Setup) -> Result<(Handle, DropGuard, JoinHandle<()>), StartError> {
    let Setup { store, recovered, functions, plans, grace, snapshot_every } = setup;
    let dropped = CancellationToken::new();
    let guard = dropped.clone().drop_guard();
    let system = |what| move |source| StartError::System { what, source };
    let Recovered { mut world, clock, facts, owner, accepted_shorter } = recovered;
    let now = clock.now().map_err(system("randomness"))?;
    world.open_ledger(&owner.host, owner.pid, accepted_shorter, &now);
    world.resume(&now)?;
    let mut runners = Runners::default();
    for (name, capability, _) in &functions {
        runners.add_function(name.clone(), *capability);
    }
    for (name, config) in &plans {
        runners.add_plan(name.clone(), config.budget().max_episodes());
    }
    world.set_runners(runners.clone());
    let (mailbox, requests) = mpsc::channel(MAILBOX);
    let (ended, ends) = mpsc::unbounded_channel();
    let (writer, acks) = Writer::start(Arc::clone(&store))?;
    let handle = Handle::new(mailbox, Arc::clone(&store));
    let decider = Decider {
        facts,
        world,
        clock,
        timer: Timer::new().map_err(system("a timer"))?,
        store,
        writer,
        functions: functions.into_iter().map(|(name, _, function)| (name, function)).collect(),
        plans: plans.into_iter().collect(),
        runners,
        running: Running::new(ended, grace),
        handle: handle.clone(),
        dropped,
        mailbox: requests,
        ends,
        acks,
        flight: VecDeque::new(),
        draft: Pending::default(),
        void_acks: 0,
        health: Health::Sound,
        writer_gone: false,
        kept: Vec::new(),
        waiting: HashMap::new(),
        ending: HashSet::new(),
        followers: HashMap::new(),
        snapshots: HashMap::new(),
        snapshot_every,
        closing: None,
        grace,
    };
    Ok((handle, guard, tokio::spawn(decider.run())))
}

impl Decider {
    async fn run(mut self) {
        loop {
            self.turn();
            if self.closed() {
                return self.finish().await;
            }
            // While nothing can be written no deadline can be dealt with, and one that has passed would fire for ever.
            let sound = matches!(self.health, Health::Sound);
            let deadlines = if sound { self.world.next_deadline() } else { (None, None) };
            if let Err(error) = self.timer.arm(&self.clock, deadlines) {
                tracing::error!(%error, "deadlines cannot be waited for");
            }
            let retry = self.retry();
            let takes = self.flight.len() < TURNS_AHEAD && self.void_acks == 0;
            let more = takes && sound && self.world.has_more();
            let listens = takes && self.closing.as_ref().is_none_or(|closing| !closing.recorded);
            tokio::select! {
                biased;
                ack = self.acks.recv(), if !self.writer_gone => match ack {
                    Some(ack) => self.on_ack(ack),
                    None => self.on_writer_gone(),
                },
                () = std::future::ready(()), if more => {}
                Some(end) = self.ends.recv(), if takes => self.on_end(end, &self.now()),
                () = self.timer.fired(&self.clock), if takes => {}
                Some(request) = self.mailbox.recv(), if listens => self.on_request(request, &self.now()),
                () = self.dropped.cancelled(), if self.closing.is_none() => {
                    // What runs is stopped before the store is let go, so that nobody can bind it again meanwhile.
                    self.running.abandon();
                    return self.running.gone().await;
                }
                () = tokio::time::sleep_until(retry.unwrap_or_else(Instant::now)), if retry.is_some() => {}
            }
            self.take_waiting();
        }
    }

    /// Takes in what waits, so that one append serves all of it.
    fn take_waiting(&mut self) {
        while let Ok(ack) = self.acks.try_recv() {
            self.on_ack(ack);
        }
        // What is taken in together came at one moment.
        let now = self.now();
        let mut left = TURN_INPUTS;
        while left > 0 && self.flight.len() < TURNS_AHEAD && self.void_acks == 0 && self.world.turn_bytes() < MAX_APPEND_BYTES / 4
        {
            left -= 1;
            if let Ok(end) = self.ends.try_recv() {
                self.on_end(end, &now);
            } else if self.closing.as_ref().is_some_and(|closing| closing.recorded) {
                break;
            } else if let Ok(request) = self.mailbox.try_recv() {
                self.on_request(request, &now);
            } else {
                break;
            }
        }
    }

    fn now(&self) -> Now {
        self.clock.now().unwrap_or_else(|error| {
            tracing::error!(%error, "the system gives no randomness; tokens of this turn are made of the time");
            let at = self.clock.at();
            Now { at, ..Now::from(crate::clock::wall().0) }
        })
    }

    /// Takes a turn, if there is anything to do and a place for it on the way to the disk.
    fn turn(&mut self) {
        if self.flight.len() >= TURNS_AHEAD || self.void_acks > 0 {
            return;
        }
        if !self.may_write() {
            // The world is as it was last durable, or nobody can tell: then reads are refused, too.
            let answer = self.refusal_of_reads();
            for release in std::mem::take(&mut self.draft.releases) {
                release(answer.clone());
            }
            return;
        }
        let now = self.now();
        for end in std::mem::take(&mut self.kept) {
            self.present(end, &now);
        }
        self.world.expire(&now);
        self.go_on_closing(&now);
        let turn = self.world.take_turn(&now);
        let mut pending = std::mem::take(&mut self.draft);
        let Some(Turn { append, actions }) = turn else {
            if self.flight.is_empty() {
                self.health = Health::Sound;
            }
            return self.rest_on_the_last(pending);
        };
        pending.actions = actions;
        if append.events.is_empty() {
            return self.rest_on_the_last(pending);
        }
        for action in &pending.actions {
            if let Action::Ended { coordination, .. } = action {
                self.ending.insert(coordination.clone());
                pending.ended.push(coordination.clone());
                self.snapshots.remove(coordination);
            }
        }
        if !self.followers.is_empty() {
            let followed = |event: &&Recorded| match &event.stream {
                StreamName::Coordination(id) => self.followers.contains_key(id),
                _ => false,
            };
            pending.deliveries = append.events.iter().filter(followed).cloned().collect();
        }
        let touched: Vec<CoordinationId> = append.heads.iter().filter_map(|head| coordination_of(&head.stream)).collect();
        self.flight.push_back(pending);
        self.writer.send(Job::Append(Box::new(append)));
        for id in touched {
            self.save_if_due(&id);
        }
    }

    /// Answers that rest on what is durable already go out now; others wait for the turn before.
    fn rest_on_the_last(&mut self, pending: Pending) {
        match self.flight.back_mut() {
            Some(last) => {
                last.actions.extend(pending.actions);
                last.releases.extend(pending.releases);
                last.ends.extend(pending.ends);
            }
            None => self.release(pending),
        }
    }

    fn save_if_due(&mut self, id: &CoordinationId) {
        let Some(session) = self.world.coordination(id) else { return };
        let saved = self.snapshots.entry(id.clone()).or_insert(Version(0));
        let due = self.snapshot_every.max(4 * session.weight());
        if session.version().0 - saved.0 >= due {
            *saved = session.version();
            let snapshot = snapshot_of(session);
            self.writer.send(Job::Save(snapshot));
        }
    }

    fn on_ack(&mut self, ack: Ack) {
        if self.void_acks > 0 {
            self.void_acks -= 1;
            return;
        }
        let Some(pending) = self.flight.pop_front() else { return };
        match ack {
            Ok(()) => {
                self.health = Health::Sound;
                self.release(pending);
            }
            Err(error) => self.on_failed_append(pending, &error),
        }
    }

    /// Lets out what has become durable.
    fn release(&mut self, pending: Pending) {
        let is_empty = pending.actions.is_empty() && pending.releases.is_empty();
        if !is_empty {
            crash::point("release.before");
        }
        for event in pending.deliveries {
            if let Some(id) = coordination_of(&event.stream)
                && let Some(follower) = self.followers.get(&id)
                && follower.send(Arc::new(event)).is_err()
            {
                self.followers.remove(&id);
            }
        }
        for id in &pending.ended {
            self.ending.remove(id);
        }
        for action in pending.actions {
            self.act(action);
        }
        for release in pending.releases {
            release(Ok(()));
        }
        if !is_empty {
            crash::point("release.after");
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Spawn(spawn) => {
                let function = match &spawn.spec.runner {
                    Runner::Function(name) => self.functions.get(name),
                    Runner::Plan(_) | Runner::Caller => None,
                };
                self.running.start(*spawn, function, &self.handle);
            }
            Action::Stop { session, .. } => self.running.stop(&session),
            Action::Expand { coordination, work, runner } => {
                let config = match &runner {
                    Runner::Plan(name) => self.plans.get(name).cloned().map(Box::new),
                    _ => None,
                };
                let config = config.ok_or_else(|| "its plan is not registered any more".to_owned());
                let now = self.now();
                let origin = engine_origin();
                if let Err(error) = self.world.handle(Command::Expanded { coordination, work, config }, origin, &now) {
                    tracing::debug!(%error, "an expanded plan came too late");
                }
            }
            Action::Ended { coordination, verdict, receipt } => {
                self.followers.remove(&coordination);
                let ended = Ended { coordination, verdict, receipt };
                for waiter in self.waiting.remove(&ended.coordination).unwrap_or_default() {
                    // A caller that no longer waits is no error.
                    let _ = waiter.send(Some(ended.clone()));
                }
            }
        }
    }

    /// The writer's thread is gone without having been asked to: a broken invariant, contained like an error of a sync.
    fn on_writer_gone(&mut self) {
        self.writer_gone = true;
        let reason = "the writer's thread ended";
        for pending in std::mem::take(&mut self.flight) {
            for release in pending.releases {
                release(Err(EngineError::Poisoned { reason: reason.to_owned() }));
            }
        }
        self.poison(reason.to_owned());
    }

    /// A turn was not written: the world goes back to what is durable; ends of sessions are kept and presented again.
    fn on_failed_append(&mut self, failed: Pending, error: &AppendError) {
        tracing::error!(%error, "an append failed");
        let reason = match error {
            AppendError::NotWritten { source } => source.to_string(),
            other => other.to_string(),
        };
        let full = matches!(error, AppendError::NotWritten { .. });
        let answer = if full {
            EngineError::ReadOnly { reason: reason.clone() }
        } else {
            EngineError::Poisoned { reason: reason.clone() }
        };
        self.void_acks = self.flight.len();
        let mut kept = Vec::new();
        let draft = std::mem::take(&mut self.draft);
        for pending in std::iter::once(failed).chain(self.flight.drain(..)).chain([draft]) {
            for release in pending.releases {
                release(Err(answer.clone()));
            }
            kept.extend(pending.ends);
        }
        self.ending.clear();
        if !full {
            return self.poison(reason);
        }
        match recovery::refreshed(self.store.as_ref(), &self.facts)
            .and_then(|facts| recovery::rebuild(self.store.as_ref(), &facts))
        {
            Ok(mut world) => {
                world.set_runners(self.runners.clone());
                self.world = world;
                self.waiting.retain(|id, _| self.world.coordination(id).is_some());
                // They may be of versions that the coordinations do not have any more.
                self.snapshots.clear();
                let now = Instant::now();
                let since = match self.health {
                    Health::Full { since, .. } => since,
                    _ => now,
                };
                if now.duration_since(since) > self.grace {
                    self.running.stop_all();
                }
                self.health = Health::Full { reason, retry: now + RETRY_FULL, since };
                self.kept.extend(kept);
            }
            Err(error) => self.poison(error.to_string()),
        }
    }

    /// Nothing is taken in any more; who waits for an end is let go, as none will be recorded.
    fn poison(&mut self, reason: String) {
        self.running.stop_all();
        self.waiting.clear();
        self.followers.clear();
        self.health = Health::Poisoned { reason };
    }

    fn refusal_of_reads(&self) -> Result<(), EngineError> {
        match &self.health {
            Health::Sound | Health::Full { .. } => Ok(()),
            Health::Poisoned { reason } => Err(EngineError::Poisoned { reason: reason.clone() }),
        }
    }

    fn may_write(&self) -> bool {
        match &self.health {
            Health::Sound => true,
            Health::Full { retry, .. } => *retry <= Instant::now(),
            Health::Poisoned { .. } => false,
        }
    }

    /// When something must be tried again although nothing happens.
    fn retry(&self) -> Option<Instant> {
        let full = match &self.health {
            Health::Full { retry, .. } if self.flight.is_empty() => Some(*retry),
            _ => None,
        };
        let closing = self.closing.as_ref().filter(|closing| !closing.recorded && self.flight.is_empty());
        full.or(closing.map(|closing| closing.by))
    }

    fn on_end(&mut self, end: Ending, now: &Now) {
        self.running.ended(&end.session);
        match self.health {
            Health::Sound => self.present(end, now),
            // Kept outside of the world until a write may succeed again.
            Health::Full { .. } | Health::Poisoned { .. } => self.kept.push(end),
        }
    }

    fn present(&mut self, end: Ending, now: &Now) {
        let command = Command::EndSession {
            session: end.session.clone(),
            fence: end.fence,
            end: Box::new(end.end.clone()),
            blobs: end.blobs.clone(),
        };
        match self.world.handle(command, engine_origin(), now) {
            Ok(Reply::WriteRefused) => tracing::warn!(session = %end.session, "a session without a valid fence reported its end"),
            Ok(_) => {}
            Err(error) => tracing::warn!(session = %end.session, %error, "a session's end came after its coordination's"),
        }
        self.draft.ends.push(end);
    }

    fn on_request(&mut self, request: Request, now: &Now) {
        match request {
            Request::Command { command, origin, minted, reply } => {
                let result = self.on_command(command, origin, minted, now);
                self.draft.releases.push(Box::new(move |durable| {
                    let _ = reply.send(durable.and(result));
                }));
            }
            Request::Look(look) => {
                let release = look(&self.world, now);
                self.draft.releases.push(release);
            }
            // Nothing ends on the record any more; dropping the answer says so.
            Request::Wait { .. } if matches!(self.health, Health::Poisoned { .. }) => {}
            Request::Wait { coordination, reply } => {
                if self.world.coordination(&coordination).is_some() || self.ending.contains(&coordination) {
                    self.waiting.entry(coordination).or_default().push(reply);
                } else {
                    let _ = reply.send(None);
                }
            }
            Request::Follow { coordination, reply } => {
                let live = self.world.coordination(&coordination).is_some() || self.ending.contains(&coordination);
                let receiver = if live && !matches!(self.health, Health::Poisoned { .. }) {
                    let sender = self.followers.entry(coordination).or_insert_with(|| broadcast::channel(LIVE_EVENTS).0);
                    sender.subscribe()
                } else {
                    // Nothing more happens there: a closed channel says so.
                    broadcast::channel(1).1
                };
                // Turns on their way were filtered without this follower: he reads only once they are durable.
                self.draft.releases.push(Box::new(move |_| drop(reply.send(receiver))));
            }
            Request::Health { reply } => {
                let _ = reply.send(self.health.refusal().map_or(Ok(()), Err));
            }
            Request::Close { reply } => self.on_close(reply),
        }
    }

    fn on_command(&mut self, command: Command, origin: Origin, minted: bool, now: &Now) -> Result<Reply, EngineError> {
        if let Some(refusal) = self.health.refusal() {
            return Err(refusal);
        }
        if let Command::Start { id, config, .. } = &command
            && !minted
            && let Some(reply) = self.find_ended(id, config)?
        {
            return Ok(reply);
        }
        if let Command::Erase(request) = &command {
            self.check_erasure(request)?;
        }
        Ok(self.world.handle(command, origin, now)?)
    }

    /// Whether a chosen id belongs to a coordination that has ended: one look-up by key, here so that nothing can come between.
    fn find_ended(&self, id: &CoordinationId, config: &CoordinationConfig) -> Result<Option<Reply>, EngineError> {
        if self.world.coordination(id).is_some() {
            return Ok(None);
        }
        let same = |plan: Option<&str>| plan == Some(&config.digest().to_string());
        match status_of(self.store.as_ref(), id) {
            Ok(status) if same(status.summary["plan"].as_str()) => Ok(Some(Reply::Existing { coordination: id.clone() })),
            Ok(_) => Err(Rejection::Conflict { coordination: id.clone() }.into()),
            // It ended in a turn that is on its way to the disk.
            Err(EngineError::UnknownCoordination { .. }) if self.ending.contains(id) => {
                Ok(Some(Reply::Existing { coordination: id.clone() }))
            }
            Err(EngineError::UnknownCoordination { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Payloads can be erased of a coordination that has ended, but not its terminal event.
    fn check_erasure(&self, request: &EraseRequest) -> Result<(), EngineError> {
        let Some((id, versions)) = &request.payloads else { return Ok(()) };
        let status = status_of(self.store.as_ref(), id)?;
        if !status.ended {
            return Err(Rejection::StillRunning { coordination: id.clone() }.into());
        }
        match versions.iter().find(|version| version.0 == 0 || **version >= status.version) {
            Some(version) => Err(EngineError::NotErasable { coordination: id.clone(), version: *version, last: status.version }),
            None => Ok(()),
        }
    }

    fn on_close(&mut self, reply: oneshot::Sender<Result<(), EngineError>>) {
        // Without runners nothing new is bound.
        self.world.set_runners(Runners::default());
        self.closing = Some(Closing { reply, by: Instant::now() + self.grace, recorded: false });
    }

    /// Once nothing runs any more, or the grace is over: what still runs is given up, and the ledger is closed.
    fn go_on_closing(&mut self, now: &Now) {
        let Some(closing) = self.closing.as_mut().filter(|closing| !closing.recorded) else { return };
        // A turn on its way may still start a session.
        if !self.flight.is_empty() || (!self.running.is_empty() && closing.by > Instant::now()) {
            return;
        }
        closing.recorded = true;
        for (session, fence) in self.running.sessions() {
            let end = SessionEnd::new(SessionOutcome::Lost).with_text("the engine was closed while the session ran");
            let command = Command::EndSession { session, fence, end: Box::new(end), blobs: Vec::new() };
            if let Err(error) = self.world.handle(command, engine_origin(), now) {
                tracing::warn!(%error, "a session could not be recorded as lost");
            }
        }
        self.running.abandon();
        self.world.close_ledger(now);
    }

    fn closed(&self) -> bool {
        let idle = self.flight.is_empty() && self.void_acks == 0;
        match (&self.closing, &self.health) {
            (Some(closing), Health::Sound) => closing.recorded && idle && !self.world.has_more(),
            (Some(_), _) => idle,
            (None, _) => false,
        }
    }

    /// Leaves snapshots, closes the store and answers the one who asked for it.
    async fn finish(mut self) {
        let answer = self.health.refusal().map_or(Ok(()), Err);
        if answer.is_ok() {
            for session in self.world.coordinations() {
                self.writer.send(Job::Save(snapshot_of(session)));
            }
        }
        self.running.abandon();
        // What was abandoned must be gone before the caller may open the ledger again, here or elsewhere.
        self.running.gone().await;
        let closed = self.writer.finish().map_err(|reason| EngineError::Poisoned { reason });
        if let Some(closing) = self.closing.take() {
            let _ = closing.reply.send(answer.and(closed));
        }
    }
}

fn snapshot_of(session: &CoordinationSession) -> Snapshot {
    Snapshot {
        stream: StreamName::Coordination(session.coordination_id().clone()),
        version: session.version(),
        format: CoordinationSession::SNAPSHOT_FORMAT.to_owned(),
        bytes: session.snapshot(),
    }
}

fn coordination_of(stream: &StreamName) -> Option<CoordinationId> {
    match stream {
        StreamName::Coordination(id) => Some(id.clone()),
        StreamName::Ledger | StreamName::Pool(_) => None,
    }
}

fn engine_origin() -> Origin {
    Origin { actor: Actor::new("engine").unwrap_or_else(|error| panic!("BUG: a constant name: {error}")), id: None }
}
