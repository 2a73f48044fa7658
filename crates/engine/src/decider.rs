//! The decider: one task that takes in everything that happens, lets the world decide, and lets out
//! what is durable. It never waits for a disk, a session or a caller.
//!
//! Inputs become one turn, the turn one append; once that is durable, what waits for it leaves.

mod audience;
mod closing;
mod disk;
mod ground;
mod inputs;
mod intake;
mod log;
mod named_since;
mod on_ends;
mod opening;
mod recovery;
mod release;
mod sessions;
mod snapshots;
mod trouble;
mod turns;
mod waiters;
mod waiting;
mod writer;

use std::ops::ControlFlow;
use std::sync::Arc;

use antiphon_core::coordination::Coordination;
use antiphon_core::envelope::MAX_APPEND_BYTES;
use antiphon_core::id::StreamName;
use antiphon_core::time::Now;
use antiphon_core::world::{self, Action, World};

use tokio::task::JoinHandle;
use tokio_util::sync::DropGuard;

use crate::clock::Clock;
use crate::incidents::{Incident, Incidents};
use crate::mailbox::{Handle, StartError};
use crate::orphans::Leftovers;
use crate::waits::Waits;
use audience::Audience;
use closing::Closing;
use disk::{Disk, DiskHealth};
use inputs::{Input, Inputs};
use named_since::NamedSince;
use on_ends::OnEnds;
use opening::Opening;
pub(crate) use opening::Parts;
pub(crate) use recovery::{Recovered, recover};
use sessions::Sessions;
use snapshots::Snapshots;
use turns::TurnDraft;

/// Most requests and ends taken into one turn, so that a turn stays short and its callers wait for
/// a bounded time.
const TURN_INPUTS: usize = 2_048;

/// Nothing more is taken into a turn of more bytes. What the last input adds, and what expires or
/// is decided of it, must fit into the same append: a single input adds at most half of the limit
/// ([`MAX_COMMAND_BYTES`](antiphon_core::envelope::MAX_COMMAND_BYTES)), and a quarter is left for
/// what follows from it.
const FULL_TURN: usize = MAX_APPEND_BYTES / 4;

/// What the task owns.
struct Decider {
    world: World,
    disk: Disk,
    sessions: Sessions,
    audience: Audience,
    waits: Waits,
    snapshots: Snapshots,
    on_ends: OnEnds,
    opening: Opening,
    named_since: NamedSince,
    /// Whether a signal to a run that is not there begins one.
    allows_undeclared: bool,
    closing: Option<Closing>,
    /// What the next turn lets out besides what the world decides.
    draft: TurnDraft,
    inputs: Inputs,
    clock: Clock,
    handle: Handle,
    incidents: Arc<Incidents>,
    leftovers: Arc<Leftovers>,
}

/// Starts the decider on a runtime, and its writer on a thread.
pub(crate) fn spawn(
    parts: Parts,
) -> Result<(Handle, DropGuard, JoinHandle<()>, Arc<Leftovers>), StartError> {
    let (decider, guard) = Decider::open(parts)?;
    let (handle, leftovers) = (decider.handle.clone(), Arc::clone(&decider.leftovers));
    Ok((handle, guard, tokio::spawn(decider.run()), leftovers))
}

impl Decider {
    async fn run(mut self) {
        loop {
            self.turn();
            if self.closed() {
                return self.finish().await;
            }
            let listening = self.listening();
            let input = self.inputs.next(&self.clock, listening).await;
            if self.on(input).is_break() {
                return self.sessions.gone().await;
            }
            self.take_waiting();
        }
    }

    /// Takes in one thing that has happened. Breaks when the engine is gone.
    fn on(&mut self, input: Input) -> ControlFlow<()> {
        match input {
            Input::Written(ack) => self.on_ack(ack),
            Input::WriterLost => self.on_writer_lost(),
            Input::SessionEnded(end) => self.on_end(end, &self.now()),
            Input::Gone(gone) => self.on_gone(gone),
            Input::Request(request) => self.on_request(request, &self.now()),
            // The next turn deals with them.
            Input::Due => self.expire_waits(),
            Input::More | Input::Retry => {}
            Input::Dropped => {
                // What runs is stopped before the store is let go, so that no other engine can bind
                // it again meanwhile.
                self.sessions.abandon();
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    /// Whether there is another turn to take at once. What proves that the engine can write is
    /// retried until it is written or nothing is left.
    fn has_more(&self) -> bool {
        match self.disk.health() {
            DiskHealth::Sound => self.world.has_more(),
            DiskHealth::Proving { .. } => self.disk.nothing_in_flight() || self.world.has_more(),
            DiskHealth::Full { .. }
            | DiskHealth::Unread { .. }
            | DiskHealth::Poisoned { .. }
            | DiskHealth::Gone { .. }
            | DiskHealth::Newer { .. } => false,
        }
    }

    /// Whether requests are taken in: not before what was found is taken over, nor while the engine
    /// proves that it can write. On a full disk they are, to be refused.
    fn takes_requests(&self) -> bool {
        let closed = self.closing.as_ref().is_some_and(Closing::is_recorded);
        !closed
            && match self.disk.health() {
                DiskHealth::Sound => !self.world.is_taking_over(),
                DiskHealth::Proving { .. } => false,
                DiskHealth::Full { .. }
                | DiskHealth::Unread { .. }
                | DiskHealth::Poisoned { .. }
                | DiskHealth::Gone { .. }
                | DiskHealth::Newer { .. } => true,
            }
    }

    /// Takes in what waits, so that one append serves all of it.
    fn take_waiting(&mut self) {
        while let Some(ack) = self.inputs.next_ack() {
            self.on_ack(ack);
        }
        // What is taken in together came at one moment.
        let now = self.now();
        let mut left = TURN_INPUTS;
        while left > 0 && self.disk.has_room() && self.world.turn_bytes() < FULL_TURN {
            left -= 1;
            if let Some(end) = self.inputs.next_end() {
                self.on_end(end, &now);
            } else if self.takes_requests()
                && let Some(request) = self.inputs.next_request()
            {
                self.on_request(request, &now);
            } else {
                break;
            }
        }
    }

    fn now(&self) -> Now {
        self.clock.now().unwrap_or_else(|error| {
            self.incidents.note(Incident::NoRandomness, &"this turn", &error);
            let at = self.clock.at();
            Now { at, ..Now::from(crate::clock::wall().0) }
        })
    }

    /// Takes a turn, if there is anything to do and a place for it on the way to the disk.
    fn turn(&mut self) {
        if !self.disk.has_room() || self.gathers() {
            return;
        }
        if self.disk.may_read_again() {
            self.read_again();
        }
        if !self.disk.may_write() {
            // The world is as it was last durable, or its state is unknown: then reads are refused,
            // too.
            let answer = self.disk.refusal_of_reads();
            for release in self.draft.take_releases() {
                release(answer.clone());
            }
            let due = self.draft.take_waits();
            self.answer_waits(due);
            return;
        }
        let now = self.now();
        if !self.world.is_taking_over() {
            // Many may have been kept, and together they may be larger than an append.
            while self.world.turn_bytes() < FULL_TURN
                && let Some(end) = self.sessions.next_kept()
            {
                self.present(end, &now);
            }
            self.world.expire(&now);
            self.go_on_closing(&now);
        }
        let turn = self.world.take_turn(&now);
        if self.audience.has_starts() {
            // The caller of a start is answered with the turn that completes the start.
            let complete = self.audience.complete_starts(|id| self.world.is_starting(id));
            self.draft.answer_all(complete);
        }
        let mut draft = std::mem::take(&mut self.draft);
        let Some(world::Turn { mut append, actions }) = turn else {
            self.disk.prove();
            return self.let_out(draft, Vec::new());
        };
        draft.answer_waits(self.look_at_waits(&append.events));
        if append.events.is_empty() {
            return self.let_out(draft, actions);
        }
        for action in &actions {
            if let Action::Ended { coordination, plan, .. } = action {
                self.audience.begin_end(coordination.clone(), *plan);
                self.snapshots.forget(&StreamName::Coordination(coordination.clone()));
            }
        }
        self.named_since.note(&mut append);
        let cursors = Self::cursors_of(&actions);
        let audience = &self.audience;
        let takes_over = !self.world.is_taking_over();
        let turn =
            draft.with_append(&mut append, actions, takes_over, |stream| audience.follows(stream));
        let touched = append.heads.iter().map(|head| &head.stream);
        let states = touched.filter_map(|stream| Some((stream, live(&self.world, stream)?)));
        self.snapshots.save_due(self.disk.store(), states, &self.incidents);
        self.disk.append(Box::new(append), cursors, turn);
    }

    /// Whether the next turn waits for more to come, because it is small compared with the one that
    /// is being written.
    fn gathers(&self) -> bool {
        self.disk.gathers(self.world.turn_bytes())
    }
}

/// The live state of a stream.
fn live<'a>(world: &'a World, stream: &StreamName) -> Option<&'a Coordination> {
    match stream {
        StreamName::Coordination(id) => world.coordination(id),
        _ => None,
    }
}
