//! Starting the decider on a ledger that was just taken over.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use antiphon_core::coordination::{Capability, CoordinationConfig, Runners};
use antiphon_core::id::RunnerName;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::recovery::Recovered;
use super::writer::Writer;
use super::{Decider, Health, Pending, Waiters};
use crate::clock::Timer;
use crate::incidents::Caught;
use crate::ledger::{Owner, Store};
use crate::mailbox::{Feeds, Handle, StartError};
use crate::orphans::{Leftovers, Orphans};
use crate::session::{Processes, RunnerFn, Running};

/// Requests that may wait; beyond it callers do.
const MAILBOX: usize = 4_096;

/// How the ledger was opened, as long as that is not recorded whole: a failed append has it
/// recorded again.
pub(super) struct Opening {
    pub(super) owner: Owner,
    pub(super) accepted_shorter: bool,
    /// What became of the sessions that an earlier engine ran.
    pub(super) orphans: Orphans,
    pub(super) recorded: bool,
}

/// What a decider begins with.
pub(crate) struct Parts {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) recovered: Recovered,
    pub(crate) functions: Vec<(RunnerName, Capability, RunnerFn)>,
    pub(crate) plans: Vec<(RunnerName, CoordinationConfig)>,
    pub(crate) processes: Option<Arc<Processes>>,
    pub(crate) grace: Duration,
    pub(crate) snapshot_every: u64,
    pub(crate) orphans: Orphans,
}

/// Starts the decider on a runtime, and its writer on a thread.
pub(crate) fn spawn(
    parts: Parts,
) -> Result<(Handle, DropGuard, JoinHandle<()>, Arc<Leftovers>), StartError> {
    let Parts { store, recovered, functions, plans, processes, grace, snapshot_every, orphans } =
        parts;
    let dropped = CancellationToken::new();
    let guard = dropped.clone().drop_guard();
    let system = |what| move |source| StartError::System { what, source };
    let Recovered { mut world, clock, facts, owner, accepted_shorter } = recovered;
    let now = clock.now().map_err(system("randomness"))?;
    world.open_ledger(&owner.host, owner.pid, accepted_shorter, &now);
    world.resume_with(orphans.found.clone(), &now)?;
    let mut runners = Runners::default();
    for (name, capability, _) in &functions {
        runners.add_function(name.clone(), *capability);
    }
    for (name, config) in &plans {
        runners.add_plan(name.clone(), config.budget().max_episodes());
    }
    if processes.is_some() {
        runners.allow_processes();
    }
    world.set_runners(runners.clone());
    let (mailbox, requests) = mpsc::channel(MAILBOX);
    let (ended, ends) = mpsc::unbounded_channel();
    let caught = Arc::new(Caught::default());
    let leftovers = Arc::<Leftovers>::default();
    let (writer, acks) = Writer::start(Arc::clone(&store), Arc::clone(&caught))?;
    let handle = Handle::new(mailbox, Arc::clone(&store), Arc::clone(&caught));
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
        full_since: None,
        writer_gone: false,
        kept: VecDeque::new(),
        starts: Vec::new(),
        opening: Opening { owner, accepted_shorter, orphans, recorded: false },
        process_runner: processes.as_ref().map(Processes::runner),
        processes,
        waiting: Waiters::default(),
        ending: HashMap::new(),
        followers: Feeds::default(),
        caught,
        leftovers: Arc::clone(&leftovers),
        snapshots: HashMap::new(),
        snapshot_every,
        closing: None,
        grace,
    };
    Ok((handle, guard, tokio::spawn(decider.run()), leftovers))
}
