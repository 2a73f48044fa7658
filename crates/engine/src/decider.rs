//! The decider: one task that takes in everything that happens, lets the world decide, and releases
//! what is durable.
//!
//! mailbox, session ends, due deadlines -> one turn -> one append -> once durable: spawns, stops,
//! answers, deliveries.

mod closing;
mod health;
mod intake;
mod opening;
mod pending;
mod recovery;
mod waiters;
mod writer;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use antiphon_core::coordination::{Coordination, CoordinationConfig, Runners};
use antiphon_core::digest::Digest;
use antiphon_core::envelope::{MAX_APPEND_BYTES, Recorded};
use antiphon_core::id::{CoordinationId, RunnerName, StreamName, Version};
use antiphon_core::time::Now;
use antiphon_core::world::{Action, LedgerFacts, Turn, World};
use closing::Closing;
use health::Health;
use opening::Opening;
pub(crate) use opening::{Parts, spawn};
use pending::Pending;
pub(crate) use recovery::{Recovered, recover};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use waiters::Waiters;
use writer::{Ack, Job, Writer};

use crate::clock::{Clock, Timer};
use crate::incidents::{Caught, CaughtError};
use crate::ledger::{Snapshot, Store};
use crate::mailbox::{Feeds, Handle, Release, Request};
use crate::orphans::Leftovers;
use crate::session::{Ending, Processes, RunnerFn, Running};

/// Most requests and ends taken into one turn.
const TURN_INPUTS: usize = 2_048;

/// Turns that may be on their way to the disk: the one being written, and one ahead of it.
const TURNS_AHEAD: usize = 2;

/// A turn goes ahead of the disk once it has this part of the payload of the one before.
const GATHER: usize = 4;

/// Beside a turn of more bytes the next one is made at once, as making it takes longer than a sync.
const GATHER_BESIDE: usize = 1 << 20;

/// What the task owns.
struct Decider {
    world: World,
    clock: Clock,
    timer: Timer,
    store: Arc<dyn Store>,
    writer: Writer,
    /// The ledger as it was opened, with the end of the commit chain as it was last durable.
    facts: LedgerFacts,
    functions: HashMap<RunnerName, RunnerFn>,
    plans: HashMap<RunnerName, CoordinationConfig>,
    runners: Runners,
    running: Running,
    processes: Option<Arc<Processes>>,
    process_runner: Option<RunnerFn>,
    handle: Handle,
    mailbox: mpsc::Receiver<Request>,
    ends: mpsc::UnboundedReceiver<Ending>,
    acks: mpsc::UnboundedReceiver<Ack>,
    flight: VecDeque<Pending>,
    draft: Pending,
    /// Acknowledgements of turns that were given up.
    void_acks: usize,
    health: Health,
    /// When the disk was first found full, unless a write has succeeded since: that there was
    /// nothing to write is no success.
    full_since: Option<Instant>,
    writer_gone: bool,
    /// Ends of sessions that wait for the ledger to take something in again.
    kept: VecDeque<Ending>,
    /// Callers whose start goes on in the next turns.
    starts: Vec<(CoordinationId, Release)>,
    opening: Opening,
    waiting: Waiters,
    /// Coordinations whose end is not durable yet, with the digests of what they were started with.
    ending: HashMap<CoordinationId, Digest>,
    followers: Feeds,
    caught: Arc<Caught>,
    leftovers: Arc<Leftovers>,
    snapshots: HashMap<CoordinationId, Version>,
    snapshot_every: u64,
    closing: Option<Closing>,
    grace: Duration,
    /// Cancelled when the engine's owner drops it without closing; sessions hold handles of their
    /// own.
    dropped: CancellationToken,
}

impl Decider {
    async fn run(mut self) {
        loop {
            self.turn();
            if self.closed() {
                return self.finish().await;
            }
            // While nothing can be written no deadline can be dealt with, and one that has passed
            // would fire for ever.
            let sound = matches!(self.health, Health::Sound);
            let deadlines = if sound { self.world.next_deadline() } else { (None, None) };
            if let Err(error) = self.timer.arm(&self.clock, deadlines) {
                self.caught.note(CaughtError::DeadlineNotArmed, &"the next deadline", &error);
            }
            let retry = self.retry();
            let takes = self.flight.len() < TURNS_AHEAD && self.void_acks == 0;
            let more = takes && self.has_more() && !self.gathers();
            let listens = takes && self.listens();
            tokio::select! {
                biased;
                ack = self.acks.recv(), if !self.writer_gone => match ack {
                    Some(ack) => self.on_ack(ack),
                    None => self.on_writer_gone(),
                },
                () = std::future::ready(()), if more => {}
                Some(end) = self.ends.recv(), if takes => self.on_end(end, &self.now()),
                () = self.timer.fired(&self.clock), if takes && !self.gathers() => {}
                Some(request) = self.mailbox.recv(), if listens => self.on_request(request, &self.now()),
                () = self.dropped.cancelled(), if self.closing.is_none() => {
                    // What runs is stopped before the store is let go, so that nobody can bind it
                    // again meanwhile.
                    self.running.abandon();
                    return self.running.gone().await;
                }
                () = tokio::time::sleep_until(retry.unwrap_or_else(Instant::now)), if retry.is_some() => {}
            }
            self.take_waiting();
        }
    }

    /// Whether there is another turn to take at once. What proves that the engine can write goes on
    /// until it is written or nothing is left.
    fn has_more(&self) -> bool {
        match self.health {
            Health::Sound => self.world.has_more(),
            Health::Proving { .. } => self.flight.is_empty() || self.world.has_more(),
            Health::Full { .. } | Health::Poisoned { .. } => false,
        }
    }

    /// Whether requests are taken in: not before what was found is taken over, nor while the engine
    /// proves that it can write. On a full disk they are, to be refused.
    fn listens(&self) -> bool {
        let closed = self.closing.as_ref().is_some_and(|closing| closing.recorded);
        !closed
            && match self.health {
                Health::Sound => !self.world.is_taking_over(),
                Health::Proving { .. } => false,
                Health::Full { .. } | Health::Poisoned { .. } => true,
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
        while left > 0
            && self.flight.len() < TURNS_AHEAD
            && self.void_acks == 0
            && self.world.turn_bytes() < MAX_APPEND_BYTES / 4
        {
            left -= 1;
            if let Ok(end) = self.ends.try_recv() {
                self.on_end(end, &now);
            } else if self.listens()
                && let Ok(request) = self.mailbox.try_recv()
            {
                self.on_request(request, &now);
            } else {
                break;
            }
        }
    }

    fn now(&self) -> Now {
        self.clock.now().unwrap_or_else(|error| {
            self.caught.note(CaughtError::NoRandomness, &"this turn", &error);
            let at = self.clock.at();
            Now { at, ..Now::from(crate::clock::wall().0) }
        })
    }

    /// Takes a turn, if there is anything to do and a place for it on the way to the disk.
    fn turn(&mut self) {
        if self.flight.len() >= TURNS_AHEAD || self.void_acks > 0 || self.gathers() {
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
        if !self.world.is_taking_over() {
            // Many may have been kept, and together they may be larger than an append.
            while self.world.turn_bytes() < MAX_APPEND_BYTES / 4
                && let Some(end) = self.kept.pop_front()
            {
                self.present(end, &now);
            }
            self.world.expire(&now);
            self.go_on_closing(&now);
        }
        let turn = self.world.take_turn(&now);
        self.answer_starts();
        let mut pending = std::mem::take(&mut self.draft);
        let Some(Turn { mut append, actions }) = turn else {
            if self.flight.is_empty() {
                self.health = Health::Sound;
            }
            return self.rest_on_the_last(pending);
        };
        pending.actions = actions;
        pending.takes_over = !self.world.is_taking_over();
        if append.events.is_empty() {
            return self.rest_on_the_last(pending);
        }
        for action in &pending.actions {
            if let Action::Ended { coordination, plan, .. } = action {
                self.ending.insert(coordination.clone(), *plan);
                pending.ended.push(coordination.clone());
                self.snapshots.remove(coordination);
            }
        }
        if !self.followers.is_empty() {
            let followed = |event: &&Recorded| match &event.stream {
                StreamName::Coordination(id) => self.followers.has(id),
                _ => false,
            };
            pending.deliveries = append.events.iter().filter(followed).cloned().collect();
        }
        pending.commit = append.commit.tip();
        append.heads.extend(std::mem::take(&mut pending.redacted).into_values());
        let touched: Vec<CoordinationId> =
            append.heads.iter().filter_map(|head| coordination_of(&head.stream)).collect();
        pending.bytes =
            append.events.iter().filter_map(|event| event.payload.bytes()).map(<[u8]>::len).sum();
        self.flight.push_back(pending);
        self.writer.send(Job::Append(Box::new(append)));
        for id in touched {
            self.save_if_due(&id);
        }
    }

    /// Whether the next turn is small beside the one that is being written: it could not be written
    /// sooner, and what comes meanwhile shares its sync.
    fn gathers(&self) -> bool {
        let small = |written: &Pending| {
            written.bytes <= GATHER_BESIDE && self.world.turn_bytes() * GATHER < written.bytes
        };
        self.flight.back().is_some_and(small)
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
}

fn snapshot_of(session: &Coordination) -> Snapshot {
    Snapshot {
        stream: StreamName::Coordination(session.coordination_id().clone()),
        version: session.version(),
        format: Coordination::SNAPSHOT_FORMAT.to_owned(),
        bytes: session.snapshot(),
    }
}

fn coordination_of(stream: &StreamName) -> Option<CoordinationId> {
    match stream {
        StreamName::Coordination(id) => Some(id.clone()),
        StreamName::Ledger | StreamName::Pool(_) => None,
    }
}
