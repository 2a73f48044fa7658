//! The kernel alone: decides and applies in memory, without encoding, hashing a chain, or an engine
//! around it.

use std::time::{Duration, Instant};

use antiphon::coordination::{
    Coordination, CoordinationBudget, Ending, Meta, Need, Proposal, Runner, Runners, SessionEnd,
    SessionOutcome, WorkSpec,
};
use antiphon::digest::Digest;
use antiphon::envelope::{CommitTip, StreamTip};
use antiphon::event::{
    Completed, CoordinationEvent, Mode, OnExhausted, OnTripped, Policies, Started, WorkAdded,
};
use antiphon::id::{CoordinationId, Epoch, Version, WorkId};
use antiphon::time::{LedgerTime, Now, WallTime};

use super::memory::{in_another_process, resident};
use super::report::Measured;
use crate::command_error::CommandError;

/// Items of the coordination.
pub(super) const ITEMS: usize = 100_000;

/// Items in one event.
const BATCH: usize = 1_000;

const ROUNDS: usize = 5;

/// One coordination as the engine would drive it, but on paper.
pub(super) struct KernelRun {
    run: Coordination,
    now: Now,
}

impl KernelRun {
    /// Starts a coordination that is given its items by the events that follow.
    pub(super) fn start() -> Result<Self, CommandError> {
        let budget = CoordinationBudget::new(ITEMS as u32, 3_600_000, 1_000, None)
            .map_err(CommandError::internal)?;
        let policies = Policies {
            max_attempts: 3,
            breaker: 3,
            on_exhausted: OnExhausted::Stop,
            on_tripped: OnTripped::Stop,
            planner: None,
        };
        let started = CoordinationEvent::Started(Box::new(Started {
            name: None,
            plan: Digest::GENESIS,
            mode: Mode::Closed,
            budget,
            concurrency: 64,
            policies,
            parent: None,
            forerunner: None,
            origin: None,
            on_end: None,
            signal_schemas: None,
            depth: 0,
            minted: false,
            labels: Default::default(),
            widths: Default::default(),
            items: ITEMS as u32,
            engine: String::new(),
            epoch: Epoch(1),
        }));
        let now = Now::from(1_700_000_000_000_000_000);
        let meta = Meta { version: Version(1), at: now.at, wall: now.wall, cause: None };
        let id = CoordinationId::new("bench").map_err(CommandError::internal)?;
        let run = Coordination::begin(id, &started, &meta).map_err(CommandError::internal)?;
        Ok(Self { run, now })
    }

    /// Applies one event at this moment.
    pub(super) fn apply(&mut self, event: &CoordinationEvent) -> Result<(), CommandError> {
        let meta = Meta {
            version: self.run.version().next(),
            at: self.now.at,
            wall: self.now.wall,
            cause: None,
        };
        self.run.apply(event, &meta).map_err(CommandError::internal)
    }

    /// Does what the run proposes, and ends every session at once when nothing more can
    /// start, until the receipt exists.
    pub(super) fn finish(&mut self) -> Result<(), CommandError> {
        let runners = Runners::caller();
        let nothing = Default::default();
        let mut open = std::collections::VecDeque::new();
        loop {
            self.now.at = LedgerTime(self.now.at.0 + 1_000);
            self.now.wall = WallTime(self.now.wall.0 + 1_000);
            match self.run.propose(&self.now, &runners, &nothing) {
                Some(Proposal::Event(event)) => {
                    if let CoordinationEvent::SessionBound(bound) = &event {
                        open.push_back(bound.session);
                    }
                    self.apply(&event)?;
                }
                Some(Proposal::End(ending)) => return self.end(ending),
                Some(Proposal::Expand(work)) => {
                    return Err(CommandError::internal(format!("{work} is not a nested run")));
                }
                None => {
                    let number = open.pop_front().ok_or_else(|| {
                        CommandError::internal("no session of the run can start or end")
                    })?;
                    let end = SessionEnd::new(SessionOutcome::Success);
                    let unbound = self
                        .run
                        .decide_unbinding(number, end, &self.now)
                        .map_err(CommandError::internal)?;
                    self.apply(&CoordinationEvent::SessionUnbound(unbound))?;
                }
            }
        }
    }

    fn end(&mut self, ending: Ending) -> Result<(), CommandError> {
        let Now { at, wall, .. } = self.now;
        let receipt =
            self.run.receipt(ending.clone(), at, wall, StreamTip::default(), CommitTip::default());
        let Ending::Completed(stop) = ending else {
            return Err(CommandError::internal("the run was aborted"));
        };
        self.apply(&CoordinationEvent::Completed(Box::new(Completed {
            stop,
            verdict: receipt.verdict,
            usage: receipt.budget_usage.clone(),
            totals: receipt.totals,
            receipt: receipt.compute_hash(),
        })))
    }

    /// Whether every item is in the receipt as done.
    pub(super) fn is_done(&self) -> bool {
        self.run.status().is_terminal() && self.run.totals().work_succeeded == ITEMS as u64
    }
}

/// The items from `first` on that go into one event; each needs up to three before it.
pub(super) fn batch(first: usize) -> Result<CoordinationEvent, CommandError> {
    let id = |n: usize| WorkId::new(format!("item-{n}")).map_err(CommandError::internal);
    let item = |n: usize| {
        let mut item = WorkSpec::new(id(n)?, Runner::Caller);
        // Near, further and far, so that the graph is neither a chain nor a row of levels.
        for back in [1, 7, 100] {
            if let Some(needed) = n.checked_sub(64 * back) {
                item.needs.push(Need::Work(id(needed)?));
            }
        }
        Ok(item)
    };
    let items = (first..first + BATCH).map(item).collect::<Result<Vec<_>, CommandError>>()?;
    Ok(CoordinationEvent::WorkAdded(WorkAdded { items, recalled: Vec::new() }))
}

/// The first items of every event.
pub(super) fn batches() -> impl Iterator<Item = usize> {
    (0..ITEMS).step_by(BATCH)
}

/// From the start to the receipt, in this process; and the memory of one run, in a process of its
/// own.
pub(super) fn run() -> Result<Vec<Measured>, CommandError> {
    let events = batches().map(batch).collect::<Result<Vec<_>, _>>()?;
    let (mut times, mut rates) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let taken = once(&events)?;
        times.push(taken);
        rates.push(ITEMS as f64 / taken.as_secs_f64());
    }
    let bytes = kernel_bytes()?;
    Ok(vec![
        Measured::timed("kernel.100k", "ms", &mut times, &mut rates)
            .with_value(bytes as f64 / ITEMS as f64),
    ])
}

fn once(events: &[CoordinationEvent]) -> Result<Duration, CommandError> {
    let before = Instant::now();
    let mut run = KernelRun::start()?;
    for event in events {
        run.apply(event)?;
    }
    run.finish()?;
    let taken = before.elapsed();
    if run.is_done() { Ok(taken) } else { Err(CommandError::internal("not every item was done")) }
}

/// How much memory the state of the kernel's coordination takes, in bytes.
fn kernel_bytes() -> Result<u64, CommandError> {
    let bytes = in_another_process(&["bench", "--kernel-memory"])?;
    bytes
        .first()
        .copied()
        .ok_or_else(|| CommandError::internal("the measured process said nothing"))
}

/// Is the kernel: runs its coordination, and prints by how much this process has grown.
pub(crate) fn kernel_memory() -> Result<(), CommandError> {
    let before = resident()?;
    let mut run = KernelRun::start()?;
    // Each event is made, applied and forgotten, so that what stays is the state.
    for first in batches() {
        run.apply(&batch(first)?)?;
    }
    run.finish()?;
    let after = resident()?;
    anstream::println!("{}", after.saturating_sub(before));
    if run.is_done() { Ok(()) } else { Err(CommandError::internal("not every item was done")) }
}
