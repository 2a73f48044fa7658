//! Starting the decider on a ledger that was just taken over.

use std::sync::Arc;
use std::time::Duration;

use antiphon_core::coordination::{Capability, CoordinationConfig};
use antiphon_core::id::RunnerName;
use antiphon_core::live::EmitError;
use antiphon_core::time::Now;
use antiphon_core::world::{TakenUp, World};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Decider;
use super::audience::Audience;
use super::disk::Disk;
use super::ground;
use super::inputs::Inputs;
use super::named_since::NamedSince;
use super::on_ends::OnEnds;
use super::recovery::Recovered;
use super::sessions::Sessions;
use super::snapshots::Snapshots;
use super::turns::TurnDraft;
use super::writer::Writer;
use crate::clock::Timer;
use crate::incidents::Incidents;
use crate::ledger::{Owner, Store};
use crate::mailbox::{Handle, StartError};
use crate::on_end::ON_END_WITHIN;
use crate::orphans::{Leftovers, Orphans};
use crate::session::{Processes, RunnerFn};
use crate::shortages::{ROOM_WITHIN, Shortages};
use crate::waits::Waits;

/// Requests that may wait; beyond it callers do.
const MAILBOX: usize = 4_096;

/// How the ledger was opened, as long as that is not recorded whole: a failed append has it
/// recorded again.
pub(super) struct Opening {
    owner: Owner,
    accepted_shorter: bool,
    /// What of it this engine carries out from here on.
    taken_up: TakenUp,
    /// What became of the sessions that an earlier engine ran.
    orphans: Orphans,
    /// Whether this engine carries out what an earlier one left of commands for the ends of runs.
    carries_on_ends: bool,
    recorded: bool,
}

impl Opening {
    /// Has a world record that the ledger was opened.
    pub(super) fn open(&self, world: &mut World, now: &Now) -> Result<(), EmitError> {
        world.open_ledger(&self.owner.host, self.owner.pid, self.accepted_shorter, now)
    }

    /// Has a world take over what an earlier engine left.
    pub(super) fn resume(&self, world: &mut World, now: &Now) -> Result<(), EmitError> {
        world.resume_with(self.orphans.found.clone(), self.taken_up, now)
    }

    pub(super) fn taken_up(&self) -> TakenUp {
        self.taken_up
    }

    pub(super) fn carries_on_ends(&self) -> bool {
        self.carries_on_ends
    }

    pub(super) fn is_recorded(&self) -> bool {
        self.recorded
    }

    /// All of it is recorded. Gives out what must be looked after now, the first time.
    pub(super) fn record(&mut self) -> Option<Orphans> {
        let first = !std::mem::replace(&mut self.recorded, true);
        first.then(|| std::mem::take(&mut self.orphans))
    }
}

/// What a decider begins with.
pub(crate) struct Parts {
    store: Arc<dyn Store>,
    recovered: Recovered,
    functions: Vec<(RunnerName, Capability, RunnerFn)>,
    plans: Vec<(RunnerName, CoordinationConfig)>,
    processes: Option<Arc<Processes>>,
    grace: Duration,
    patience: Duration,
    room_within: Duration,
    on_end_within: Duration,
    snapshot_every: Option<u64>,
    orphans: Orphans,
    taken_up: TakenUp,
    binds_nothing: bool,
    allows_undeclared: bool,
}

impl Parts {
    /// A ledger that was taken over, with what an earlier engine left running on it.
    pub(crate) fn new(
        store: Arc<dyn Store>,
        recovered: Recovered,
        orphans: Orphans,
        grace: Duration,
        snapshot_every: Option<u64>,
    ) -> Self {
        let (functions, plans, processes) = (Vec::new(), Vec::new(), None);
        let patience = grace;
        Self {
            store,
            recovered,
            functions,
            plans,
            processes,
            grace,
            patience,
            room_within: ROOM_WITHIN,
            on_end_within: ON_END_WITHIN,
            snapshot_every,
            orphans,
            taken_up: TakenUp::All,
            binds_nothing: false,
            allows_undeclared: false,
        }
    }

    /// Which of the runs that are found are carried out from the start on.
    pub(crate) fn taking_up(self, taken_up: TakenUp) -> Self {
        Self { taken_up, ..self }
    }

    /// Whether no session is carried out, whatever there is to do that.
    pub(crate) fn binding_nothing(self, binds_nothing: bool) -> Self {
        Self { binds_nothing, ..self }
    }

    pub(crate) fn allowing_undeclared(self, allows_undeclared: bool) -> Self {
        Self { allows_undeclared, ..self }
    }

    /// How long sessions run on while the ledger takes nothing in.
    pub(crate) fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// How long sessions wait for room on their machine.
    pub(crate) fn with_room_within(self, room_within: Duration) -> Self {
        Self { room_within, ..self }
    }

    /// How long all attempts at the command for the end of a run may take together.
    pub(crate) fn with_on_end_within(self, on_end_within: Duration) -> Self {
        Self { on_end_within, ..self }
    }

    pub(crate) fn with_runners(
        self,
        functions: Vec<(RunnerName, Capability, RunnerFn)>,
        plans: Vec<(RunnerName, CoordinationConfig)>,
        processes: Option<Arc<Processes>>,
    ) -> Self {
        Self { functions, plans, processes, ..self }
    }
}

impl Decider {
    /// A decider, with its writer on a thread; and what drops it.
    pub(super) fn open(parts: Parts) -> Result<(Self, DropGuard), StartError> {
        let Parts { store, recovered, functions, plans, processes, grace, patience, .. } = parts;
        let (snapshot_every, orphans, taken_up) =
            (parts.snapshot_every, parts.orphans, parts.taken_up);
        let shortages = Shortages::within(parts.room_within);
        let dropped = CancellationToken::new();
        let guard = dropped.clone().drop_guard();
        let system = |what| move |error| StartError::System { what, error };
        let Recovered { mut world, saved, clock, facts, owner, accepted_shorter, newer } =
            recovered;
        // One that only records what it is asked for takes over nothing.
        let carries_on_ends = !parts.binds_nothing;
        let opening = Opening {
            owner,
            accepted_shorter,
            taken_up,
            orphans,
            carries_on_ends,
            recorded: false,
        };
        let now = clock.now().map_err(system("randomness"))?;
        if newer.is_none() {
            opening.open(&mut world, &now)?;
            opening.resume(&mut world, &now)?;
        }
        let (ended, ends) = mpsc::unbounded_channel();
        let secrets = processes.as_ref().map(|processes| Arc::clone(processes.secrets()));
        let secrets = secrets.unwrap_or_default();
        let mut sessions = Sessions::new(
            functions,
            plans,
            processes,
            Arc::clone(&secrets),
            ended,
            (grace, patience),
        );
        if parts.binds_nothing {
            sessions.withdraw_runners();
        }
        world.set_runners(sessions.runners().clone());
        let (mailbox, requests) = mpsc::channel(MAILBOX);
        let incidents = Arc::new(Incidents::default());
        let leftovers = Arc::<Leftovers>::default();
        let (writer, acks) = Writer::start(Arc::clone(&store), Arc::clone(&incidents))?;
        let handle =
            Handle::new(mailbox, Arc::clone(&store), Arc::clone(&incidents), shortages, secrets);
        let gone = store.held().map(ground::watch);
        let timer = Timer::new().map_err(system("a timer"))?;
        let decider = Self {
            world,
            disk: Disk::new(store, writer, facts, newer),
            sessions,
            audience: Audience::default(),
            waits: Waits::default(),
            snapshots: Snapshots::new(snapshot_every, saved),
            on_ends: OnEnds::within(parts.on_end_within),
            opening,
            named_since: NamedSince::default(),
            allows_undeclared: parts.allows_undeclared,
            closing: None,
            draft: TurnDraft::default(),
            inputs: Inputs::new(requests, ends, acks, dropped, gone, timer),
            clock,
            handle,
            incidents,
            leftovers,
        };
        Ok((decider, guard))
    }
}
